// Package drain takes a node out of service step by step, and tells how far it
// is. What a step does is for others: it only orders them and waits.
package drain

import (
	"context"
	"sync"
	"time"
)

// The phases of a drain, as the API calls them.
const (
	PreferOthers = "prefer_others" // announced so that the network prefers others
	Withdrawing  = "withdrawing"   // withdrawn here, and not yet seen so at the speaker
	Withdrawn    = "withdrawn"     // the speaker shows no route; connections are still open
	Drained      = "drained"       // nothing is left to wait for
)

// The outcomes of a drain.
const (
	Confirmed       = "confirmed"        // no route and, where they are counted, no connection is left
	ConnectionsLeft = "connections_left" // the limit came first
	Ended           = "ended"            // by undrain, another drain, or the end of vipd
)

// countEach is how often connections are counted.
const countEach = 500 * time.Millisecond

// An Order is a drain that somebody asked for.
type Order struct {
	By, Reason   string
	Since, Until time.Time // zero Until: no end
	// Prefer is how long to prefer others before the withdrawal.
	Prefer time.Duration
	// Limit bounds the wait for connections to end.
	Limit time.Duration
}

// Steps is what a drain does. They keep to ctx.
type Steps struct {
	Prefer   func(context.Context, Order) error
	Withdraw func(context.Context, Order) error
	// Withdrawn waits a moment for the speaker to show no route. If it does not,
	// it returns how many are left, and why that is not known where it is not.
	Withdrawn func(context.Context) (done bool, left int, err error)
	// Connections counts those to the VIPs; nil: they are not counted.
	Connections func(context.Context) (int, error)
	// Told is called when the progress changed. It returns at once, and does not
	// call the Runner.
	Told func(Progress)
	// Over is called when an order's Until has come.
	Over func(context.Context, Order)
}

// Progress is how far a drain is.
type Progress struct {
	Order       Order
	Phase       string // empty: not draining
	RoutesLeft  int
	Connections int
	Done        bool
	Outcome     string
	Problem     string // of the last step or count
}

// A Runner carries out one order at a time.
type Runner struct {
	steps Steps
	wake  chan struct{}

	// mu guards what is below: orders come from one goroutine, are carried out
	// by another, and are watched by many.
	mu      sync.Mutex
	order   *Order
	cancel  context.CancelFunc // of the order that is carried out
	working chan struct{}      // closed when its steps have ended
	now     Progress
	changed chan struct{} // closed and renewed with now
}

// New returns a Runner without an order.
func New(s Steps) *Runner {
	idle := make(chan struct{})
	close(idle)
	return &Runner{steps: s, wake: make(chan struct{}, 1), changed: make(chan struct{}), cancel: func() {}, working: idle}
}

// Set replaces the order; nil ends the drain. When it returns, no step of the
// former order is carried out any more: what the caller does next is not undone
// by one that came late.
func (r *Runner) Set(o *Order) {
	r.mu.Lock()
	r.order = o
	r.cancel()
	p := Progress{}
	if o != nil {
		p = Progress{Order: *o, Phase: Withdrawing}
		if o.Prefer > 0 {
			p.Phase = PreferOthers
		}
	}
	r.put(p)
	working := r.working
	r.mu.Unlock()
	<-working
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Progress tells how far it is, and returns a channel that is closed when that
// changes.
func (r *Runner) Progress() (Progress, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.changed
}

// Run carries out orders until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		r.mu.Lock()
		o := r.order
		if o == nil {
			r.mu.Unlock()
			continue
		}
		sub, cancel := context.WithCancel(ctx)
		r.cancel, r.working = cancel, make(chan struct{})
		working := r.working
		r.mu.Unlock()
		r.carry(sub, *o, working)
		cancel()
	}
}

// carry carries out one order, and then waits for its end.
func (r *Runner) carry(ctx context.Context, o Order, working chan struct{}) {
	go func() { // ends with ctx, or with the last step
		defer close(working)
		r.follow(ctx, o)
	}()
	until := r.until(o)
	select {
	case <-ctx.Done():
	case <-until:
		r.steps.Over(ctx, o)
		<-ctx.Done()
	}
	<-working
}

func (r *Runner) until(o Order) <-chan time.Time {
	if o.Until.IsZero() {
		return nil
	}
	return time.After(time.Until(o.Until))
}

func (r *Runner) follow(ctx context.Context, o Order) {
	p := Progress{Order: o, Phase: PreferOthers}
	if o.Prefer > 0 {
		p.Problem = text(r.steps.Prefer(ctx, o))
		r.tell(ctx, p)
		pause(ctx, o.Prefer)
	}
	if ctx.Err() != nil {
		return
	}
	p.Phase = Withdrawing
	p.Problem = text(r.steps.Withdraw(ctx, o))
	r.tell(ctx, p)
	if !r.routesGone(ctx, &p) {
		return
	}
	p.Outcome = Confirmed
	if r.steps.Connections != nil {
		p.Phase, p.Outcome = Withdrawn, ""
		p.Outcome = r.connectionsGone(ctx, &p)
	}
	p.Phase, p.Done = Drained, true
	r.tell(ctx, p)
}

// routesGone waits until the speaker shows no route.
func (r *Runner) routesGone(ctx context.Context, p *Progress) bool {
	for ctx.Err() == nil {
		done, left, err := r.steps.Withdrawn(ctx)
		p.RoutesLeft, p.Problem = left, text(err)
		if done {
			return true
		}
		r.tell(ctx, *p)
	}
	return false
}

func (r *Runner) connectionsGone(ctx context.Context, p *Progress) (outcome string) {
	limit := time.Now().Add(p.Order.Limit)
	for ctx.Err() == nil {
		n, err := r.steps.Connections(ctx)
		p.Connections, p.Problem = n, text(err)
		switch {
		case err == nil && n == 0:
			return Confirmed
		case !time.Now().Before(limit):
			return ConnectionsLeft
		}
		r.tell(ctx, *p)
		pause(ctx, countEach)
	}
	return Ended
}

// tell publishes p, unless another order is in force by now.
func (r *Runner) tell(ctx context.Context, p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil {
		r.put(p)
	}
}

// put is for who holds mu.
func (r *Runner) put(p Progress) {
	if r.now == p {
		return
	}
	r.now = p
	close(r.changed)
	r.changed = make(chan struct{})
	r.steps.Told(p)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
