package healthloop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestVIPFollowsItsBackends(t *testing.T) {
	a, b := &script{}, &script{bad: errRefused}
	loopTest(t, []VIP{vipOf("web", count(1), a, b)}, func(r *rig) {
		r.until(5 * time.Second)
		r.want(
			"0s web undecided: 0 of 2 backends healthy, 2 unknown (minimum 1)",
			"1.1s web advertised: 1 of 2 backends healthy, 1 unknown (minimum 1)",
			"2.201s web advertised: 1 of 2 backends healthy (minimum 1)",
		)
		a.set(errRefused)
		b.set(nil)
		a.since(r.start)
		r.until(10 * time.Second)
		asked := a.since(r.start)
		r.want(
			at(b.since(r.start)[6])+" web advertised: 2 of 2 backends healthy (minimum 1)",
			at(asked[2])+" web advertised: 1 of 2 backends healthy (minimum 1)",
		)
		a.set(nil)
		st := r.status().VIPs[0]
		if st.Transitions != [3]uint64{Advertised: 1} || st.Tally != of(1, 0, 2) {
			t.Errorf("status %+v", st)
		}
		down := st.Backends[0]
		if down.Health != Down || down.Reason != ReasonRefused || !errors.Is(down.Err, errRefused) || down.Failures[ReasonRefused] != 5 {
			t.Errorf("backend %+v", down)
		}
	})
}

// at is a time as the rig says it.
func at(d time.Duration) string { return d.Round(time.Millisecond).String() }

func TestTimeoutsAreCounted(t *testing.T) {
	slow := &script{takes: time.Minute}
	loopTest(t, []VIP{vipOf("web", count(1), slow)}, func(r *rig) {
		r.until(3 * time.Second)
		b := r.status().VIPs[0].Backends[0]
		if b.Health != Down || b.Failures[ReasonTimeout] != 3 || b.Took != everySecond.Timeout || b.Skipped != 0 {
			t.Errorf("%+v", b)
		}
		r.want(
			"0s web undecided: 0 of 1 backends healthy, 1 unknown (minimum 1)",
			"2.7s web withdrawn: 0 of 1 backends healthy (minimum 1)",
		)
	})
}

func TestProbesDoNotStack(t *testing.T) {
	slow := &script{takes: 2500 * time.Millisecond}
	v := vipOf("web", count(1), slow)
	v.Backends[0].Timing.Timeout = 10 * time.Second
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(60 * time.Second)
		n, skipped := len(slow.since(r.start)), r.status().VIPs[0].Backends[0].Skipped
		if slow.most != 1 || n < 19 || n > 20 || n+int(skipped) != 60 {
			t.Errorf("%d probes, %d at a time, %d turns skipped", n, slow.most, skipped)
		}
	})
}

func TestSlowProbesDelayNobody(t *testing.T) {
	quick := &script{}
	probers := []Prober{quick}
	for range 200 {
		probers = append(probers, &script{takes: time.Minute})
	}
	loopTest(t, []VIP{vipOf("web", count(1), probers...)}, func(r *rig) {
		r.until(60 * time.Second)
		asked := quick.since(r.start)
		if len(asked) < 59 || r.late > tick {
			t.Errorf("%d probes, late by %s at most", len(asked), r.late)
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var heard []string
		r.Loop = New(Options{
			Sink: r,
			Probed: func(vip, kind string, took time.Duration) {
				heard = append(heard, fmt.Sprintf("%s probed by %s in %s", vip, kind, took))
			},
			Turned: func(vip, backend string, to Health, why error) {
				heard = append(heard, fmt.Sprintf("%s %s %s: %v", vip, backend, to, why))
			},
		})
		v := vipOf("web", count(1), &script{takes: time.Millisecond}, &script{bad: errRefused})
		v.Backends[0].Timing.Rise, v.Backends[1].Timing.Fall = 1, 1
		r.apply(v)
		r.run()
		r.until(500 * time.Millisecond)
		r.must(r.stop())
		want := []string{
			"web probed by script in 0s", "web b1 down: connection refused",
			"web probed by script in 1ms", "web b0 up: <nil>",
		}
		slices.Sort(heard) // both end in the same millisecond
		slices.Sort(want)
		if !slices.Equal(heard, want) {
			t.Errorf("heard\n%q, want\n%q", heard, want)
		}
	})
}

func TestMethodsBeforeAndAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &script{}
		r := newRig(t)
		r.apply(vipOf("web", count(1), a))
		r.must(r.SetDrain(r.t.Context(), Drain{Phase: PreferOthers}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceAdvertise}))
		r.want(
			"0s web undecided: 0 of 1 backends healthy, 1 unknown (minimum 1)",
			"0s web advertised, preferring others (draining): override",
		)
		if got := len(r.status().VIPs); got != 1 {
			t.Errorf("%d vips", got)
		}
		r.until(time.Minute)
		if asked := a.since(r.start); len(asked) != 0 {
			t.Errorf("asked at %s before Run", asked)
		}
		r.run()
		r.until(time.Minute + 500*time.Millisecond)
		if asked := a.since(r.start); !slices.Equal(asked, []time.Duration{time.Minute}) {
			t.Errorf("asked at %s", asked)
		}
		r.must(r.stop())
		for _, err := range []error{r.Apply(r.t.Context(), nil), r.Put(r.t.Context(), nil, []string{"web"})} {
			if err != errEnded {
				t.Errorf("after the end: %v", err)
			}
		}
		if got, err := r.Look(r.t.Context(), []string{"web"}); len(got) != 1 || err != nil {
			t.Errorf("a look after the end: %v, %v", got, err)
		}
		if got := len(r.status().VIPs); got != 1 {
			t.Errorf("%d vips after the end", got)
		}
		if err := r.Run(r.t.Context()); err != errEnded {
			t.Errorf("second run: %v", err)
		}
		r.want()
	})
}

func TestMethodsHeedTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		gone, cancel := context.WithCancel(r.t.Context())
		cancel()
		if err := r.Apply(gone, []VIP{vipOf("web", count(1))}); err != context.Canceled {
			t.Errorf("cancelled before: %v", err)
		}
		r.want()
		r.run()
		r.stalled(time.Hour)
		short, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		go r.Apply(r.t.Context(), []VIP{vipOf("web", count(1))})
		synctest.Wait()
		if err := r.SetDrain(short, Drain{Phase: Withdrawing}); err != context.DeadlineExceeded || time.Since(r.start) > time.Second {
			t.Errorf("owner busy: %v after %s", err, time.Since(r.start))
		}
		r.must(r.stop())
		r.want("0s web withdrawn: no backends")
	})
}

func TestBeatWhenIdle(t *testing.T) {
	loopTest(t, nil, func(r *rig) {
		for range 50 {
			time.Sleep(777 * time.Millisecond)
			if gap := time.Since(r.Beat()); gap > time.Second {
				t.Fatalf("last round %s ago", gap)
			}
		}
	})
}

func TestRunEndsWithItsProbes(t *testing.T) {
	slow := &script{takes: time.Hour}
	v := vipOf("web", count(1), slow)
	v.Backends[0].Timing = Timing{Interval: time.Minute, Timeout: time.Hour, Rise: 1, Fall: 1}
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(time.Second)
		r.must(r.stop())
		if _, cut := slow.counts(); cut != 1 || time.Since(r.start) > time.Second {
			t.Errorf("%d probes cut, after %s", cut, time.Since(r.start))
		}
		if b := r.status().VIPs[0].Backends[0]; b.Health != Unknown || len(b.Failures) != 0 {
			t.Errorf("the end was counted as a failure: %+v", b)
		}
	})
}
