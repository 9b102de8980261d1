package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Bounds of what the reconciler does at a time. They are not configurable:
// none of them changes what is announced in the end.
const (
	batchOps     = 2000                   // so that a withdrawal never waits for more than these
	unaryTimeout = 2 * time.Second        // an RPC on a few paths
	bulkTimeout  = 30 * time.Second       // an RPC on many
	settleEvents = 10 * time.Millisecond  // gather what the speaker tells before asking it
	settleRoute  = 20 * time.Microsecond  // for each route to ask for: the speaker may be sending it
	pollPaths    = 30 * time.Second       // a belt: events should have told already
	pollPeers    = 5 * time.Second        // how old neighbor counters may be
	waitGlobal   = 100 * time.Millisecond // between questions whether gobgpd has its configuration
	ownGlobal    = 300 * time.Millisecond // how long it has to come with one before it is given ours
	dialTimeout  = 2 * time.Second
)

// Options of a Reconciler. Dial, Owner and Log are required.
type Options struct {
	// Dial opens a connection whose writes carry Owner. It is called again
	// whenever the last one was lost.
	Dial  func(ctx context.Context) (Conn, error)
	Owner uint32
	Log   *zap.Logger
	// Confirmed is told how long the speaker took to show a decision, for
	// each one that needed a change.
	Confirmed func(took time.Duration)
	// Disabled are the neighbors that a former life disabled, by Remember: they
	// are ours to enable.
	Disabled []netip.Addr
	// Remember keeps, beyond this process, which neighbors are disabled by us;
	// nil: nobody does. It is called before the first of them is.
	Remember func(ctx context.Context, disabled []netip.Addr) error
	// Held is called when Status.Holds changed at the speaker; it returns at once.
	Held func()
	// Changed is called when what Route tells of a prefix changed, Linked when
	// Link did, and Peers when Neighbors differ by more than counters; each may
	// be nil, and is called once too often rather than too seldom. Run's
	// goroutines call them, Changed also whoever calls Set, Keep, Withdraw or
	// Forget, and no lock is held: they may ask the Reconciler anything that
	// does not wait, and return at once.
	Changed func(prefix netip.Prefix)
	Linked  func()
	Peers   func()
}

// A Reconciler makes a speaker's table equal to the wanted one, again and
// again, whatever happens to either. Its methods may be called from any
// goroutine, before and during Run.
type Reconciler struct {
	opts       Options
	table      *table
	holds      *holds
	manage     atomic.Pointer[Management]
	wake       chan struct{} // table
	manageWake chan struct{} // manage
	link       atomic.Pointer[Link]
	peers      atomic.Pointer[[]NeighborState]
	// live is the lane's connection, for questions that change nothing and must
	// not wait for the lane; nil: none is in use. Whoever took one that ends
	// meanwhile gets ErrLost from it, so nothing more has to be kept in step.
	live   atomic.Pointer[live]
	asking chan time.Time // the turn to ask what neighbors are sent, and when
	beat   atomic.Int64   // unix nanoseconds of the last time round
	// had is every neighbor that was managed in this life: one that is no
	// longer wanted is ours to delete. The lane's goroutine owns it.
	had map[netip.Addr]struct{}
	// owed is every neighbor that was not sent its routes anew since the
	// export policy changed. It outlives a connection; the lane's too.
	owed map[netip.Addr]struct{}
	// exported is the policy that was in force last; nil: not known yet.
	exported *ExportPolicy
}

// New makes a Reconciler that wants nothing yet.
func New(opts Options) *Reconciler {
	if opts.Confirmed == nil {
		opts.Confirmed = func(time.Duration) {}
	}
	r := &Reconciler{
		opts: opts, table: newTable(opts.Owner, opts.Changed), had: map[netip.Addr]struct{}{}, owed: map[netip.Addr]struct{}{},
		holds: newHolds(opts.Disabled),
		wake:  make(chan struct{}, 1), manageWake: make(chan struct{}, 1), asking: make(chan time.Time, 1),
	}
	r.asking <- time.Time{}
	r.link.Store(&Link{Problem: "not connected yet"})
	r.beat.Store(time.Now().UnixNano())
	return r
}

// Set says what is wanted for route's prefix from now on.
func (r *Reconciler) Set(route Route) {
	route = route.Normalize()
	r.set(route.Prefix, Want{State: Present, Route: route}, false)
}

// Keep leaves a route of ours for prefix as it is until something is wanted.
func (r *Reconciler) Keep(prefix netip.Prefix) { r.set(prefix.Masked(), Want{State: Keep}, false) }

// Withdraw wants no route of ours for prefix.
func (r *Reconciler) Withdraw(prefix netip.Prefix) { r.set(prefix.Masked(), Want{}, false) }

// Forget withdraws and then stops watching prefix.
func (r *Reconciler) Forget(prefix netip.Prefix) { r.set(prefix.Masked(), Want{}, true) }

func (r *Reconciler) set(prefix netip.Prefix, w Want, forget bool) {
	if r.table.set(prefix, w, forget, time.Now()) {
		r.Wake()
	}
}

// Wake asks for another pass. Many wakes are one: a pass reads the whole state,
// so nothing is lost by merging them.
func (r *Reconciler) Wake() { wake(r.wake) }

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Synced waits until the whole table was compared once on a live connection.
func (r *Reconciler) Synced(ctx context.Context) error {
	return r.await(ctx, func(synced bool, _ int) bool { return synced })
}

// Settled waits until the speaker shows exactly what is wanted.
func (r *Reconciler) Settled(ctx context.Context) error {
	return r.await(ctx, func(synced bool, open int) bool { return synced && open == 0 })
}

// Ready is nil while the speaker is connected and its table was compared.
func (r *Reconciler) Ready() error {
	if l := r.link.Load(); !l.Connected {
		return errors.New(l.Problem)
	}
	if synced, _, _ := r.table.state(); !synced {
		return errors.New("the speaker's table was not compared yet")
	}
	return nil
}

func (r *Reconciler) await(ctx context.Context, done func(synced bool, open int) bool) error {
	for {
		synced, open, changed := r.table.state()
		if done(synced, open) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r.unsettled(open, context.Cause(ctx))
		}
	}
}

// unsettled says what a wait was in vain for.
func (r *Reconciler) unsettled(open int, cause error) error {
	if l := r.link.Load(); !l.Connected {
		return fmt.Errorf("%w: %s", cause, l.Problem)
	}
	return fmt.Errorf("%w: %d routes are not as wanted", cause, open)
}

// Run connects, reconciles and reconnects until ctx ends. It leaves the
// speaker's table as it is then; who wants it empty withdraws first and waits
// for Settled.
func (r *Reconciler) Run(ctx context.Context) error {
	var wait redial
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		r.table.lost()
		r.holds.lost()
		if ctx.Err() != nil {
			break
		}
		r.disconnected(err)
		if time.Since(began) > dialTimeout {
			wait = redial{}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait.next(err)):
		}
		r.progress()
	}
	return nil
}

// progress is what the watchdog looks at.
func (r *Reconciler) progress() { r.beat.Store(time.Now().UnixNano()) }

// Beat tells when Run last went round its loop. It does so at least every few
// seconds, however dead the speaker is.
func (r *Reconciler) Beat() time.Time { return time.Unix(0, r.beat.Load()) }

// disconnected publishes and logs, once for a cause that lasts.
func (r *Reconciler) disconnected(err error) {
	last := r.link.Load()
	l := &Link{Problem: err.Error(), Since: time.Now()}
	if !last.Connected {
		l.Since = last.Since
	}
	r.linkIs(l)
	if last.Connected || last.Problem != l.Problem {
		r.opts.Log.Warn("speaker not usable, trying on", zap.Error(err))
	}
}

// linkIs publishes the link.
func (r *Reconciler) linkIs(l *Link) {
	last := r.link.Swap(l)
	if r.opts.Linked != nil && (last.Connected != l.Connected || last.Problem != l.Problem || l.Connected && last.Since != l.Since) {
		r.opts.Linked()
	}
}

// session serves one connection until it is lost, and returns why.
func (r *Reconciler) session(ctx context.Context) error {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, err := r.opts.Dial(dialCtx)
	cancel()
	if err != nil {
		return err
	}
	l := newLane(r, conn)
	err = l.run(ctx)
	r.live.Store(nil)
	err = errors.Join(err, conn.Close())
	if err == nil {
		err = ErrLost
	}
	return err
}

// A redial paces attempts. A port where nobody listens answers at once and at
// little cost, so it is tried often, and most often for as long as a restart
// takes: gobgpd's peers wait for the routes of a restarted one for about a
// second only. Anything else backs off to a second.
type redial struct {
	delay  time.Duration
	absent time.Duration // how long nobody listened
}

func (d *redial) next(err error) time.Duration {
	const restart, eager, quick, slow = 10 * time.Second, 10 * time.Millisecond, 50 * time.Millisecond, time.Second
	if errors.Is(err, ErrAbsent) && d.absent < restart {
		d.absent += eager
		return eager
	}
	if errors.Is(err, ErrAbsent) || errors.Is(err, ErrLost) {
		d.delay = quick
		return quick
	}
	d.delay = min(max(2*d.delay, quick), slow)
	return d.delay
}
