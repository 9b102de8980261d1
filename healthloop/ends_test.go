package healthloop

import (
	"strings"
	"testing"
	"time"
)

func TestDrainEndsByItself(t *testing.T) {
	v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: time.Hour}, &script{})
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(5 * time.Second)
		r.heard()
		first, second := r.start.Add(time.Minute), r.start.Add(10*time.Minute)
		r.must(r.SetDrain(r.t.Context(), Drain{PreferOthers, "alice", "kernel update", first}))
		r.until(2 * time.Minute)
		r.must(r.SetDrain(r.t.Context(), Drain{Withdrawing, "alice", "kernel update", second}))
		if d := r.status().Drain; d.By != "alice" || !d.Until.Equal(second) {
			t.Errorf("%+v", d)
		}
		r.until(time.Hour)
		draining := "draining by alice: kernel update (until "
		r.want(
			"5s web advertised, preferring others ("+draining+instant(first)+")): 1 of 1 backends healthy (minimum 1)",
			"1m0s web advertised: 1 of 1 backends healthy (minimum 1)",
			"2m0s web withdrawn: "+draining+instant(second)+")",
			"10m0s web advertised: 1 of 1 backends healthy (minimum 1)",
		)
		if d := r.status().Drain; d != (Drain{}) {
			t.Errorf("after its end: %+v", d)
		}
	})
}

func TestADrainEndsWithoutAVIP(t *testing.T) {
	loopTest(t, nil, func(r *rig) {
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: Withdrawing, Until: r.start.Add(time.Minute)}))
		r.until(time.Minute)
		if d := r.status().Drain; d != (Drain{}) {
			t.Errorf("%+v", d)
		}
	})
}

// When a forced advertisement is over, by its end or by another word, it is the
// checks that withdraw.
func TestChecksThatTakeOverHoldDown(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"its end":    func(*rig) {},
		"the word":   func(r *rig) { r.must(r.SetOverride(r.t.Context(), "web", Override{})) },
		"a no first": func(r *rig) { r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceWithdraw})) },
	} {
		t.Run(name, func(t *testing.T) {
			a := &script{bad: errRefused}
			v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: time.Minute}, a)
			v.Backends[0].Timing.Rise = 1
			loopTest(t, []VIP{v}, func(r *rig) {
				r.until(5 * time.Second)
				r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceAdvertise, Until: r.start.Add(10 * time.Second)}))
				r.until(10*time.Second - time.Millisecond)
				end(r)
				r.until(11 * time.Second)
				st := r.status().VIPs[0]
				if held := !st.HoldUntil.IsZero(); st.Intent.State != Withdrawn || held == (name == "a no first") {
					t.Errorf("%+v", st)
				}
				if name == "a no first" {
					return
				}
				r.heard()
				a.set(nil)
				r.until(2 * time.Minute)
				r.want(
					at(a.first(r.start, 11*time.Second))+" web withdrawn: held down until "+instant(st.HoldUntil)+
						": 1 of 1 backends healthy (minimum 1)",
					at(st.HoldUntil.Sub(r.start))+" web advertised: 1 of 1 backends healthy (minimum 1)",
				)
			})
		})
	}
}

// first is when the backend was first asked after so long.
func (s *script) first(start time.Time, after time.Duration) time.Duration {
	for _, at := range s.since(start) {
		if at > after {
			return at
		}
	}
	return 0
}

// A hold-down goes on under a drain and under the operator's no, and neither
// begins one or makes it longer.
func TestHoldDownUnderADrain(t *testing.T) {
	v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: time.Minute}, &script{})
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(5 * time.Second)
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 1}))
		r.until(15 * time.Second)
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: Withdrawing, Until: r.start.Add(20 * time.Second)}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceWithdraw, Until: r.start.Add(25 * time.Second)}))
		r.heard()
		r.until(2 * time.Minute)
		r.want(
			"20s web withdrawn: override (until "+instant(r.start.Add(25*time.Second))+")",
			"25s web withdrawn: held down until "+instant(r.start.Add(65*time.Second))+": 1 of 1 backends healthy (minimum 1)",
			"1m5s web advertised: 1 of 1 backends healthy (minimum 1)",
		)
	})
}

// What is over is not shown any more, also where it did not decide.
func TestWhatIsOverIsNotShown(t *testing.T) {
	v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: 20 * time.Second}, &script{})
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(5 * time.Second)
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: Withdrawing}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceAdvertise, Until: r.start.Add(10 * time.Second)}))
		r.heard()
		r.changes()
		for _, tt := range []struct {
			at             time.Duration
			override, held bool
			changed        int
		}{
			{9 * time.Second, true, true, 0}, {11 * time.Second, false, true, 1},
			{26 * time.Second, false, false, 1}, {time.Hour, false, false, 0},
		} {
			r.until(tt.at)
			st := r.status().VIPs[0]
			if st.Override != (Override{}) != tt.override || !st.HoldUntil.IsZero() != tt.held {
				t.Errorf("at %s: %+v", tt.at, st)
			}
			if n := len(r.changes()); n != tt.changed {
				t.Errorf("at %s: changed %d times", tt.at, n)
			}
		}
		r.want()
	})
}

// Who says an end in this process gives a time with a monotonic reading: as
// long as that is kept, no clock that is set changes when it is.
func TestAnEndKeepsItsMonotonicReading(t *testing.T) {
	r := newRig(t)
	r.apply(vipOf("web", count(1), &script{}))
	end := time.Now().Add(time.Hour)
	r.must(r.SetOverride(t.Context(), "web", Override{Word: ForceAdvertise, Until: end}))
	r.must(r.SetDrain(t.Context(), Drain{Phase: PreferOthers, Until: end.Add(-time.Minute)}))
	v := r.status().VIPs[0]
	for what, kept := range map[string]time.Time{
		"override": v.Override.Until, "drain": r.status().Drain.Until, "again": v.Intent.Again,
	} {
		if !strings.Contains(kept.String(), " m=") {
			t.Errorf("%s: %s", what, kept)
		}
	}
}

// The end of an override that was read from a file is one of the wall clock,
// which may be set forward.
func TestAnEndIsLookedAtEachMinute(t *testing.T) {
	r := newRig(t)
	r.apply(vipOf("web", count(1), &script{}))
	end := time.Now().Add(time.Hour).Round(0)
	r.must(r.SetOverride(t.Context(), "web", Override{Word: ForceAdvertise, Until: end}))
	s := <-r.idle
	if at := s.alarms[0].at; at > time.Since(s.epoch)+time.Minute {
		t.Errorf("looks again after %s", at)
	}
}

// ... or back.
func TestWhatIsOverDoesNotComeBack(t *testing.T) {
	r := newRig(t)
	r.apply(vipOf("web", Policy{HoldDown: time.Minute}))
	s := <-r.idle
	v := s.vips["web"]
	v.override = Override{Word: ForceAdvertise, Until: noon}
	s.drain = Drain{Phase: Withdrawing, Until: noon}
	v.fell = noon.Add(-time.Minute)
	for _, now := range []time.Time{noon, noon.Add(-time.Second)} {
		s.decide(v, now)
		if st := v.status(); st.Intent.Rule != RuleNoBackends || st.Override != (Override{}) || !st.HoldUntil.IsZero() {
			t.Errorf("at %s: %+v", now, st)
		}
	}
	if s.drain != (Drain{}) {
		t.Errorf("%+v", s.drain)
	}
}
