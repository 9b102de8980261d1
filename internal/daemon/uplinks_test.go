package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
)

var (
	routerA = netip.MustParseAddr("10.0.0.254")
	keyA    = bfdengine.Key{Peer: routerA}
)

// A neighbor without BFD may well be alive: only when all are known to be lost
// are the VIPs out of reach.
func TestNeighborsWithoutBFDCountAsAlive(t *testing.T) {
	cfg := parse(t, fmt.Sprintf(withSessions, "manage: true"))
	u := newUplinks(zap.NewNop(), []netip.Addr{routerA})
	u.configure(cfg.BGP.Neighbors)
	if have, want := u.counted(), (healthloop.Uplinks{Up: 1, Total: 2}); have != want {
		t.Errorf("have %+v, want %+v", have, want)
	}
	u.configure(cfg.BGP.Neighbors[1:])
	if have := u.counted(); have != (healthloop.Uplinks{}) {
		t.Errorf("nothing is watched, but %+v", have)
	}
}

// following is uplinks with one neighbor, and what it wants of the speaker.
func following(b config.NeighborBFD) (*uplinks, map[netip.Addr]bgpclient.Hold) {
	u, held := newUplinks(zap.NewNop(), nil), map[netip.Addr]bgpclient.Hold{}
	u.hold = func(a netip.Addr, h bgpclient.Hold) { held[a] = h }
	b.BFDKey = config.BFDKey{Peer: routerA}
	u.configure([]config.Neighbor{{Address: routerA, BFD: &b}})
	return u, held
}

// turns are transitions of a session, at once.
func turns(key bfdengine.Key, to ...packet.State) (all []bfdengine.Change) {
	from := packet.Down
	for i, state := range to {
		all = append(all, bfdengine.Change{Key: key, Discr: 1, Seq: uint64(i + 1), Event: session.Event{
			From: from, To: state, At: time.Now(), Diag: packet.ControlDetectionTimeExpired,
		}})
		from = state
	}
	return all
}

// The end of a session that the new configuration has no use for must not be
// taken for a word about the neighbor, which follows another one by then.
func TestNeighborsAreConfiguredBeforeTheirSessions(t *testing.T) {
	o, _ := options(t, fmt.Sprintf(withSessions, "manage: true")+"http: {listen: ''}\napi: {listen: []}\n")
	d := &daemon{Options: o, cfg: o.Config, live: newLiveness(o.Log), uplinks: newUplinks(o.Log, []netip.Addr{routerA})}
	asked := false
	d.uplinks.hold = func(netip.Addr, bgpclient.Hold) {
		if asked = true; len(*d.live.wanted.Load()) > 0 {
			t.Error("sessions changed before those who follow them")
		}
	}
	d.follow(o.Config)
	if !asked || len(*d.live.wanted.Load()) == 0 {
		t.Errorf("followed: %t, sessions %v", asked, *d.live.wanted.Load())
	}
}

// on_bfd_down: none has the speaker do nothing, so nothing that it holds tells of
// the neighbor's BGP: a router that was given up BFD would count as lost for ever.
func TestFailureIsVoidByBGPThoughNothingIsHeld(t *testing.T) {
	u, _ := following(config.NeighborBFD{OnDown: config.OnBFDDownNone})
	u.changed(turns(keyA, packet.Up, packet.Down))
	since := time.Now().Add(-time.Hour)
	u.seen = func() []bgpclient.NeighborState {
		return []bgpclient.NeighborState{{Neighbor: bgpclient.Neighbor{Address: routerA}, State: bgpclient.Established, Since: since}}
	}
	if count, _ := u.look(); count.Up != 0 {
		t.Errorf("a session from before the failure: %+v", count)
	}
	since = time.Now()
	if count, _ := u.look(); count.Up != 1 {
		t.Errorf("one from after it: %+v", count)
	}
}

// A neighbor that is let go and not enabled yet is "as wanted", and that is not
// what the next failure wants.
func TestWhatHasEndedHoldsNothing(t *testing.T) {
	u, held := following(config.NeighborBFD{OnDown: config.OnBFDDownDisable})
	u.changed(turns(keyA, packet.Up, packet.Down))
	u.holds = func() []bgpclient.HoldStatus {
		return []bgpclient.HoldStatus{{Address: routerA, Ours: true, InForce: true}}
	}
	u.look()
	if h := held[routerA]; !h.Disable || h.SpareAfter.IsZero() {
		t.Errorf("have %+v: it was not acted on", h)
	}
	u.changed(turns(keyA, packet.Up, packet.Down, packet.Up)[2:])
	if h := held[routerA]; h.Disable {
		t.Errorf("have %+v, though it recovered in time", h)
	}
}

// GoBGP has a small BFD of its own since 4.6.
func TestSpeakersOwnBFDIsToldOnce(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	u, _ := following(config.NeighborBFD{OnDown: config.OnBFDDownDisable})
	u.log = zap.New(core)
	u.seen = func() (out []bgpclient.NeighborState) {
		for _, a := range []netip.Addr{routerA, routerA.Next()} {
			out = append(out, bgpclient.NeighborState{Neighbor: bgpclient.Neighbor{Address: a}, BFD: true})
		}
		return out
	}
	u.look()
	u.look()
	if all := logs.All(); len(all) != 1 || all[0].ContextMap()["neighbor"] != routerA.String() {
		t.Errorf("told %v", all)
	}
}

// Strict mode does not wait for what is there: a check's session may have been up
// for long when a reload has a neighbor follow it too.
func TestSessionThatIsUpBeforeItsNeighborFollowsIt(t *testing.T) {
	u, held := following(config.NeighborBFD{OnDown: config.OnBFDDownDisable, Strict: true, StrictLimit: time.Hour})
	if !held[routerA].Disable {
		t.Fatalf("have %+v", held)
	}
	up := bfdengine.Snapshot{Seq: 2, View: session.View{State: packet.Up, Discr: 1, RemoteDiscr: 7, Since: time.Now()}}
	calls := 0
	u.peer = func(bfdengine.Key) (bfdengine.Snapshot, bool) { calls++; return up, true }
	u.askPeers()
	u.look()
	if held[routerA].Disable {
		t.Errorf("have %+v", held)
	}
	if u.askPeers(); calls != 1 {
		t.Errorf("asked %d times: one that is up tells all by itself", calls)
	}
}

// What a session says that a reload took from the neighbor meanwhile.
func TestAnswerThatIsOutOfDateIsNotHeard(t *testing.T) {
	b := config.NeighborBFD{OnDown: config.OnBFDDownDisable}
	u, held := following(b)
	u.changed(turns(keyA, packet.Up, packet.Down))
	u.peer = func(bfdengine.Key) (bfdengine.Snapshot, bool) {
		b.BFDKey = config.BFDKey{Peer: routerA, Local: netip.MustParseAddr("10.0.0.1")}
		u.configure([]config.Neighbor{{Address: routerA, BFD: &b}})
		return bfdengine.Snapshot{Seq: 3, View: session.View{State: packet.Up, Discr: 1, RemoteDiscr: 7}}, true
	}
	u.askPeers()
	u.look()
	if !held[routerA].Disable {
		t.Errorf("have %+v", held)
	}
}

// Strict mode ends by itself, and a failure does not: the next life must know
// which it was.
func TestNeighborsThatWaitHaveNotFailed(t *testing.T) {
	u, _ := following(config.NeighborBFD{OnDown: config.OnBFDDownDisable, Strict: true, StrictLimit: time.Hour})
	other := netip.MustParseAddr("10.0.0.253") // of no interest
	if have := u.waiting([]netip.Addr{routerA, other}); !slices.Equal(have, []netip.Addr{routerA, other}) {
		t.Errorf("waiting: %v", have)
	}
	u.changed(turns(keyA, packet.Up, packet.Down))
	if have := u.waiting([]netip.Addr{routerA}); len(have) != 0 {
		t.Errorf("waiting: %v", have)
	}
}

// The watchdog must not keep a vipd alive whose BFD stands.
func TestEngineThatStandsIsNotAlive(t *testing.T) {
	l := newLiveness(zap.NewNop())
	if err := l.alive(); err != nil {
		t.Errorf("nothing runs: %v", err)
	}
	l.answered()
	if err := l.alive(); err != nil {
		t.Error(err)
	}
	old := time.Now().Add(-bfdBeat - time.Second)
	l.beat.Store(&old)
	if err := l.alive(); err == nil {
		t.Error("stands, and nobody is told")
	}
}
