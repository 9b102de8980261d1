package healthloop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errRefused = &Failure{ReasonRefused, errors.New("connection refused")}

// A script is a backend that answers as it is told.
type script struct {
	mu      sync.Mutex // the script is the test's and the probe's
	bad     error      // the answer
	takes   time.Duration
	asked   []time.Time
	running int
	most    int // probes at a time
	cut     int // probes that ended with their context
}

func (s *script) Probe(ctx context.Context) error {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	s.running++
	s.most = max(s.most, s.running)
	takes := s.takes
	s.mu.Unlock()
	var err error
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if err != nil {
		s.cut++
		return err
	}
	return s.bad
}

func (s *script) set(bad error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = bad
}

func (s *script) take(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = d
}

// counts is how often the backend was asked since the last call of since, and
// how many probes were cut, at all.
func (s *script) counts() (asked, cut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked), s.cut
}

// wait lets the time pass until the backend was asked so often.
func (s *script) wait(n int) {
	for asked := 0; asked < n; asked, _ = s.counts() {
		time.Sleep(tick)
		synctest.Wait()
	}
}

// since returns when the backend was asked, from the last call on.
func (s *script) since(start time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	ds := []time.Duration{}
	for _, t := range s.asked {
		ds = append(ds, t.Sub(start))
	}
	s.asked = nil
	return ds
}

// A rig is a loop under test with all that it said since the last want.
type rig struct {
	*Loop
	t     *testing.T
	start time.Time
	stop  func() error

	mu    sync.Mutex // of what the test shares with the loop's owner
	said  []string
	late  time.Duration
	stall time.Duration // how long the sink lets the owner wait, once
}

func (r *rig) Intent(vip string, i Intent) {
	r.say("%s %s", vip, i.Reason)
	r.mu.Lock()
	stall := r.stall
	r.stall = 0
	r.mu.Unlock()
	time.Sleep(stall)
}
func (r *rig) Removed(vip string) { r.say("%s removed", vip) }

func (r *rig) say(format string, args ...any) {
	at := time.Since(r.start).Round(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, at.String()+" "+fmt.Sprintf(format, args...))
}

// newRig is a rig whose loop does not run yet.
func newRig(t *testing.T) *rig {
	r := &rig{t: t, start: time.Now(), stop: func() error { return nil }}
	r.Loop = New(Options{
		Sink: r,
		Late: func(d time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.late = max(r.late, d)
		},
	})
	return r
}

// run starts Run; stop ends it and waits for it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// loopTest runs f in a bubble with a running loop that wants these VIPs.
func loopTest(t *testing.T, vips []VIP, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.apply(vips...)
		f(r)
		if err := r.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func (r *rig) apply(vips ...VIP) {
	r.t.Helper()
	r.must(r.Apply(r.t.Context(), vips))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until lets the time pass until so long after the start.
func (r *rig) until(d time.Duration) {
	time.Sleep(time.Until(r.start.Add(d)))
	synctest.Wait()
}

// want compares all that was said with all that should have been.
func (r *rig) want(said ...string) {
	r.t.Helper()
	if got := r.heard(); !slices.Equal(got, said) {
		r.t.Errorf("said\n%q, want\n%q", got, said)
	}
}

// heard is all that was said since the last call.
func (r *rig) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

// stalled makes the sink hold up the loop, once.
func (r *rig) stalled(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stall = d
}

func (r *rig) status() Status {
	r.t.Helper()
	s, err := r.Snapshot(r.t.Context())
	r.must(err)
	return s
}

var everySecond = Timing{Interval: time.Second, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3}

func vipOf(name string, p Policy, probers ...Prober) VIP {
	v := VIP{Name: name, Policy: p}
	for i, prober := range probers {
		v.Backends = append(v.Backends, Backend{
			Name: fmt.Sprintf("b%d", i), Weight: 1, Timing: everySecond, Kind: "script", Prober: prober,
		})
	}
	return v
}

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

func TestDrainPhases(t *testing.T) {
	up, down := vipOf("up", count(1), &script{}), vipOf("down", count(1), &script{bad: errRefused})
	loopTest(t, []VIP{up, down}, func(r *rig) {
		r.until(5 * time.Second)
		r.heard()
		r.must(r.SetDrain(r.t.Context(), Drain{PreferOthers, "kernel update"}))
		r.until(6 * time.Second)
		r.must(r.SetDrain(r.t.Context(), Drain{Withdrawing, "kernel update"}))
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
		if err := r.Apply(r.t.Context(), nil); err != errEnded {
			t.Errorf("apply after the end: %v", err)
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
