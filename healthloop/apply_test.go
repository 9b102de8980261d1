package healthloop

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestApplyOfTheSameChangesNothing(t *testing.T) {
	a, b := &script{}, &script{takes: 400 * time.Millisecond}
	loopTest(t, []VIP{vipOf("web", count(1), a, b)}, func(r *rig) {
		r.until(20 * time.Second)
		a.since(r.start)
		b.since(r.start)
		r.heard()
		// Probers are new each time a configuration is read; equal keys say
		// that they would ask the same.
		unused := &script{}
		for range 5_000 {
			time.Sleep(tick)
			r.apply(vipOf("web", count(1), unused, unused))
		}
		for _, s := range []*script{a, b} {
			asked := s.since(r.start)
			for i := range asked[1:] {
				if asked[i+1]-asked[i] != time.Second {
					t.Errorf("asked at %s", asked)
					break
				}
			}
			if len(asked) != 5 {
				t.Errorf("asked at %s", asked)
			}
		}
		asked, _ := unused.counts()
		if _, cut := b.counts(); asked != 0 || cut != 0 {
			t.Errorf("new probers asked %d times, %d probes cut", asked, cut)
		}
		r.want()
	})
}

func TestApplyTellsFirstIntentsBeforeRemovals(t *testing.T) {
	loopTest(t, []VIP{vipOf("old", count(1), &script{}), vipOf("kept", count(1), &script{})}, func(r *rig) {
		r.until(5 * time.Second)
		r.heard()
		r.apply(vipOf("new", count(1), &script{}), vipOf("kept", count(1), &script{}))
		r.want(
			"5s new undecided: 0 of 1 backends healthy, 1 unknown (minimum 1)",
			"5s old removed",
		)
		r.until(10 * time.Second)
		if st := r.status(); len(st.VIPs) != 2 || st.VIPs[0].Name != "new" || st.VIPs[0].Intent.State != Advertised {
			t.Errorf("%+v", st)
		}
	})
}

func TestApplyDiscardsWhatWasUnderWay(t *testing.T) {
	for name, vips := range map[string][]VIP{
		"removed":  nil,
		"replaced": {keyed(vipOf("web", count(1), &script{}), "v2")},
	} {
		t.Run(name, func(t *testing.T) {
			old := &script{takes: 400 * time.Millisecond}
			loopTest(t, []VIP{vipOf("web", count(1), old)}, func(r *rig) {
				r.until(100 * time.Millisecond)
				r.apply(vips...)
				synctest.Wait()
				if _, cut := old.counts(); cut != 1 {
					t.Errorf("%d probes cut", cut)
				}
				r.until(10 * time.Second)
				if asked, _ := old.counts(); asked != 1 {
					t.Errorf("old prober asked at %s", old.since(r.start))
				}
				for _, v := range r.status().VIPs {
					if b := v.Backends[0]; b.Health != Up || len(b.Failures) != 0 {
						t.Errorf("%+v", b)
					}
				}
			})
		})
	}
}

func keyed(v VIP, key string) VIP {
	for i := range v.Backends {
		v.Backends[i].Key = key
	}
	return v
}

// What the old way of asking found so far, one short of a verdict, is gone.
func TestNewKeyKeepsTheVerdictAndAsksSoon(t *testing.T) {
	old := &script{}
	loopTest(t, []VIP{vipOf("web", count(1), old)}, func(r *rig) {
		r.until(2500 * time.Millisecond)
		old.set(errRefused)
		old.since(r.start)
		old.wait(2)
		r.until(5 * time.Second)
		r.heard()
		bad := &script{bad: errRefused}
		r.apply(keyed(vipOf("web", count(1), bad), "v2"))
		r.until(10 * time.Second)
		asked := bad.since(r.start)
		if asked[0] != 5*time.Second {
			t.Errorf("asked at %s", asked)
		}
		r.want(at(asked[2]) + " web withdrawn: 0 of 1 backends healthy (minimum 1)")
	})
}

func TestNewPolicyWeightAndTimingDecideWithoutAProbe(t *testing.T) {
	a, b := &script{}, &script{bad: errRefused}
	loopTest(t, []VIP{vipOf("web", count(1), a, b)}, func(r *rig) {
		r.until(10 * time.Second)
		r.heard()
		r.apply(vipOf("web", count(2), a, b))
		v := vipOf("web", percent(60), a, b)
		r.apply(v)
		v = vipOf("web", percent(60), a, b)
		v.Backends[0].Weight = 3
		r.apply(v)
		r.want(
			"10s web withdrawn: 1 of 2 backends healthy (minimum 2)",
			"10s web withdrawn: 1 of 2 backends healthy (minimum 60%)",
			"10s web advertised: 1 of 2 backends healthy, weight 3 of 4 (minimum 60%)",
		)
		// Two bad probes in a row are enough once fall is 2.
		a.set(errRefused)
		a.since(r.start)
		a.wait(2)
		r.want()
		v = vipOf("web", percent(60), a, b)
		v.Backends[0].Weight, v.Backends[0].Timing.Fall = 3, 2
		r.apply(v)
		n, _ := a.counts()
		if st := r.status().VIPs[0]; st.Intent.State != Withdrawn || st.Backends[0].Health != Down || n != 2 {
			t.Errorf("%+v after %d probes", st, n)
		}
	})
}

func TestShorterIntervalActsAtOnce(t *testing.T) {
	a := &script{}
	slow := vipOf("web", count(1), a)
	slow.Backends[0].Timing.Interval = time.Hour
	loopTest(t, []VIP{slow}, func(r *rig) {
		r.until(time.Minute)
		r.apply(vipOf("web", count(1), a))
		r.until(time.Minute + 10*time.Second)
		if n := len(a.since(r.start)); n < 10 || n > 11 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestWeightZeroIsAskedButNotCounted(t *testing.T) {
	spare := &script{}
	v := vipOf("web", count(1), &script{}, spare)
	v.Backends[1].Weight = 0
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(5 * time.Second)
		st := r.status().VIPs[0]
		if asked, _ := spare.counts(); st.Tally != of(1, 0, 1) || st.Backends[1].Health != Up || asked != 5 {
			t.Errorf("%+v after %d probes", st, asked)
		}
	})
}

func TestApplyOfNonsenseChangesNothing(t *testing.T) {
	a := &script{}
	spoil := func(f func(*Backend)) []VIP {
		v := vipOf("new", count(1), a, a)
		f(&v.Backends[1])
		return []VIP{v}
	}
	loopTest(t, []VIP{vipOf("web", count(1), a)}, func(r *rig) {
		r.heard()
		for want, vips := range map[string][]VIP{
			`vip "new": given twice`:                        {vipOf("new", count(1)), vipOf("new", count(1))},
			`vip "new": backend "b0": given twice`:          spoil(func(b *Backend) { b.Name = "b0" }),
			`vip "new": backend "b1": no prober`:            spoil(func(b *Backend) { b.Prober = nil }),
			`vip "new": backend "b1": weight -1 is`:         spoil(func(b *Backend) { b.Weight = -1 }),
			`vip "new": backend "b1": interval 0s or`:       spoil(func(b *Backend) { b.Timing.Interval = 0 }),
			`vip "new": backend "b1": interval 1s or`:       spoil(func(b *Backend) { b.Timing.Timeout = -1 }),
			`vip "new": backend "b1": rise 0 or fall 3 is`:  spoil(func(b *Backend) { b.Timing.Rise = 0 }),
			`vip "new": backend "b1": rise 2 or fall -1 is`: spoil(func(b *Backend) { b.Timing.Fall = -1 }),
		} {
			put := r.Put(r.t.Context(), append([]VIP{vipOf("good", count(1))}, vips...), []string{"web"})
			for _, err := range []error{r.Apply(r.t.Context(), vips), put} {
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		}
		err := r.Put(r.t.Context(), []VIP{vipOf("new", count(1)), vipOf("web", count(1))}, []string{"old", "web"})
		if err == nil || err.Error() != `vip "web": both given and removed` {
			t.Errorf("given and removed: %v", err)
		}
		r.want()
		if st := r.status(); len(st.VIPs) != 1 || st.VIPs[0].Name != "web" {
			t.Errorf("%+v", st)
		}
	})
}

// Whoever calls what and when: nothing deadlocks, and the race detector agrees.
func TestManyCallers(t *testing.T) {
	loopTest(t, nil, func(r *rig) {
		configs := [][]VIP{
			nil,
			{vipOf("a", count(1), &script{}, &script{bad: errRefused}), vipOf("b", percent(50), &script{})},
			{vipOf("a", count(2), &script{}, newWatched()), vipOf("c", count(1), &script{takes: time.Minute})},
			{keyed(vipOf("a", count(1), &script{}), "v2"), vipOf("c", count(1), newWatched())},
		}
		var callers sync.WaitGroup
		for n := range 8 {
			callers.Go(func() {
				for i := range 300 {
					time.Sleep(time.Duration(7*n+i%13) * time.Millisecond)
					r.must(r.Apply(r.t.Context(), slices.Clone(configs[(n+i)%len(configs)])))
					r.must(r.Put(r.t.Context(), configs[(n+i+1)%len(configs)], []string{"d"}))
					r.must(r.SetDrain(r.t.Context(), Drain{Phase: DrainPhase(i % 3)}))
					r.must(r.SetUplinks(r.t.Context(), Uplinks{i % 2, 1}))
					_ = r.SetOverride(r.t.Context(), "a", Override{Word: Word(i % 3)}) // there may be no such vip now
					r.status()
					_, err := r.Look(r.t.Context(), []string{"a", "b"})
					r.must(err)
					r.Beat()
				}
			})
		}
		callers.Wait()
	})
}
