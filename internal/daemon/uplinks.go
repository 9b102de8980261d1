package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/uplink"
)

// lookAtPeers is how often sessions are asked for what no transition tells: a
// peer that sends AdminDown to a session that is Down already.
const lookAtPeers = time.Second

// uplinks joins the sessions with BGP neighbors to the policy of package uplink,
// and what that wants to the speaker and the health loop.
//
// mu guards what is below it: transitions, news of the speaker, reloads and
// time come by goroutines of their own. No owner could be asked before it runs,
// but what a former life disabled is decided before the speaker is touched.
type uplinks struct {
	log    *zap.Logger
	hold   func(netip.Addr, bgpclient.Hold) // the speaker
	holds  func() []bgpclient.HoldStatus
	seen   func() []bgpclient.NeighborState // as of some seconds ago
	peer   func(bfdengine.Key) (bfdengine.Snapshot, bool)
	report func(context.Context, healthloop.Uplinks) error // the health loop
	wake   chan struct{}
	rivals map[netip.Addr]bool // that were told of; Run's goroutine has it

	mu        sync.Mutex
	set       *uplink.Set
	neighbors map[bfdengine.Key]netip.Addr
	unwatched int // neighbors without a session: nothing is known against them
	lost      map[netip.Addr]bool
	count     healthloop.Uplinks
	next      time.Time
}

func newUplinks(log *zap.Logger, failed []netip.Addr) *uplinks {
	return &uplinks{
		log: log, hold: func(netip.Addr, bgpclient.Hold) {}, holds: func() []bgpclient.HoldStatus { return nil },
		seen: func() []bgpclient.NeighborState { return nil },
		wake: make(chan struct{}, 1), set: uplink.NewSet(failed), lost: map[netip.Addr]bool{}, rivals: map[netip.Addr]bool{},
	}
}

// configure says which neighbors there are.
func (u *uplinks) configure(neighbors []config.Neighbor) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.neighbors, u.unwatched = map[bfdengine.Key]netip.Addr{}, 0
	all := map[netip.Addr]uplink.Config{}
	for _, n := range neighbors {
		if n.BFD == nil {
			u.unwatched++
			continue
		}
		u.neighbors[sessionKey(n.BFD.BFDKey)] = n.Address
		all[n.Address] = uplinkOf(*n.BFD)
	}
	now := time.Now()
	u.set.Configure(now, all)
	u.step(now)
	u.news()
}

func uplinkOf(b config.NeighborBFD) uplink.Config {
	reactions := map[config.OnBFDDown]uplink.Reaction{
		config.OnBFDDownDisable: uplink.Disable, config.OnBFDDownWithdraw: uplink.Withdraw, config.OnBFDDownNone: uplink.Ignore,
	}
	c := uplink.Config{
		Session: sessionKey(b.BFDKey).String(), OnDown: reactions[b.OnDown], HoldUp: b.HoldUp, HoldUpMax: b.HoldUpMax,
	}
	if b.Strict {
		c.Strict = b.StrictLimit
	}
	return c
}

// letGo ends all holds, for good.
func (u *uplinks) letGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, h := range u.holds() {
		u.hold(h.Address, bgpclient.Hold{})
	}
	u.hold = func(netip.Addr, bgpclient.Hold) {}
}

// waiting lists those of neighbors of which no failure is known.
func (u *uplinks) waiting(neighbors []netip.Addr) (out []netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, a := range neighbors {
		if !u.set.Failed(a) {
			out = append(out, a)
		}
	}
	return out
}

// changed takes in transitions. Many at once cost one look at all neighbors.
func (u *uplinks) changed(all []bfdengine.Change) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range all {
		if a, ok := u.neighbors[c.Key]; ok {
			u.set.Change(a, uplink.Change{
				Life: c.Discr, Seq: c.Seq, Missed: c.Missed, From: c.From, To: c.To, Diag: c.Diag, RemoteAdmin: c.RemoteAdmin, At: c.At,
			})
		}
	}
	u.step(time.Now())
	u.news()
}

// step carries out what follows from the inputs so far. mu is held.
func (u *uplinks) step(now time.Time) {
	e := u.set.Advance(now)
	for a, v := range e.Verdicts {
		u.hold(a, bgpclient.Hold{Disable: v.Disable, SpareAfter: v.SpareAfter, Withhold: v.Withhold, Reason: v.Reason})
		switch {
		case !v.Alive && !u.lost[a]:
			u.log.Warn("uplink lost", zap.Stringer("neighbor", a), zap.String("reason", v.Reason))
			u.lost[a] = true
		case v.Alive && u.lost[a]:
			u.log.Info("uplink back", zap.Stringer("neighbor", a))
			delete(u.lost, a)
		}
	}
	u.next, u.count = e.Next, healthloop.Uplinks{}
	if e.Total > 0 {
		u.count = healthloop.Uplinks{Up: e.Up + u.unwatched, Total: e.Total + u.unwatched}
	}
}

// counted is how many there are, and alive.
func (u *uplinks) counted() healthloop.Uplinks {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.count
}

// news has Run go round. Many are one: it reads all that there is.
func (u *uplinks) news() { wake(u.wake) }

// Run watches sessions and speaker, and lets time have its effects, until ctx
// ends.
func (u *uplinks) Run(ctx context.Context) error {
	look := time.NewTicker(lookAtPeers)
	defer look.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told healthloop.Uplinks
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			u.askPeers()
		case <-u.wake:
		case <-timer.C:
		}
		count, next := u.look()
		if count != told && u.report(ctx, count) == nil {
			told = count
		}
		timer.Reset(time.Until(next))
	}
}

// look takes in the speaker's view.
func (u *uplinks) look() (healthloop.Uplinks, time.Time) {
	view := map[netip.Addr]uplink.BGP{}
	for _, n := range u.seen() {
		view[n.Address] = uplink.BGP{Established: n.State == bgpclient.Established, Since: n.Since}
		u.rival(n)
	}
	for _, h := range u.holds() {
		view[h.Address] = uplink.BGP{
			Established: h.State == bgpclient.Established, Since: h.Since,
			Held: h.InForce && (h.Disable || h.Withhold), // what has ended holds nothing
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	for a, b := range view {
		u.set.Speaker(a, b, now)
	}
	u.step(now)
	return u.count, u.next
}

// rival tells of a speaker that runs BFD with a neighbor, too: both would be on
// the same port, and the router would see two sessions that it takes for one.
func (u *uplinks) rival(n bgpclient.NeighborState) {
	if !n.BFD || u.rivals[n.Address] {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, a := range u.neighbors {
		if a == n.Address {
			u.rivals[a] = true // once
			u.log.Error("the speaker runs BFD with this neighbor, and so does vipd: take it out of one of them", zap.Stringer("neighbor", a))
		}
	}
}

// askPeers takes in what the sessions know of the other side. An engine that
// does not answer in time is asked again the next time.
func (u *uplinks) askPeers() {
	began, peers := time.Now(), map[bfdengine.Key]uplink.Peer{}
	for _, key := range u.asking() {
		if s, ok := u.peer(key); ok {
			peers[key] = uplink.Peer{
				Life: s.Discr, Seq: s.Seq, Up: s.State == packet.Up, Since: s.Since,
				Heard: s.RemoteDiscr != 0, Admin: s.RemoteState == packet.AdminDown,
			}
		}
		if time.Since(began) > lookAtPeers {
			break
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, p := range peers {
		if a, ok := u.neighbors[key]; ok { // still
			u.set.Peer(a, p)
		}
	}
}

// asking lists the sessions that could tell more than they did.
func (u *uplinks) asking() (keys []bfdengine.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, a := range u.neighbors {
		if u.set.Asking(a) {
			keys = append(keys, key)
		}
	}
	return keys
}
