package bgpclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

var errNoGlobal = errors.New("the speaker has no global configuration yet (give it one, or set bgp.manage: true)")

// A lane is the one way by which changes reach the speaker, for the life of
// one connection. Serial: gobgpd 4.0 to 4.2 race in concurrent AddPath.
type lane struct {
	*Reconciler
	conn     Conn
	failing  map[netip.Prefix]struct{} // with a retry ahead
	singly   int                       // so many next changes go one by one: a batch with a bad one was refused
	open     bool                      // the export policy is not in force
	pushed   map[netip.Addr]Neighbor   // neighbors written on this connection
	peerWake chan struct{}             // a neighbor changed
	current  chan struct{}             // closed when the table was made as wanted once
}

func newLane(r *Reconciler, conn Conn) *lane {
	return &lane{
		Reconciler: r, conn: conn,
		failing:  map[netip.Prefix]struct{}{},
		peerWake: make(chan struct{}, 1),
		pushed:   map[netip.Addr]Neighbor{},
		current:  make(chan struct{}),
	}
}

// run starts three goroutines, which end with the connection or with ctx: one
// listens to the speaker's events, one writes, and one holds neighbors.
func (l *lane) run(ctx context.Context) error {
	global, err := l.awaitGlobal(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.listen(ctx) })
	g.Go(func() error { return l.serve(ctx, global) })
	g.Go(func() error { return l.steward(ctx) })
	return g.Wait()
}

// listen hears what the speaker tells. It begins when the routes are there: a
// speaker that is to tell each of them back sends them to its neighbors in
// twice the time. What changed before is found by a look at everything.
func (l *lane) listen(ctx context.Context) error {
	select {
	case <-l.current:
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mute := time.AfterFunc(unaryTimeout, func() { cancel(fmt.Errorf("watch: no answer: %w", ErrLost)) })
	defer mute.Stop()
	err := l.conn.Watch(ctx, sync.OnceFunc(func() {
		mute.Stop()
		l.table.suspectAll()
		l.Wake()
		wake(l.peerWake)
		wake(l.holds.wake)
	}), l.heard)
	if err == nil && ctx.Err() == nil {
		return ErrLost
	}
	return cmp.Or(err, context.Cause(ctx))
}

// heard is called by the watching goroutine.
func (l *lane) heard(c Change) {
	if c.Neighbor.IsValid() {
		wake(l.peerWake)
		wake(l.holds.wake)
		return
	}
	if l.table.suspectPrefix(c.Prefix) {
		l.Wake()
	}
}

// awaitGlobal waits until the speaker has its own configuration, which gobgpd
// reads after it has begun to answer, or gives it one where that is our job: not
// at once, since a gobgpd that finds BGP started when it comes to its own file
// ends itself.
func (l *lane) awaitGlobal(ctx context.Context) (Global, error) {
	began := time.Now()
	for {
		l.progress()
		global, err := l.global(ctx)
		if err != nil || global.ASN != 0 {
			return global, err
		}
		want := l.manage.Load()
		// Nobody else configures the embedded speaker.
		if want != nil && (want.Global.UnicastOnly || time.Since(began) >= ownGlobal) {
			if err := l.start(ctx, want.Global); err != nil {
				return Global{}, err
			}
			continue
		}
		if want == nil {
			l.disconnected(errNoGlobal)
		}
		select {
		case <-ctx.Done():
			return Global{}, ctx.Err()
		case <-time.After(waitGlobal):
		}
	}
}

func (l *lane) global(ctx context.Context) (Global, error) {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	return l.conn.Global(ctx)
}

func (l *lane) start(ctx context.Context, g Global) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	if err := l.conn.Start(ctx, g); err != nil {
		return fmt.Errorf("start bgp (AS %d, router id %s, port %d): %w", g.ASN, g.RouterID, g.ListenPort, err)
	}
	l.opts.Log.Info("speaker started", zap.Uint32("asn", g.ASN), zap.Stringer("router_id", g.RouterID))
	return nil
}

// serve brings the speaker up to date and keeps it so. The order at the start
// matters: policies before routes, so that nothing leaks; routes before
// neighbors, so that a restarted speaker's first words are the whole truth.
func (l *lane) serve(ctx context.Context, global Global) error {
	if err := l.policies(ctx, global); err != nil {
		return err
	}
	if err := l.adopt(ctx); err != nil {
		return err
	}
	l.live.Store(&live{conn: l.conn, life: ctx})
	l.linkIs(&Link{Connected: true, API: l.conn.API(), Global: global, Since: time.Now()})
	if err := l.putBack(ctx); err != nil {
		return err
	}
	if err := l.neighbors(ctx, global); err != nil {
		return err
	}
	close(l.current)
	l.opts.Log.Info("speaker connected", zap.String("api", l.conn.API()), zap.Uint32("asn", global.ASN))
	return l.loop(ctx, global)
}

// loop is woken by decisions, events and clocks; what there is to do it reads
// from the table.
func (l *lane) loop(ctx context.Context, global Global) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	var settle <-chan time.Time // nil while nothing is suspect
	paths, peers := time.NewTicker(pollPaths), time.NewTicker(pollPeers)
	defer paths.Stop()
	defer peers.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
			if settle == nil && l.table.suspects() > 0 {
				settle = time.After(settleEvents + time.Duration(l.table.suspects())*settleRoute)
			}
			err = l.pass(ctx)
		case <-retry.C: // what is due then is marked below
		case <-settle:
			settle = nil
			err = l.relist(ctx, l.table.takeSuspects())
		case <-paths.C:
			err = l.relist(ctx, l.table.prefixes())
		case <-l.peerWake:
			err = l.neighbors(ctx, global)
		case <-peers.C:
			err = l.configure(ctx, global)
		case <-l.manageWake:
			err = l.configure(ctx, global)
		}
		if err != nil {
			return err
		}
		l.progress()
		if next := l.table.due(l.failing, time.Now()); !next.IsZero() {
			retry.Reset(time.Until(next))
		}
		if l.table.anyDirty() {
			l.Wake()
		}
	}
}

// adopt reads the whole table: routes of a former life become what is there.
func (l *lane) adopt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bulkTimeout)
	defer cancel()
	var all []Path
	keep := l.table.manages()
	// What is heard from here on may be newer than the listing.
	l.table.takeSuspects()
	err := l.conn.Paths(ctx, nil, func(p Path) {
		// A speaker may hold a whole Internet's table besides.
		if p.ID == l.opts.Owner || keep(p.Route.Prefix) {
			all = append(all, p)
		}
	})
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	l.tell(l.table.sawAll(all))
	return nil
}

// putBack sends what the speaker lacks at the start of a connection. It is read
// back with the look at everything, once events are heard: to show 10,000 routes
// now would keep the speaker from sending them to its neighbors.
func (l *lane) putBack(ctx context.Context) error {
	sent, err := l.send(ctx)
	if err == nil {
		return nil
	}
	if err := l.verify(ctx, sent, err); err != nil {
		return err
	}
	return l.pass(ctx)
}

// pass carries out what is due until nothing is, and reads it back.
func (l *lane) pass(ctx context.Context) error {
	for {
		sent, err := l.send(ctx)
		if len(sent) == 0 {
			l.singly = 0
			return nil
		}
		if err := l.verify(ctx, sent, err); err != nil {
			return err
		}
	}
}

// send carries out what is due. Each batch is made of what is wanted at that
// moment, withdrawals first; full ones follow each other before any is read back,
// since a neighbor waits for the routes and not for our look.
func (l *lane) send(ctx context.Context) (sent []Op, err error) {
	for {
		limit := batchOps
		if l.singly > 0 {
			limit, l.singly = 1, l.singly-1
		}
		ops, took := l.table.take(limit, time.Now())
		l.confirmed(took)
		err := l.apply(ctx, ops)
		sent = append(sent, ops...)
		l.progress()
		if err != nil || len(ops) < batchOps {
			return sent, err
		}
	}
}

// verify believes only what the speaker shows after changes were sent, the last
// of them with err. One route that a speaker refuses must not keep back the
// others: what a failed batch left undone is tried one by one.
func (l *lane) verify(ctx context.Context, sent []Op, err error) error {
	if lost(ctx, err) {
		return fmt.Errorf("change routes: %w", err)
	}
	differ, lerr := l.list(ctx, prefixesOf(sent))
	if lerr != nil {
		return lerr
	}
	if err != nil && len(sent) > 1 {
		l.table.again(differ)
		l.singly = len(differ)
		return nil
	}
	if err == nil {
		err = errors.New("the speaker took the change, but does not show it")
	}
	for _, op := range differ {
		l.opFailed(op, err)
	}
	return nil
}

func (l *lane) opFailed(op Op, err error) {
	counts, news := l.table.failed(op.Route.Prefix, err, time.Now())
	if counts {
		l.failing[op.Route.Prefix] = struct{}{}
	}
	if news {
		l.opts.Log.Error("route not as wanted, trying on", zap.Stringer("op", op.Verb),
			zap.Stringer("prefix", op.Route.Prefix), zap.Error(err))
	}
}

func (l *lane) apply(ctx context.Context, ops []Op) error {
	if len(ops) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeoutFor(len(ops)))
	defer cancel()
	return l.conn.Apply(ctx, ops)
}

// list asks for prefixes anew and returns the changes that they still need.
func (l *lane) list(ctx context.Context, prefixes []netip.Prefix) ([]Op, error) {
	ctx, cancel := context.WithTimeout(ctx, timeoutFor(len(prefixes)))
	defer cancel()
	var paths []Path
	if err := l.conn.Paths(ctx, prefixes, func(p Path) { paths = append(paths, p) }); err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	n := l.table.saw(prefixes, paths, time.Now())
	l.tell(n)
	return n.differ, nil
}

// relist looks for drift: what somebody else did to routes of ours.
func (l *lane) relist(ctx context.Context, prefixes []netip.Prefix) error {
	if len(prefixes) == 0 {
		return nil
	}
	differ, err := l.list(ctx, prefixes)
	if err != nil {
		return err
	}
	l.table.again(differ)
	return nil
}

// tell passes on what a look brought. A foreign route is somebody's to know,
// and nobody's to delete.
func (l *lane) tell(n news) {
	l.confirmed(n.confirmed)
	for _, prefix := range n.foreign {
		l.opts.Log.Warn("the speaker has a local route of somebody else for a VIP: it is left alone, and attracts traffic whatever vipd decides",
			zap.Stringer("prefix", prefix))
	}
}

func (l *lane) confirmed(took []time.Duration) {
	for _, d := range took {
		l.opts.Confirmed(d)
	}
}

func timeoutFor(n int) time.Duration {
	const few = 64
	if n <= few {
		return unaryTimeout
	}
	return bulkTimeout
}

// prefixesOf names each prefix once: a changed mind can put one into two batches.
func prefixesOf(ops []Op) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(ops))
	seen := make(map[netip.Prefix]struct{}, len(ops))
	for _, op := range ops {
		if _, twice := seen[op.Route.Prefix]; !twice {
			seen[op.Route.Prefix] = struct{}{}
			out = append(out, op.Route.Prefix)
		}
	}
	return out
}
