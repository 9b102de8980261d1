package healthloop

import (
	"container/list"
	"context"
	"fmt"
	"iter"
	"math"
	"time"
)

// state is all that the loop knows. Its methods are called by its owner only,
// and take the time from him.
type state struct {
	Options
	epoch    time.Time
	running  context.Context // of all probes and watches; nil before Run
	ended    bool            // nothing is begun any more
	inFlight int             // probes and watches that have not reported their end
	vips     map[string]*vip
	order    list.List // of *vip: as applied, then as put
	drain    Drain
	uplinks  Uplinks
	skipped  uint64 // turns, of backends that are gone too
	alarms   alarms
	wake     time.Time     // when the loop means to go round again; zero before the first
	stalled  time.Duration // by how much it was too late for that, in all standstills
	seq      uint64        // backends that ever were, for their slots
	inbox    chan func(*state)
	answers  chan *asker
}

// A vip is a VIP with its decision and what led to it.
type vip struct {
	name     string
	place    *list.Element // in order
	policy   Policy
	backends []*backend
	tally    Tally
	override Override
	intent   Intent
	since    time.Time // of intent.State
	// shown is whether the network sees the VIP, as far as this loop decided:
	// while undecided it is what it was.
	shown    bool
	fell     time.Time // when the checks withdrew it; zero once it is back
	became   [3]uint64 // changes by State
	capacity *capacity // nil: not announced
	again    alarm     // see remind
}

// inOrder yields all VIPs.
func (s *state) inOrder() iter.Seq[*vip] {
	return func(yield func(*vip) bool) {
		for e := s.order.Front(); e != nil && yield(e.Value.(*vip)); {
			e = e.Next()
		}
	}
}

// changed tells that something of v changed that is worth showing.
func (s *state) changed(v *vip) {
	if s.Changed != nil {
		s.Changed(v.name)
	}
}

// decide makes the decision on v anew.
func (s *state) decide(v *vip, now time.Time) {
	s.expire(v, now)
	in := Inputs{
		Tally:     v.tally,
		Override:  v.override,
		Drain:     s.drain,
		Uplinks:   s.uplinks,
		Last:      v.intent,
		HoldUntil: v.holdUntil(),
	}
	if v.capacity != nil {
		in.CapacitySince = v.capacity.note(v.tally, now)
	}
	i := Decide(v.policy, in, now)
	if v.shown && i.State == Withdrawn && !i.Rule.byOperator() {
		v.fell = now
	}
	switch i.State {
	case Advertised:
		v.shown, v.fell = true, time.Time{}
	case Withdrawn:
		v.shown = false
	}
	if i.State != v.intent.State || v.since.IsZero() {
		v.since = now
	}
	if i.State != v.intent.State {
		v.became[i.State]++
	}
	last := v.intent
	v.intent = i
	s.remind(v, now)
	if last.Again = i.Again; last != i {
		s.Sink.Intent(v.name, i)
		s.changed(v)
	}
}

// expire forgets what is over, so that a clock that is set back does not bring
// it back.
func (s *state) expire(v *vip, now time.Time) {
	s.drain = s.drain.in(now)
	if over(v.override.Until, now) {
		v.override = Override{}
		s.changed(v)
	}
	if over(v.holdUntil(), now) {
		v.fell = time.Time{}
		s.changed(v)
	}
}

// remind sets the alarm for when time alone could change the decision on v, or
// what is shown beside it.
func (s *state) remind(v *vip, now time.Time) {
	wait := time.Duration(math.MaxInt64)
	for _, end := range [...]time.Time{v.intent.Again, v.override.Until, v.holdUntil()} {
		if !end.IsZero() {
			wait = min(wait, end.Sub(now))
		}
	}
	if wait == math.MaxInt64 {
		s.alarms.unset(&v.again)
		return
	}
	// An end that has no monotonic reading is one of the wall clock, which may
	// be set in the meantime: so look again each minute.
	s.alarms.set(&v.again, now.Add(min(wait, time.Minute)).Sub(s.epoch))
}

func (s *state) decideAll(now time.Time) {
	for v := range s.inOrder() {
		s.decide(v, now)
	}
}

func (s *state) override(vip string, o Override, now time.Time) error {
	v := s.vips[vip]
	if v == nil {
		return fmt.Errorf("override %q: no such vip", vip)
	}
	if o = o.in(now); o != v.override {
		v.override = o
		s.changed(v)
	}
	s.decide(v, now)
	return nil
}

// holdUntil is the end of the hold-down, zero when there is none. It follows
// the policy, so that a new configuration can end it.
func (v *vip) holdUntil() time.Time {
	if v.fell.IsZero() || v.policy.HoldDown == 0 {
		return time.Time{}
	}
	return v.fell.Add(v.policy.HoldDown)
}

// A capacity remembers since when a VIP has had at least so many steps of its
// capacity.
type capacity struct {
	step  int
	since [maxSteps + 1]time.Time
}

// note takes in the present capacity and returns when it was last lower.
func (c *capacity) note(t Tally, now time.Time) time.Time {
	step, _ := t.hopeful().capacity()
	for i := c.step + 1; i <= step; i++ {
		c.since[i] = now
	}
	c.step = step
	return c.since[step]
}

// ring does what is due.
func (s *state) ring(now time.Time) {
	for len(s.alarms) > 0 && s.alarms[0].at <= now.Sub(s.epoch) {
		s.alarms[0].ring(now)
	}
}
