package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
)

// An absentee is a speaker with many neighbors, which goes away and comes back. Of
// what a connection does, all that a test of holds needs.
type absentee struct {
	frozen bool // away is: it takes calls and answers none; else nobody listens

	mu       sync.Mutex // guards all below: calls come by the reconciler's goroutines
	peers    map[netip.Addr]bgpclient.NeighborState
	requests map[netip.Addr][]string
	back     chan struct{} // closed when it is there
}

// here is nil if the speaker answers.
func (s *absentee) here(ctx context.Context) error {
	s.mu.Lock()
	back := s.back
	s.mu.Unlock()
	if !s.frozen {
		select {
		case <-back:
			return nil
		default:
			return fmt.Errorf("connection refused: %w", bgpclient.ErrLost)
		}
	}
	select {
	case <-back:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no answer: %w", bgpclient.ErrLost)
	}
}

func (s *absentee) leave() { s.mu.Lock(); defer s.mu.Unlock(); s.back = make(chan struct{}) }
func (s *absentee) come()  { s.mu.Lock(); defer s.mu.Unlock(); close(s.back) }

func (s *absentee) dial(ctx context.Context) (bgpclient.Conn, error) {
	if err := s.here(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", bgpclient.ErrAbsent, err)
	}
	return &attendance{absentee: s}, nil
}

// establish has a BGP session come up.
func (s *absentee) establish(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.peers[a]
	n.Neighbor, n.State, n.Since, n.AdminDown = bgpclient.Neighbor{Address: a}, bgpclient.Established, time.Now(), false
	s.peers[a] = n
}

// take gives what was asked for since it was last called.
func (s *absentee) take() map[netip.Addr][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = map[netip.Addr][]string{}
	return r
}

// disabled counts the neighbors that are.
func (s *absentee) disabled() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p.AdminDown {
			n++
		}
	}
	return n
}

// An attendance is a connection to it.
type attendance struct {
	bgpclient.Conn // panics for what is not below
	*absentee
}

func (c *attendance) API() string  { return "fake" }
func (c *attendance) Close() error { return nil }

func (c *attendance) Global(ctx context.Context) (bgpclient.Global, error) {
	return bgpclient.Global{ASN: 65001, RouterID: netip.MustParseAddr("10.9.9.9")}, c.here(ctx)
}

func (c *attendance) Paths(ctx context.Context, _ []netip.Prefix, _ func(bgpclient.Path)) error {
	return c.here(ctx)
}

func (c *attendance) Watch(ctx context.Context, ready func(), _ func(bgpclient.Change)) error {
	ready()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C: // the kernel tells of a process that is gone, not of one that stands
			if !c.frozen && c.here(ctx) != nil {
				return bgpclient.ErrLost
			}
		}
	}
}

func (c *attendance) Neighbors(ctx context.Context) ([]bgpclient.NeighborState, error) {
	if err := c.here(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.peers)), nil
}

func (c *attendance) DisableNeighbor(ctx context.Context, a netip.Addr, _ string) error {
	return c.admin(ctx, a, "disable")
}

func (c *attendance) EnableNeighbor(ctx context.Context, a netip.Addr) error {
	return c.admin(ctx, a, "enable")
}

func (c *attendance) admin(ctx context.Context, a netip.Addr, what string) error {
	if err := c.here(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[a] = append(c.requests[a], what)
	time.AfterFunc(30*time.Millisecond, func() { // it answers first and acts then, as GoBGP does
		c.mu.Lock()
		defer c.mu.Unlock()
		n := c.peers[a]
		if n.AdminDown = what == "disable"; n.AdminDown {
			n.State, n.Since = bgpclient.Idle, time.Now()
		}
		c.peers[a] = n
	})
	return nil
}

// A crowd is many neighbors and their sessions, which follow the engine's rules.
type crowd struct {
	*uplinks
	neighbors []netip.Addr
	state     []packet.State
	seq       []uint64
}

func (c *crowd) key(i int) bfdengine.Key { return bfdengine.Key{Peer: c.neighbors[i]} }

// move moves the sessions that are picked, and tells of all of them at once.
func (c *crowd) move(to packet.State, pick func(i int) bool) {
	var all []bfdengine.Change
	for i, from := range c.state {
		if !pick(i) || from == to {
			continue
		}
		c.seq[i]++
		c.state[i] = to
		all = append(all, bfdengine.Change{Key: c.key(i), Discr: uint32(i + 1), Seq: c.seq[i], Event: session.Event{
			From: from, To: to, At: time.Now(), Diag: packet.ControlDetectionTimeExpired,
		}})
	}
	c.changed(all)
}

// T72 A thousand sessions fail at once, and the speaker is away for half a minute.
// Meanwhile some recover, of those some fail again, and some routers connect anew,
// to a speaker that vipd can't reach. When it is back, each failure that is one still
// is acted on once, nothing else is, and in the end nobody stays disabled.
func TestAThousandFailuresWhileTheSpeakerIsAway(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(map[bool]string{false: "it is gone", true: "it stands"}[frozen], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { thousand(t, frozen) })
		})
	}
}

// crowded runs n neighbors with their sessions, and all that is between them and the
// speaker, until stop.
func crowded(t *testing.T, s *absentee, n int) (c *crowd, rec *bgpclient.Reconciler, stop func()) {
	c = &crowd{uplinks: newUplinks(zap.NewNop(), nil), seq: make([]uint64, n)}
	rec = bgpclient.New(bgpclient.Options{Owner: 1, Log: zap.NewNop(), Dial: s.dial, Held: c.news})
	c.hold, c.holds, c.seen = rec.Hold, rec.Holds, rec.Neighbors
	c.peer = func(bfdengine.Key) (bfdengine.Snapshot, bool) { return bfdengine.Snapshot{}, false }
	c.report = func(context.Context, healthloop.Uplinks) error { return nil }
	var all []config.Neighbor
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		c.neighbors, c.state = append(c.neighbors, a), append(c.state, packet.Down)
		all = append(all, config.Neighbor{Address: a, BFD: &config.NeighborBFD{
			BFDKey: config.BFDKey{Peer: a}, OnDown: config.OnBFDDownDisable, HoldUp: 5 * time.Second, HoldUpMax: time.Minute,
		}})
		s.establish(a)
	}
	c.configure(all)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{rec.Run, c.Run} {
		running.Go(func() { // until stop
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return c, rec, func() { cancel(); running.Wait() }
}

// wantRequests fails unless this was asked for the neighbors that are picked, once,
// and nothing for any other.
func (c *crowd) wantRequests(t *testing.T, s *absentee, what string, pick func(i int) bool) {
	t.Helper()
	requests := s.take()
	for i, a := range c.neighbors {
		var want []string
		if pick(i) {
			want = []string{what}
		}
		if have := requests[a]; !slices.Equal(have, want) {
			t.Fatalf("neighbor %d: asked for %v, want %v", i, have, want)
		}
	}
}

func thousand(t *testing.T, frozen bool) {
	const n, groups = 1002, 6
	everybody := func(int) bool { return true }
	one := func(of ...int) func(int) bool { return func(i int) bool { return slices.Contains(of, i%groups) } }
	pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }

	s := &absentee{
		frozen: frozen, peers: map[netip.Addr]bgpclient.NeighborState{},
		requests: map[netip.Addr][]string{}, back: make(chan struct{}),
	}
	s.come()
	c, rec, stop := crowded(t, s, n)
	defer stop()
	pass(time.Minute)
	c.move(packet.Up, everybody)
	pass(time.Minute)
	s.leave()
	pass(time.Second)
	c.move(packet.Down, everybody)
	pass(9 * time.Second)
	c.move(packet.Up, one(1, 2)) // recover
	pass(10 * time.Second)
	c.move(packet.Down, one(2)) // and fail again
	for i, a := range c.neighbors {
		if i%groups == 3 { // connect anew
			s.establish(a)
		}
	}
	pass(9 * time.Second)
	c.move(packet.Up, one(5)) // just in time, and not held up yet
	pass(time.Second)
	if r := s.take(); len(r) > 0 {
		t.Errorf("requests to a speaker that is away: %v", r)
	}

	s.come()
	began, failed := time.Now(), one(0, 2, 4)
	for s.disabled() < n*3/groups && time.Since(began) < time.Minute {
		pass(10 * time.Millisecond)
	}
	t.Logf("all were acted on within %v", time.Since(began))
	pass(time.Minute)
	c.wantRequests(t, s, "disable", failed)
	if have, want := c.counted(), (healthloop.Uplinks{Up: n * 3 / groups, Total: n}); have != want {
		t.Errorf("%+v, want %+v", have, want)
	}

	c.move(packet.Up, everybody)
	pass(2 * time.Minute) // with the hold-up of those that failed twice
	c.wantRequests(t, s, "enable", failed)
	if have, want := c.counted(), (healthloop.Uplinks{Up: n, Total: n}); have != want || len(rec.Holds()) > 0 {
		t.Errorf("%+v, want %+v; holds %d", have, want, len(rec.Holds()))
	}
}
