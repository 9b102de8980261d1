package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/embedded"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/web"
)

// Options is what a daemon is made of.
type Options struct {
	Config *config.Config
	// Load loads the configuration anew, for a reload. The problems of a bad
	// one come with a nil Config.
	Load    func() (*config.Config, []config.Problem, error)
	Signals <-chan os.Signal // SIGHUP, SIGTERM and SIGINT
	Log     *zap.Logger
	Level   zap.AtomicLevel // of Log, for a reload
	Version string
	// Notify tells the service manager of the daemon's state; nil: nobody.
	Notify func(state string)
	// Watchdog is how often the service manager wants a sign of life; 0: never.
	Watchdog time.Duration
}

// A daemon is vipd, running. Its own goroutine, in Run, owns cfg; the rooms own
// what is theirs.
type daemon struct {
	Options
	cfg     *config.Config
	pool    *check.Pool
	speaker *embedded.Speaker     // nil: gobgpd beside us, or none
	rec     *bgpclient.Reconciler // nil: bgp is off
	sink    *sink
	loop    *healthloop.Loop
	timings *web.Timings
	live    *liveness
	uplinks *uplinks
	memory  *memory // nil: state_dir is empty
	// disabled are the neighbors that a former life disabled, and failed those
	// of them that it did so for a failure.
	disabled, failed []netip.Addr
	web              *web.Server // nil: http.listen is empty

	// leaving and reload are read by the web room.
	leaving atomic.Pointer[string]
	reload  atomic.Pointer[web.Reload]
	begun   atomic.Bool // the service manager was told READY
}

// Run runs vipd until ctx ends or a signal asks it to leave, and returns when
// all is withdrawn and stopped. An error means that it could not start, that
// it could not go on, or that routes may still be announced.
//
// Its goroutines: one for each task below, those that the rooms start, and the
// caller's, which handles signals.
func Run(ctx context.Context, o Options) error {
	d, err := assemble(o)
	if err != nil {
		return err
	}
	// The rooms outlive ctx: a drain is their work.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended, wait := d.begin(life)
	cause := d.serve(ctx, ended)
	err = errors.Join(cause.err, d.leave(cause))
	stop()
	wait()
	return err
}

// assemble makes all rooms. The web room opens its port first: should another
// vipd run here with the same configuration, this one ends before it touched a
// route.
func assemble(o Options) (*daemon, error) {
	cfg := o.Config
	d := &daemon{Options: o, cfg: cfg, pool: check.NewPool(), timings: web.NewTimings()}
	if o.Notify == nil {
		d.Notify = func(string) {}
	}
	d.reload.Store(&web.Reload{OK: true, At: time.Now()})
	if cfg.HTTP.Listen != "" {
		d.web = web.New(web.Options{Listen: cfg.HTTP.Listen, Version: o.Version, Log: o.Log.Named("http"), Sources: d.sources()})
		if err := d.web.Listen(); err != nil {
			return nil, err
		}
	}
	d.live = newLiveness(o.Log.Named("bfd"))
	d.live.detected = d.timings.Detected
	if err := d.remembering(); err != nil {
		return nil, err
	}
	d.uplinks = newUplinks(o.Log.Named("bfd"), d.failed)
	d.uplinks.peer, d.live.changed = d.live.session, d.uplinks.changed
	var to announcer = nobody{}
	if cfg.BGP.Enabled {
		d.addSpeaker()
		to = d.rec
	}
	d.sink = newSink(to, o.Log)
	d.loop = healthloop.New(healthloop.Options{
		Sink: d.sink, Probed: d.timings.Probed, Turned: d.turned, Late: d.timings.Late,
	})
	d.uplinks.report = d.loop.SetUplinks
	return d, d.configure(context.Background(), cfg)
}

func (d *daemon) addSpeaker() {
	if d.cfg.BGP.Speaker == config.SpeakerEmbedded {
		d.speaker = embedded.New(embedded.Options{Log: slogFrom(d.Log.Named("gobgp")), Dir: os.Getenv("RUNTIME_DIRECTORY")})
	}
	options := bgpclient.Options{
		Dial:      d.dial,
		Owner:     Owner(d.cfg.Node),
		Log:       d.Log.Named("bgp"),
		Confirmed: d.timings.Confirmed,
		Disabled:  d.disabled,
		Held:      d.uplinks.news,
	}
	if d.memory != nil {
		options.Remember = func(ctx context.Context, disabled []netip.Addr) error {
			return d.memory.remember(ctx, disabled, d.uplinks.waiting(disabled))
		}
	}
	d.rec = bgpclient.New(options)
	d.uplinks.hold, d.uplinks.holds, d.uplinks.seen = d.rec.Hold, d.rec.Holds, d.rec.Neighbors
}

// configure puts a configuration in force, at the start and on reload. What is
// new and what is gone reach the speaker by the sink; what is as before is not
// touched.
func (d *daemon) configure(ctx context.Context, cfg *config.Config) error {
	vips, err := vipsOf(cfg, d.pool, d.live)
	if err != nil {
		return err
	}
	if err := d.live.open(cfg.BFD); err != nil {
		return err
	}
	d.follow(cfg)
	if d.rec != nil {
		d.rec.Manage(managementOf(cfg.BGP))
	}
	d.sink.stage(cfg.VIPs)
	err = d.loop.Apply(ctx, vips)
	d.sink.commit()
	if err != nil {
		return err
	}
	d.cfg = cfg
	return nil
}

// follow puts sessions in force: first for who follows them, so that the end of
// one that no neighbor has any more is no news about that neighbor.
func (d *daemon) follow(cfg *config.Config) {
	d.uplinks.configure(cfg.BGP.Neighbors)
	d.live.want(specsOf(cfg))
}

// turned is what an operator would tell a colleague about a backend.
func (d *daemon) turned(vip, backend string, to healthloop.Health, why error) {
	fields := []zap.Field{zap.String("vip", vip), zap.String("backend", backend)}
	if why != nil {
		fields = append(fields, zap.NamedError("reason", why))
	}
	d.Log.Info("backend "+to.String(), fields...)
}

// A task is something that runs as long as the daemon does.
type task struct {
	name string
	run  func(context.Context) error
}

func (d *daemon) tasks() []task {
	tasks := []task{{"health loop", d.loop.Run}, {"notify", d.notify}, {"bfd", d.live.Run}, {"uplinks", d.uplinks.Run}}
	if d.speaker != nil {
		tasks = append(tasks, task{"embedded speaker", d.speaker.Run})
	}
	if d.rec != nil {
		tasks = append(tasks, task{"reconciler", d.rec.Run})
	}
	if d.memory != nil {
		tasks = append(tasks, task{"memory", d.memory.Run})
	}
	if d.web != nil {
		tasks = append(tasks, task{"web", d.web.Run})
	}
	return tasks
}

// begin starts all tasks. ended tells of those that end by themselves; wait
// returns when all have ended.
func (d *daemon) begin(ctx context.Context) (ended <-chan error, wait func()) {
	tasks := d.tasks()
	failures := make(chan error, len(tasks))
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Go(func() {
			err := t.run(ctx)
			if ctx.Err() == nil {
				failures <- fmt.Errorf("%s: %w", t.name, cmpErr(err, errors.New("ended")))
			}
		})
	}
	return failures, wg.Wait
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// A cause is why the daemon leaves: err is nil for an orderly stop.
type cause struct {
	reason string
	err    error
}

// serve handles signals until there is a reason to leave.
func (d *daemon) serve(ctx context.Context, ended <-chan error) cause {
	for {
		select {
		case <-ctx.Done():
			return cause{reason: "stopped"}
		case err := <-ended:
			d.Log.Error("can't go on", zap.Error(err))
			return cause{reason: err.Error(), err: err}
		case sig := <-d.Signals:
			if sig == syscall.SIGHUP {
				d.reloadConfig(ctx)
				continue
			}
			d.Log.Info("leaving", zap.Stringer("signal", sig))
			return cause{reason: sig.String()}
		}
	}
}
