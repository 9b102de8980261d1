package healthloop

import (
	"context"
	"errors"
	"time"
)

// A backend is a Backend with its health.
type backend struct {
	Backend
	vip      *vip
	record   record
	seq      uint64 // its slot, see spread.go
	turn     alarm  // the next probe in its cadence
	asker    *asker // nil once the backend is removed
	failures map[Reason]uint64
	skipped  uint64
	probed   time.Time // when the last probe began
	took     time.Duration
	recent   recent
}

// An asker is a prober in the service of a backend. It is replaced with it, so
// that what an old one still reports is known to be of no interest.
type asker struct {
	backend *backend
	prober  Prober
	ask     func() // runs one probe, in a goroutine of its own

	asking     bool
	cancel     context.CancelFunc // of the running probe
	watching   bool
	unwatch    context.CancelFunc // of the running watch
	watchAfter time.Time
	// suspect is set when a watch noticed something: bad probes follow each
	// other without a pause until the backend is down or a probe is good.
	suspect bool
	// askAgain is set when that was during a probe, which then proves nothing.
	askAgain bool

	stalled time.Duration // the state's when it was asked

	// The answer: the probe's while asking, else the owner's.
	ctx   context.Context // its deadline is the timeout
	asked time.Time
	began time.Time
	took  time.Duration
	err   error
}

func (s *state) newAsker(b *backend, p Prober) *asker {
	a := &asker{backend: b, prober: p}
	a.ask = func() { // ends with the probe, by its timeout at the latest
		a.began = time.Now()
		a.err = a.prober.Probe(a.ctx)
		a.took = time.Since(a.began)
		s.answers <- a
	}
	return a
}

// turn is the backend's turn to be probed. A turn that can't be used is skipped
// and not made up for: probes never pile up.
func (s *state) turn(b *backend, now time.Time) {
	due, at := s.alarms.at(&b.turn), now.Sub(s.epoch)
	interval := b.Timing.Interval
	next, over := nextTurn(due, at, slot(b.seq, interval), interval)
	s.alarms.set(&b.turn, next)
	// After a standstill of this process (or of the whole machine) everyone is
	// due at once. Those that missed whole turns wait for their next one.
	wait := b.asker.asking || over > 0 && at-due > standstill
	if wait {
		over++
	}
	b.skipped += uint64(over)
	s.skipped += uint64(over)
	if wait {
		return
	}
	if s.Late != nil {
		s.Late(at - due)
	}
	s.ask(b, now)
}

// standstill is how late a probe must be for it to be nobody's fault but ours.
const standstill = 20 * tick

// ask begins a probe of b, which must have none running.
func (s *state) ask(b *backend, now time.Time) {
	a := b.asker
	a.asking = true
	a.asked, a.stalled = now, s.stalled
	a.ctx, a.cancel = context.WithDeadline(s.running, now.Add(b.Timing.Timeout))
	s.inFlight++
	go a.ask()
}

// answered takes in the end of a probe.
func (s *state) answered(a *asker, now time.Time) {
	s.inFlight--
	a.asking = false
	a.cancel()
	a.ctx, a.cancel = nil, nil // what has ended is kept by nobody: it is more than the backend itself
	b := a.backend
	if s.over() || b.asker != a {
		return
	}
	s.record(b, a, now)
	switch {
	case a.askAgain:
		a.askAgain = false
		s.ask(b, now)
	case a.suspect && a.err != nil && b.record.health != Down:
		s.ask(b, now)
	default:
		a.suspect = false
		s.watch(a, now)
	}
}

// over reports whether Run was told to end. Probes and watches are cut then:
// what they report is no word on a backend, even before Run itself heard of it.
func (s *state) over() bool { return s.running.Err() != nil }

// record takes the answer of a into its backend's health.
func (s *state) record(b *backend, a *asker, now time.Time) {
	var reason Reason
	if a.err != nil {
		reason = reasonOf(a.err)
	}
	if b.record.excuses(reason, s.passage(a), b.Timing.Timeout) {
		b.record.excused++
		b.skipped++
		s.skipped++
		return
	}
	b.probed, b.took = a.began, a.took
	b.recent.note(a.took, a.err != nil)
	if s.Probed != nil {
		s.Probed(b.vip.name, b.Kind, a.took)
	}
	if a.err != nil {
		if b.failures == nil {
			b.failures = map[Reason]uint64{}
		}
		b.failures[reason]++
	}
	was := b.record.health
	s.setRecord(b, b.record.after(now, a.err, reason, b.Timing))
	if is := b.record.health; is != was {
		b.vip.tally = b.vip.tally.minus(was, b.Weight).plus(is, b.Weight)
		s.decide(b.vip, now)
	}
}

// setRecord puts r in force for b, and tells when that is another verdict, or
// the same for another reason.
func (s *state) setRecord(b *backend, r record) {
	was := b.record
	b.record = r
	if s.Changed != nil && !r.readsAs(was) {
		s.changed(b.vip)
	}
	if s.Turned != nil && r.health != was.health {
		s.Turned(b.vip.name, b.Name, r.health, r.err)
	}
}

// watch begins to watch the backend of a, if its prober can and the last probe
// was good. A watch that ends early is not begun again before an interval has
// passed, so that a backend that keeps giving false alarms, or can't be
// watched, costs one more probe an interval.
func (s *state) watch(a *asker, now time.Time) {
	w, ok := a.prober.(Watcher)
	if !ok || a.err != nil || a.watching || now.Before(a.watchAfter) {
		return
	}
	a.watching = true
	a.watchAfter = now.Add(a.backend.Timing.Interval)
	var ctx context.Context
	ctx, a.unwatch = context.WithCancel(s.running)
	s.inFlight++
	inbox := s.inbox
	go func() { // ends with the watch, or with its backend
		err := w.Watch(ctx)
		inbox <- func(s *state) { s.noticed(a, err, time.Now()) }
	}()
}

// noticed takes in the end of a watch.
func (s *state) noticed(a *asker, err error, now time.Time) {
	s.inFlight--
	a.watching = false
	a.unwatch()
	b := a.backend
	switch {
	case s.over() || b.asker != a:
	case err != nil:
		a.watchAfter = now.Add(b.Timing.Interval)
	case a.asking:
		a.suspect, a.askAgain = true, true
	default:
		a.suspect = true
		s.ask(b, now)
	}
}

// dismiss ends the service of b's asker.
func (b *backend) dismiss() {
	a := b.asker
	b.asker = nil
	if a.asking {
		a.cancel()
	}
	if a.watching {
		a.unwatch()
	}
}

// reasonOf is the class that a bad answer is counted under.
func reasonOf(err error) Reason {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Reason
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ReasonTimeout
	}
	return ReasonOther
}
