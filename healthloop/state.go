package healthloop

import (
	"context"
	"fmt"
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
	order    []*vip // as applied
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
	again    alarm     // of intent.Again
}

// decide makes the decision on v anew.
func (s *state) decide(v *vip, now time.Time) {
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
	if v.shown && i.State == Withdrawn && in.byChecks(now) {
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
	}
}

// remind sets the alarm for when time alone could change the decision on v.
func (s *state) remind(v *vip, now time.Time) {
	if v.intent.Again.IsZero() {
		s.alarms.unset(&v.again)
		return
	}
	// An override ends by the wall clock, which may be set in the meantime:
	// so look again each minute.
	wait := min(v.intent.Again.Sub(now), time.Minute)
	s.alarms.set(&v.again, now.Add(wait).Sub(s.epoch))
}

func (s *state) decideAll(now time.Time) {
	for _, v := range s.order {
		s.decide(v, now)
	}
}

func (s *state) override(vip string, o Override, now time.Time) error {
	v := s.vips[vip]
	if v == nil {
		return fmt.Errorf("override %q: no such vip", vip)
	}
	v.override = o
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
