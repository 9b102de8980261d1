package healthloop

import (
	"testing"
	"time"
)

func TestHoldDown(t *testing.T) {
	a := &script{}
	v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: 10 * time.Second}, a)
	v.Backends[0].Timing.Rise, v.Backends[0].Timing.Fall = 1, 1
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(2500 * time.Millisecond)
		a.set(errRefused)
		r.until(3500 * time.Millisecond)
		a.set(nil)
		until := r.status().VIPs[0].HoldUntil
		r.until(15 * time.Second)
		fell := until.Sub(r.start) - 10*time.Second
		r.want(
			"0s web undecided: 0 of 1 backends healthy, 1 unknown (minimum 1)",
			"0s web advertised: 1 of 1 backends healthy (minimum 1)",
			at(fell)+" web withdrawn: 0 of 1 backends healthy (minimum 1)",
			at(fell+time.Second+100*time.Millisecond)+" web withdrawn: held down until "+instant(until)+
				": 1 of 1 backends healthy (minimum 1)",
			at(fell+10*time.Second)+" web advertised: 1 of 1 backends healthy (minimum 1)",
		)
		// The operator and the drain start none.
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceWithdraw}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{}))
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: Withdrawing}))
		r.must(r.SetDrain(r.t.Context(), Drain{}))
		r.want(
			"15s web withdrawn: override",
			"15s web advertised: 1 of 1 backends healthy (minimum 1)",
			"15s web withdrawn: draining",
			"15s web advertised: 1 of 1 backends healthy (minimum 1)",
		)
		// The uplinks do, and a new policy can end it.
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 1}))
		v.Policy.HoldDown = 0
		r.apply(v)
		until = r.start.Add(25 * time.Second)
		r.want(
			"15s web withdrawn: 0 of 1 uplinks alive",
			"15s web withdrawn: held down until "+instant(until)+": 1 of 1 backends healthy (minimum 1)",
			"15s web advertised: 1 of 1 backends healthy (minimum 1)",
		)
	})
}

// A hold-down that a new policy brings is for withdrawals to come, and a VIP
// that was forced back is not held down once the operator lets go.
func TestHoldDownEndsWhenTheVIPIsBack(t *testing.T) {
	a := &script{}
	v := vipOf("web", count(1), a)
	v.Backends[0].Timing.Rise, v.Backends[0].Timing.Fall = 1, 1
	loopTest(t, []VIP{v}, func(r *rig) {
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.until(time.Second)
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 1}))
		v.Policy.HoldDown = time.Hour
		r.heard()
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 2}))
		r.apply(v)
		r.want()
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 1}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceAdvertise}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{}))
		r.want(
			"1s web withdrawn: 0 of 1 uplinks alive",
			"1s web withdrawn: held down until "+instant(r.start.Add(time.Hour+time.Second))+
				": 1 of 1 backends healthy (minimum 1)",
			"1s web advertised: override",
			"1s web advertised: 1 of 1 backends healthy (minimum 1)",
		)
	})
}

func TestDrainPhases(t *testing.T) {
	up, down := vipOf("up", count(1), &script{}), vipOf("down", count(1), &script{bad: errRefused})
	loopTest(t, []VIP{up, down}, func(r *rig) {
		r.until(5 * time.Second)
		r.heard()
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: PreferOthers, Reason: "kernel update"}))
		r.until(6 * time.Second)
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: Withdrawing, Reason: "kernel update"}))
		r.until(7 * time.Second)
		r.must(r.SetDrain(r.t.Context(), Drain{}))
		r.want(
			"5s up advertised, preferring others (draining: kernel update): 1 of 1 backends healthy (minimum 1)",
			"6s up withdrawn: draining: kernel update",
			"6s down withdrawn: draining: kernel update",
			"7s up advertised: 1 of 1 backends healthy (minimum 1)",
			"7s down withdrawn: 0 of 1 backends healthy (minimum 1)",
		)
	})
}

func TestOverrideEndsByItself(t *testing.T) {
	loopTest(t, []VIP{vipOf("web", count(1), &script{bad: errRefused})}, func(r *rig) {
		r.until(5 * time.Second)
		r.heard()
		end := r.start.Add(10 * time.Minute)
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceAdvertise, By: "alice", Until: end}))
		r.until(time.Hour)
		r.want(
			"5s web advertised: override by alice (until "+instant(end)+")",
			"10m0s web withdrawn: 0 of 1 backends healthy (minimum 1)",
		)
		if err := r.SetOverride(r.t.Context(), "wbe", Override{}); err == nil || err.Error() != `override "wbe": no such vip` {
			t.Errorf("unknown vip: %v", err)
		}
	})
}

// One backend that flaps costs one update to the lower value, and no more until
// it has been up for the settle time.
func TestFlappingCapacityCostsOneUpdate(t *testing.T) {
	flappy := &script{}
	p := Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1000, Settle: 10 * time.Second}}
	v := vipOf("web", p, &script{}, flappy)
	for i := range v.Backends {
		v.Backends[i].Timing.Rise, v.Backends[i].Timing.Fall = 1, 1
	}
	loopTest(t, []VIP{v}, func(r *rig) {
		bandwidth := func() float64 { return r.status().VIPs[0].Intent.LinkBandwidth }
		r.until(2 * time.Second)
		for i := range 5 {
			if got := bandwidth(); i == 0 != (got == 2000) {
				t.Errorf("flap %d: %g", i, got)
			}
			flappy.set(errRefused)
			r.until(time.Duration(4+4*i) * time.Second)
			if got := bandwidth(); got != 1000 {
				t.Errorf("flap %d, down: %g", i, got)
			}
			flappy.set(nil)
			r.until(time.Duration(6+4*i) * time.Second)
		}
		r.until(29 * time.Second)
		if got := bandwidth(); got != 1000 {
			t.Errorf("not yet settled: %g", got)
		}
		r.until(32 * time.Second)
		if got := bandwidth(); got != 2000 {
			t.Errorf("settled: %g", got)
		}
	})
}
