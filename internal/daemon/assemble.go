package daemon

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/embedded"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/board"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/definitions"
	"github.com/fiberlb/vipd/internal/publish"
	"github.com/fiberlb/vipd/internal/state"
	"github.com/fiberlb/vipd/internal/view"
	"github.com/fiberlb/vipd/internal/web"
)

// readAtOnce is how many requests may read files at a time.
const readAtOnce = 8

// assemble makes all rooms. Those with ports open them first: should another
// vipd run here with the same configuration, this one ends before it touched a
// route.
func assemble(o Options) (*daemon, error) {
	cfg := o.Config
	started := time.Now()
	d := &daemon{
		Options: o, cfg: cfg, pool: check.NewPool(), timings: web.NewTimings(), started: started,
		calls: make(chan func()), gone: make(chan struct{}), expiry: time.NewTimer(0),
		hangups: make(chan struct{}, 1), reloading: make(chan struct{}, 1), fitting: make(chan struct{}, readAtOnce),
		// A name that no other life has, as far as the clock goes.
		board: board.New(cfg.Node+"-"+strconv.FormatInt(started.UnixNano(), 36), board.Options{}),
	}
	d.expiry.Stop()
	d.config.Store(cfg)
	if o.Notify == nil {
		d.Notify = func(string) {}
	}
	d.reload.Store(&web.Reload{OK: true, At: started})
	known, err := d.remembering()
	if err != nil {
		return nil, err
	}
	d.recall(known)
	if err := d.listen(); err != nil {
		return nil, err
	}
	d.join(known)
	first, err := d.outlook(cfg, d.words.made.All())
	if err == nil {
		err = d.configure(context.Background(), first)
	}
	if err == nil {
		err = d.enforce(context.Background())
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// listen opens the ports of the rooms that have some.
func (d *daemon) listen() error {
	cfg := d.cfg
	if cfg.HTTP.Listen != "" {
		d.web = web.New(web.Options{Listen: cfg.HTTP.Listen, Version: d.Version, Log: d.Log.Named("http"), Sources: d.sources()})
		if err := d.web.Listen(); err != nil {
			return err
		}
	}
	if len(cfg.API.Listen) > 0 {
		d.api = control.New(apiOptions(cfg.API, node{d}, d.board, d.Log.Named("api")))
		return d.api.Listen()
	}
	return nil
}

// close gives up what listen opened, for a daemon that does not come to run.
func (d *daemon) close() error {
	ended, end := context.WithCancel(context.Background())
	end()
	if d.api == nil {
		return nil
	}
	return d.api.Run(ended)
}

// join makes the other rooms and tells each of those that it has to do with.
func (d *daemon) join(known state.State) {
	d.disabled, d.failed = known.Disabled, known.Failed()
	d.live = newLiveness(d.Log.Named("bfd"))
	d.live.detected = d.timings.Detected
	d.uplinks = newUplinks(d.Log.Named("bfd"), d.failed)
	d.uplinks.peer, d.live.changed = d.live.session, d.sessionsChanged
	var to announcer = nobody{}
	if d.cfg.BGP.Enabled {
		d.addSpeaker()
		to = d.rec
	}
	d.sink = newSink(to, d.Log, d.note, func(name string) definitions.VIP {
		if d.words.unfit[name] != "" {
			return definitions.VIP{} // the file has one of that name
		}
		made, _ := d.words.made.Get(name)
		return made
	})
	d.loop = healthloop.New(healthloop.Options{
		Sink: d.sink, Probed: d.timings.Probed, Turned: d.turned, Late: d.timings.Late,
		Changed: func(vip string) { d.publisher.VIP(vip) },
	})
	d.publisher = publish.New(d.board, d.publishing())
	d.live.shown = d.publisher.Sessions
	d.drainer = d.newDrainer()
	d.hooks = newHooks(d)
	d.uplinks.report = func(ctx context.Context, u healthloop.Uplinks) error {
		d.publisher.Node()
		return d.loop.SetUplinks(ctx, u)
	}
	d.publisher.Node()
	d.publisher.Neighbors()
}

func (d *daemon) addSpeaker() {
	if d.cfg.BGP.Speaker == config.SpeakerEmbedded {
		d.speaker = embedded.New(embedded.Options{Log: slogFrom(d.Log.Named("gobgp")), Dir: os.Getenv("RUNTIME_DIRECTORY")})
	}
	options := bgpclient.Options{
		Dial:      d.Options.dial,
		Owner:     Owner(d.cfg.Node),
		Log:       d.Log.Named("bgp"),
		Confirmed: d.timings.Confirmed,
		Disabled:  d.disabled,
		Held:      func() { d.uplinks.news(); d.publisher.Neighbors() },
		Changed:   func(prefix netip.Prefix) { d.publisher.Prefix(prefix) },
		Linked:    d.linked,
		Peers:     func() { d.publisher.Neighbors() },
	}
	if options.Dial == nil {
		options.Dial = d.dial
	}
	if d.memory.keeps() {
		options.Remember = func(ctx context.Context, disabled []netip.Addr) error {
			waiting := d.uplinks.waiting(disabled)
			return d.memory.keep(ctx, func(s *state.State) { s.Disabled, s.Waiting = disabled, waiting })
		}
	}
	d.rec = bgpclient.New(options)
	d.uplinks.hold, d.uplinks.holds, d.uplinks.seen = d.rec.Hold, d.rec.Holds, d.rec.Neighbors
}

// apiOptions makes what the control API is served with.
func apiOptions(a config.API, n control.Node, b *board.Board, log *zap.Logger) control.Options {
	return control.Options{
		Listen: a.Listen, Group: a.Group, ReadWrite: rolesOf(a.ReadWrite), ReadOnly: rolesOf(a.ReadOnly), TLS: filesOf(a.TLS),
		InsecureLoopback: a.InsecureLoopback, Node: n, Board: b, Log: log,
	}
}

func rolesOf(r config.Roles) control.Roles {
	return control.Roles{UIDs: r.UIDs, GIDs: r.GIDs, Names: r.Names}
}

func filesOf(t *config.ServerTLS) *control.TLSFiles {
	if t == nil {
		return nil
	}
	return &control.TLSFiles{CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile}
}

// follow puts sessions in force: first for who follows them, so that the end of
// one that no neighbor has any more is no news about that neighbor.
func (d *daemon) follow(cfg *config.Config) {
	d.uplinks.configure(cfg.BGP.Neighbors)
	d.live.want(specsOf(cfg))
}

// sessionsChanged takes in transitions of BFD sessions: first who acts.
func (d *daemon) sessionsChanged(all []bfdengine.Change) {
	d.uplinks.changed(all)
	for _, c := range all {
		if worthTelling(c) {
			d.note(bfdEvent(c))
		}
	}
	d.publisher.Sessions()
	d.publisher.Neighbors()
}

// neighborChanged tells of a neighbor's BGP session.
func (d *daemon) neighborChanged(was, is *vipdv1.Neighbor) {
	established := func(n *vipdv1.Neighbor) bool { return n.GetState() == bgpclient.Established.String() }
	if established(was) == established(is) && was.GetAdminDown() == is.GetAdminDown() || !view.Seen(is) {
		return // what is not seen for want of a speaker is the speaker's event
	}
	state := func(n *vipdv1.Neighbor) string {
		if n.GetAdminDown() {
			return "admin down"
		}
		return n.GetState()
	}
	d.note(&vipdv1.Event{Kind: kindNeighbor, Subject: is.GetAddress(), From: state(was), To: state(is), Reason: is.GetHold().GetReason()})
}
