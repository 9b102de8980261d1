package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A fakeSpeaker is a BGP daemon that can misbehave. Its table outlives its
// connections, but not a restart.
type fakeSpeaker struct {
	owner uint32

	mu      sync.Mutex
	rng     *rand.Rand // nil: no faults
	down    bool
	frozen  chan struct{} // not nil: RPCs wait for it
	stuck   string        // only those of this name do; empty: all
	global  Global
	paths   map[netip.Prefix]map[uint32]Path
	peers   map[netip.Addr]NeighborState
	adjOut  map[netip.Addr][]Outgoing // for any prefix
	policy  []string
	rules   []ExportRule  // of the policy added last
	deaf    int           // so many next requests for an admin state are dropped
	late    time.Duration // what the others take to act
	refuse  map[netip.Prefix]error
	fail    map[string][]error // what the next calls of that name end with
	slow    time.Duration      // of each Apply
	mute    bool               // Watch does not begin
	listed  func()             // called after the whole table was read
	conns   map[*fakeConn]struct{}
	ops     []Op // applied for the owner, in order
	applies int  // calls of Apply
	calls   []string
}

func newFakeSpeaker(owner uint32) *fakeSpeaker {
	return &fakeSpeaker{
		owner: owner, global: Global{ASN: 65001, RouterID: netip.MustParseAddr("10.0.0.1")},
		paths: map[netip.Prefix]map[uint32]Path{}, peers: map[netip.Addr]NeighborState{}, adjOut: map[netip.Addr][]Outgoing{},
		refuse: map[netip.Prefix]error{}, fail: map[string][]error{}, conns: map[*fakeConn]struct{}{},
	}
}

// dial is an Options.Dial.
func (f *fakeSpeaker) dial(ctx context.Context) (Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, fmt.Errorf("dial: %w", ErrAbsent)
	}
	c := &fakeConn{f: f, gone: make(chan struct{}), events: map[Change]struct{}{}, wake: make(chan struct{}, 1)}
	f.conns[c] = struct{}{}
	return c, nil
}

// stop kills the daemon: its table and all connections are gone.
func (f *fakeSpeaker) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = true
	f.paths = map[netip.Prefix]map[uint32]Path{}
	f.cutAll()
}

func (f *fakeSpeaker) start() { f.mu.Lock(); defer f.mu.Unlock(); f.down = false }

func (f *fakeSpeaker) cutAll() {
	for c := range f.conns {
		close(c.gone)
		delete(f.conns, c)
	}
}

// put and remove are somebody else at the daemon.
func (f *fakeSpeaker) put(p Path) { f.mu.Lock(); defer f.mu.Unlock(); f.store(p) }

func (f *fakeSpeaker) remove(prefix netip.Prefix, id uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.paths[prefix], id)
	f.announce(Change{Prefix: prefix})
}

func (f *fakeSpeaker) store(p Path) {
	if f.paths[p.Route.Prefix] == nil {
		f.paths[p.Route.Prefix] = map[uint32]Path{}
	}
	f.paths[p.Route.Prefix][p.ID] = p
	f.announce(Change{Prefix: p.Route.Prefix})
}

func (f *fakeSpeaker) announce(ch Change) {
	for c := range f.conns {
		if c.watched {
			c.events[ch] = struct{}{}
			wake(c.wake)
		}
	}
}

// with returns the routes that carry id.
func (f *fakeSpeaker) with(id uint32) map[netip.Prefix]Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[netip.Prefix]Route{}
	for prefix, byID := range f.paths {
		if p, ok := byID[id]; ok {
			out[prefix] = p.Route
		}
	}
	return out
}

func (f *fakeSpeaker) applied() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// A fakeConn is one connection to it.
type fakeConn struct {
	f       *fakeSpeaker
	gone    chan struct{}
	watched bool // what happens before Watch is told to nobody
	events  map[Change]struct{}
	wake    chan struct{}
}

var errFault = errors.New("rpc error: code = Unknown desc = out of luck")

// enter delays, freezes and fails calls. lie is set when the call shall report
// success and do nothing; late when it shall act after having failed.
func (c *fakeConn) enter(ctx context.Context, name string) (lie, late bool, err error) {
	c.f.mu.Lock()
	c.f.calls = append(c.f.calls, name)
	frozen, delay, dice := c.f.frozen, time.Duration(0), 1.0
	if c.f.stuck != "" && c.f.stuck != name {
		frozen = nil
	}
	if name == "Apply" {
		delay = c.f.slow
	}
	if c.f.rng != nil {
		delay, dice = time.Duration(c.f.rng.IntN(20))*time.Millisecond, c.f.rng.Float64()
		if dice < 0.03 {
			delay = 3 * time.Second
		}
	}
	c.f.mu.Unlock()
	if frozen == nil {
		frozen = closed
	}
	for _, wait := range []<-chan struct{}{frozen, after(delay)} {
		select {
		case <-wait:
		case <-ctx.Done():
			return false, dice < 0.02, fmt.Errorf("%s: %w: %w", name, ErrLost, ctx.Err())
		case <-c.gone:
			return false, false, fmt.Errorf("%s: %w", name, ErrLost)
		}
	}
	switch {
	case dice < 0.08:
		return false, dice < 0.05, fmt.Errorf("%s: %w", name, errFault)
	case dice < 0.12:
		return true, false, nil
	}
	return false, false, nil
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func after(d time.Duration) <-chan struct{} {
	if d == 0 {
		return closed
	}
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

func (c *fakeConn) Apply(ctx context.Context, ops []Op) error {
	lie, late, err := c.enter(ctx, "Apply")
	if err == nil && lie {
		return nil
	}
	f := c.f
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applies++
	for i, op := range ops {
		if refused := f.refuse[op.Route.Prefix]; refused != nil && op.Verb == Put {
			return refused
		}
		if err != nil && (!late || i > len(ops)/2) {
			return err
		}
		f.ops = append(f.ops, op)
		if op.Verb == Delete {
			delete(f.paths[op.Route.Prefix], f.owner)
			f.announce(Change{Prefix: op.Route.Prefix})
			continue
		}
		f.store(Path{Route: op.Route, ID: f.owner})
	}
	return err
}

func (c *fakeConn) Paths(ctx context.Context, prefixes []netip.Prefix, yield func(Path)) error {
	if _, _, err := c.enter(ctx, "Paths"); err != nil {
		return err
	}
	c.f.mu.Lock()
	asked := prefixes
	if asked == nil {
		asked = slices.Collect(maps.Keys(c.f.paths))
	}
	var out []Path
	for _, prefix := range asked { // as often as it was asked
		for _, p := range c.f.paths[prefix] {
			out = append(out, p)
		}
	}
	listed := c.f.listed
	c.f.mu.Unlock()
	if prefixes == nil && listed != nil {
		listed()
	}
	for _, p := range out {
		yield(p)
	}
	return nil
}

func (c *fakeConn) Watch(ctx context.Context, ready func(), changed func(Change)) error {
	c.f.mu.Lock()
	c.watched = true
	mute := c.f.mute
	c.f.mu.Unlock()
	if mute {
		<-ctx.Done()
		return nil
	}
	ready()
	ready() // as a speaker may that tells twice that it has begun
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.gone:
			return ErrLost
		case <-c.wake:
		}
		c.f.mu.Lock()
		events := c.events
		c.events = map[Change]struct{}{}
		c.f.mu.Unlock()
		for e := range events {
			changed(e)
		}
	}
}

func (c *fakeConn) Global(ctx context.Context) (Global, error) {
	if _, _, err := c.enter(ctx, "Global"); err != nil {
		return Global{}, err
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	return c.f.global, nil
}

func (c *fakeConn) Start(_ context.Context, g Global) error {
	return c.do("Start", func() { c.f.global = g })
}

func (c *fakeConn) Neighbors(context.Context) ([]NeighborState, error) {
	var out []NeighborState
	err := c.do("Neighbors", func() {
		for _, n := range c.f.peers {
			out = append(out, n)
		}
	})
	return out, err
}

func (c *fakeConn) AdjOut(ctx context.Context, a netip.Addr, _ netip.Prefix) ([]Outgoing, error) {
	if _, _, err := c.enter(ctx, "AdjOut"); err != nil {
		return nil, err
	}
	var out []Outgoing
	err := c.do("AdjOut", func() { out = slices.Clone(c.f.adjOut[a]) })
	return out, err
}

func (c *fakeConn) AddNeighbor(_ context.Context, n Neighbor) error {
	return c.do("AddNeighbor", func() { c.f.peers[n.Address] = NeighborState{Neighbor: n, State: Established} })
}

func (c *fakeConn) UpdateNeighbor(_ context.Context, n Neighbor) error {
	return c.do("UpdateNeighbor", func() { c.f.peers[n.Address] = NeighborState{Neighbor: n, State: Established} })
}

func (c *fakeConn) DeleteNeighbor(_ context.Context, a netip.Addr) error {
	return c.do("DeleteNeighbor", func() { delete(c.f.peers, a) })
}

func (c *fakeConn) EnableNeighbor(_ context.Context, a netip.Addr) error {
	return c.do("EnableNeighbor", func() { c.f.setAdmin(a, false) })
}

func (c *fakeConn) DisableNeighbor(_ context.Context, a netip.Addr, _ string) error {
	return c.do("DisableNeighbor", func() { c.f.setAdmin(a, true) })
}

func (c *fakeConn) ExportPolicies(context.Context) ([]string, error) {
	var out []string
	err := c.do("ExportPolicies", func() { out = slices.Clone(c.f.policy) })
	return out, err
}

func (c *fakeConn) AddExportPolicy(_ context.Context, p ExportPolicy) error {
	return c.do("AddExportPolicy", func() { c.f.policy, c.f.rules = append(c.f.policy, p.Name), p.Rules })
}

func (c *fakeConn) DeleteExportPolicy(_ context.Context, name string) error {
	return c.do("DeleteExportPolicy", func() {
		c.f.policy = slices.DeleteFunc(c.f.policy, func(have string) bool { return have == name })
	})
}

func (c *fakeConn) SoftResetOut(context.Context, netip.Addr) error {
	return c.do("SoftResetOut", func() {})
}

func (c *fakeConn) API() string  { return "fake" }
func (c *fakeConn) Close() error { return nil }

func (c *fakeConn) do(name string, act func()) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.calls = append(c.f.calls, name)
	select {
	case <-c.gone:
		return ErrLost
	default:
	}
	if errs := c.f.fail[name]; len(errs) > 0 {
		c.f.fail[name] = errs[1:]
		return errs[0]
	}
	act()
	return nil
}
