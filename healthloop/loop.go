package healthloop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Who owns what. One goroutine at a time owns the state: the one in Run, or
// before and after it whoever takes the state out of idle. Nothing else is
// shared, so there is no lock.
//
//	callers ──func──▶ inbox ──▶ ┌───────────┐ ──▶ Sink, hooks
//	 watches ──func──▶ inbox ─▶ │ Run: state │
//	  probes ──*asker─▶ answers ▶ └───────────┘ ──go──▶ probes (≤ 1 a backend, each ends
//	                                                  by its timeout), watches (≤ 1 a backend)
//
// An asker is a backend's prober with what belongs to it. While its probe runs,
// the answer's fields are the probe's, and the owner's again once it came back.
// Every probe and watch reports its end exactly once, so counting them tells
// when all are over.

// A Sink learns what the network should see. Its methods are called one at a
// time, in order, by the goroutine that owns the loop: they must be quick and
// must not call the Loop.
type Sink interface {
	// Intent is called for a new VIP, and then whenever what the network
	// should see or the reason for it changed.
	Intent(vip string, i Intent)
	// Removed is called when a VIP is no longer wanted, after the intents of
	// those that came with the same Apply.
	Removed(vip string)
}

// Options is what a Loop works with. The hooks may be nil, and are called like
// Sink's methods.
type Options struct {
	Sink Sink
	// Probed is called after each probe that counts.
	Probed func(vip, kind string, took time.Duration)
	// Turned is called when a backend went up or down; why is nil for up.
	Turned func(vip, backend string, to Health, why error)
	// Changed is called when something of a VIP's status changed that is worth
	// showing: not for each probe, but maybe more than once for the same thing.
	Changed func(vip string)
	// Late is called when a probe begins, with how long after its due time.
	Late func(d time.Duration)
}

// A Loop probes the backends of VIPs and decides what the network should see.
// Its methods may be called by any goroutine, before, during and after Run.
type Loop struct {
	idle  chan *state       // holds the state while nobody owns it
	inbox chan func(*state) // unbuffered: what was taken is carried out
	epoch time.Time
	beat  atomic.Int64 // time.Duration since epoch of the owner's last round
}

var errEnded = errors.New("health loop has ended")

// pulse is how often the owner goes round at least, for Beat.
const pulse = 500 * time.Millisecond

// New returns a Loop that wants no VIPs yet. It starts nothing: see Run.
func New(o Options) *Loop {
	l := &Loop{idle: make(chan *state, 1), inbox: make(chan func(*state)), epoch: time.Now()}
	l.idle <- &state{
		Options: o,
		epoch:   l.epoch,
		vips:    map[string]*vip{},
		inbox:   l.inbox,
		answers: make(chan *asker, 256),
	}
	return l
}

// Run probes and decides until ctx ends, and returns when all probes and
// watches are over. It can be called once.
func (l *Loop) Run(ctx context.Context) error {
	s := <-l.idle
	defer func() { l.idle <- s }()
	if s.ended {
		return errEnded
	}
	var cancel context.CancelFunc
	s.running, cancel = context.WithCancel(ctx)
	defer cancel()
	s.spread(s.everyone(), time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-s.answers:
			s.answered(a, time.Now())
		case call := <-l.inbox:
			call(s)
		case <-timer.C:
		}
		timer.Reset(l.round(s))
	}
	s.ended = true
	for s.inFlight > 0 {
		select {
		case a := <-s.answers:
			s.answered(a, time.Now())
		case call := <-l.inbox:
			call(s)
		}
	}
	return nil
}

// round does what is due and returns how long to sleep.
func (l *Loop) round(s *state) time.Duration {
	now := time.Now()
	s.feel(now)
	// Before what is due: a turn is skipped while the last answer is not in.
	for range len(s.answers) {
		s.answered(<-s.answers, now)
	}
	s.ring(now)
	since := now.Sub(l.epoch)
	l.beat.Store(int64(since))
	sleep := s.alarms.next(since, pulse)
	s.wake = now.Add(sleep)
	return sleep
}

// Beat is when Run's goroutine last went round; it does so at least once a
// second. It is the time of New before the first round.
func (l *Loop) Beat() time.Time { return l.epoch.Add(time.Duration(l.beat.Load())) }

// Apply replaces the wanted VIPs, all or, with an error, nothing. Backends keep
// their health and their place in time as Backend.Key says. The VIPs are the
// loop's from here on.
func (l *Loop) Apply(ctx context.Context, vips []VIP) error {
	names, err := check(vips)
	if err != nil {
		return err
	}
	return l.change(ctx, func(s *state) error {
		s.apply(vips, names, time.Now())
		return nil
	})
}

// putAtOnce is how many VIPs Put changes at a time: some milliseconds of work.
const putAtOnce = 256

// Put adds or changes these VIPs and removes those, all or, with an error,
// nothing. It is as Apply with all the others as they are, and touches none of
// them. Removing what is not there is no error, what is given here is one. Of
// many, those that go last, probes and decisions go on in between; other changes
// of the same VIPs are to wait.
func (l *Loop) Put(ctx context.Context, vips []VIP, remove []string) error {
	names, err := check(vips)
	if err != nil {
		return err
	}
	for _, name := range remove {
		if names[name] {
			return fmt.Errorf("vip %q: both given and removed", name)
		}
	}
	var fresh []*backend
	for len(vips)+len(remove) > putAtOnce {
		some := min(len(vips), putAtOnce)
		gone := min(len(remove), putAtOnce-some)
		err := l.change(ctx, func(s *state) error {
			fresh = append(fresh, s.swap(vips[:some], remove[:gone], time.Now())...)
			return nil
		})
		if err != nil {
			return err
		}
		vips, remove = vips[some:], remove[gone:]
		ctx = context.WithoutCancel(ctx) // what was begun is carried out
	}
	return l.change(ctx, func(s *state) error {
		now := time.Now()
		s.spread(append(fresh, s.swap(vips, remove, now)...), now)
		return nil
	})
}

// Look returns what the loop knows now of these VIPs; names that it does not
// know are left out.
func (l *Loop) Look(ctx context.Context, names []string) ([]VIPStatus, error) {
	var found []VIPStatus
	err := l.do(ctx, func(s *state) {
		for _, name := range names {
			if v := s.vips[name]; v != nil {
				found = append(found, v.closely())
			}
		}
	})
	return found, err
}

// SetDrain says how far this node is on its way out.
func (l *Loop) SetDrain(ctx context.Context, d Drain) error {
	return l.change(ctx, func(s *state) error {
		s.drain = d
		s.decideAll(time.Now())
		return nil
	})
}

// SetUplinks says how many of the watched routers are alive.
func (l *Loop) SetUplinks(ctx context.Context, u Uplinks) error {
	return l.change(ctx, func(s *state) error {
		s.uplinks = u
		s.decideAll(time.Now())
		return nil
	})
}

// SetOverride puts the operator's word on a VIP, which keeps it through Apply;
// the zero Override takes it away.
func (l *Loop) SetOverride(ctx context.Context, vip string, o Override) error {
	return l.change(ctx, func(s *state) error { return s.override(vip, o, time.Now()) })
}

// Snapshot returns what the loop knows now.
func (l *Loop) Snapshot(ctx context.Context) (Status, error) {
	var status Status
	err := l.do(ctx, func(s *state) { status = s.status(time.Now()) })
	return status, err
}

// change runs f as do does, as long as it can have an effect.
func (l *Loop) change(ctx context.Context, f func(*state) error) error {
	var err error
	call := func(s *state) {
		if err = errEnded; !s.ended {
			err = f(s)
		}
	}
	if notRun := l.do(ctx, call); notRun != nil {
		return notRun
	}
	return err
}

// do runs f where the state is owned: in Run's goroutine, or here as long as
// there is none. It returns an error when f did not run.
func (l *Loop) do(ctx context.Context, f func(*state)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan struct{})
	select {
	case s := <-l.idle:
		f(s)
		l.idle <- s
	case l.inbox <- func(s *state) { f(s); close(done) }:
		<-done
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
