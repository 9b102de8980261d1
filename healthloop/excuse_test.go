package healthloop

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errTimeout = &Failure{ReasonTimeout, errors.New("no answer")}

func TestOnlyOurOwnDelayExcusesATimeout(t *testing.T) {
	const timeout = 400 * time.Millisecond
	ms := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }
	for name, c := range map[string]struct {
		p       passage
		reason  Reason
		excused int
		want    bool
	}{
		"in time":                               {p: passage{ms(0), ms(0), ms(400), 0}, reason: ReasonTimeout},
		"noticed late":                          {p: passage{ms(0), ms(0), ms(501), 0}, reason: ReasonTimeout, want: true},
		"noticed a little late":                 {p: passage{ms(0), ms(0), ms(500), 0}, reason: ReasonTimeout},
		"begun late":                            {p: passage{ms(0), ms(101), ms(400), 0}, reason: ReasonTimeout, want: true},
		"begun and noticed a little late":       {p: passage{ms(0), ms(51), ms(450), 0}, reason: ReasonTimeout, want: true},
		"the loop stood still":                  {p: passage{ms(0), ms(0), ms(400), 101 * time.Millisecond}, reason: ReasonTimeout, want: true},
		"the third time":                        {p: passage{ms(0), ms(0), ms(501), 0}, reason: ReasonTimeout, excused: 2, want: true},
		"the fourth time":                       {p: passage{ms(0), ms(0), ms(501), 0}, reason: ReasonTimeout, excused: 3},
		"an answer is one, however late we are": {p: passage{ms(0), ms(300), ms(900), time.Second}, reason: ReasonRefused},
		"and a good one is":                     {p: passage{ms(0), ms(300), ms(900), time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (record{excused: c.excused}).excuses(c.reason, c.p, timeout); got != c.want {
				t.Errorf("excused: %v, want %v", got, c.want)
			}
		})
	}
}

// A sluggish prober notices its timeout late.
type sluggish struct {
	takes time.Duration
	err   error
}

func (s sluggish) Probe(context.Context) error {
	<-time.After(s.takes)
	return s.err
}

// Three timeouts in a row are excused, and then `fall` of them count.
func TestADeadBackendIsFoundOnANodeThatIsAlwaysLate(t *testing.T) {
	loopTest(t, []VIP{vipOf("web", count(1), sluggish{700 * time.Millisecond, errTimeout})}, func(r *rig) {
		r.until(5690 * time.Millisecond)
		if b := r.status().VIPs[0].Backends[0]; b.Health != Unknown || b.Skipped != 3 || b.Failures[ReasonTimeout] != 2 {
			t.Errorf("before: %+v", b)
		}
		r.until(8 * time.Second)
		if b := r.status().VIPs[0].Backends[0]; b.Health != Down || b.Skipped != 3 {
			t.Errorf("after: %+v", b)
		}
		r.heard()
	})
}

func TestALateGoodAnswerIsGood(t *testing.T) {
	loopTest(t, []VIP{vipOf("web", count(1), sluggish{700 * time.Millisecond, nil})}, func(r *rig) {
		r.until(2 * time.Second)
		if b := r.status().VIPs[0].Backends[0]; b.Health != Up || b.Skipped != 0 {
			t.Errorf("%+v", b)
		}
		r.heard()
	})
}

func TestTheLoopFeelsAStandstill(t *testing.T) {
	s := &state{}
	s.feel(noon)
	s.wake = noon
	for _, late := range []time.Duration{-time.Second, 0, standstill, 300 * time.Millisecond} {
		s.feel(noon.Add(late))
	}
	if s.stalled != 300*time.Millisecond {
		t.Errorf("stood still for %s", s.stalled)
	}
}
