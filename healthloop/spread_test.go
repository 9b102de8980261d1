package healthloop

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// crowd is n backends behind one VIP, each of its own script.
func crowd(n int, name string) (VIP, []*script) {
	v := VIP{Name: name, Policy: count(1)}
	scripts := make([]*script, n)
	for i := range scripts {
		scripts[i] = &script{}
		v.Backends = append(v.Backends, Backend{Name: fmt.Sprint(i), Weight: 1, Timing: everySecond, Prober: scripts[i]})
	}
	return v, scripts
}

// busiest is the most starts in any window of that width, starts sorted or not.
func busiest(starts []time.Duration, width time.Duration) int {
	slices.Sort(starts)
	most, first := 0, 0
	for i, s := range starts {
		for starts[first] <= s-width {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestNoHerd(t *testing.T) {
	v, scripts := crowd(1000, "web")
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(time.Second - 1)
		var first []time.Duration
		for i, s := range scripts {
			asked := s.since(r.start)
			if len(asked) != 1 {
				t.Fatalf("backend %d asked %d times in the first second", i, len(asked))
			}
			first = append(first, asked...)
		}
		if most := busiest(first, time.Millisecond); most > 1 {
			t.Errorf("at the beginning: %d probes in a millisecond", most)
		}
		r.until(15 * time.Second)
		var drifting, steady []time.Duration
		for i, s := range scripts {
			asked := append([]time.Duration{first[i]}, s.since(r.start)...)
			drifting = append(drifting, asked...)
			for n := range asked[1:] {
				if gap := asked[n+1] - asked[n]; gap < time.Second-tick || gap > 1100*time.Millisecond+tick {
					t.Fatalf("backend %d: %s between probes %d and %d", i, gap, n, n+1)
				}
			}
		}
		if most := busiest(drifting, 10*time.Millisecond); most > 30 {
			t.Errorf("on the way: %d probes in 10 ms, 10 would be fair", most)
		}
		r.until(25 * time.Second)
		for i, s := range scripts {
			asked := s.since(r.start)
			steady = append(steady, asked...)
			for n := range asked[1:] {
				if gap := asked[n+1] - asked[n]; gap != time.Second {
					t.Fatalf("backend %d in its slot: %s between probes", i, gap)
				}
			}
		}
		if most := busiest(steady, 10*time.Millisecond); most > 15 || len(steady) != 10_000 {
			t.Errorf("in steady state: %d probes in 10 ms, 10 would be fair; %d in all", most, len(steady))
		}
	})
}

func TestBackendsOfAReloadAreSpreadToo(t *testing.T) {
	old, _ := crowd(100, "old")
	fresh, scripts := crowd(500, "new")
	loopTest(t, []VIP{old}, func(r *rig) {
		r.until(20 * time.Second)
		r.apply(old, fresh)
		r.until(20*time.Second + 500*time.Millisecond)
		var first []time.Duration
		for _, s := range scripts {
			first = append(first, s.since(r.start)...)
		}
		if most := busiest(first, time.Millisecond); most > 1 || len(first) != 500 {
			t.Errorf("%d first probes, %d in a millisecond", len(first), most)
		}
	})
}

// After ten intervals in which nothing could run, everyone is late. They go on
// in their slots, and not all at once.
func TestStandstillMakesNoHerd(t *testing.T) {
	v, scripts := crowd(1000, "web")
	extra := vipOf("extra", count(1), &script{})
	loopTest(t, []VIP{v}, func(r *rig) {
		r.until(20 * time.Second)
		for _, s := range scripts {
			s.since(r.start)
		}
		r.stalled(10 * time.Second)
		r.apply(v, extra)
		r.until(40 * time.Second)
		if skipped := r.status().VIPs[0].Backends[0].Skipped; skipped != 10 {
			t.Errorf("%d turns of the first backend counted as skipped", skipped)
		}
		var after []time.Duration
		for _, s := range scripts {
			after = append(after, s.since(r.start)...)
		}
		if most := busiest(after, 10*time.Millisecond); most > 15 || len(after) < 9900 {
			t.Errorf("%d probes, %d in 10 ms", len(after), most)
		}
		before := r.status().Skipped
		r.apply(extra)
		if all := r.status().Skipped; all < 10_000 || all > 10_100 || all != before {
			t.Errorf("%d turns counted as skipped, %d before all of these backends went", all, before)
		}
	})
}

func TestNextTurn(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name           string
		due, now, slot time.Duration
		want           time.Duration
		over           int
	}{
		{"in its slot", 5*s + 300*ms, 5*s + 301*ms, 300 * ms, 6*s + 300*ms, 0},
		{"lateness does not add up", 5*s + 300*ms, 6*s + 200*ms, 300 * ms, 6*s + 300*ms, 0},
		{"close to its slot", 5*s + 250*ms, 5*s + 250*ms, 300 * ms, 6*s + 300*ms, 0},
		{"far from its slot", 5*s + 400*ms, 5*s + 400*ms, 300 * ms, 6*s + 500*ms, 0},
		{"turns are over", 5*s + 300*ms, 7*s + 400*ms, 300 * ms, 8*s + 300*ms, 2},
		{"exactly one turn is over", 5 * s, 6 * s, 0, 7 * s, 1},
	} {
		if got, over := nextTurn(tt.due, tt.now, tt.slot, s); got != tt.want || over != tt.over {
			t.Errorf("%s: %s and %d over, want %s and %d", tt.name, got, over, tt.want, tt.over)
		}
	}
}

// Slots are few enough that backends share wakes, and still none has much more
// than its part of them.
func TestSlotsAreSharedEvenly(t *testing.T) {
	for _, tt := range []struct {
		interval time.Duration
		backends int
	}{
		{time.Second, 10_000}, {time.Second, 200}, {time.Second, 7}, {3 * time.Second, 10_000}, {333 * time.Millisecond, 5_000},
		{100 * time.Millisecond, 1000}, {12 * time.Millisecond, 30}, {time.Millisecond, 3},
	} {
		inSlot := map[time.Duration]int{}
		for seq := range tt.backends {
			inSlot[slot(uint64(seq+1), tt.interval)]++
		}
		fair := float64(tt.backends) * float64(stride) / float64(tt.interval)
		for at, n := range inSlot {
			if at%stride != 0 || at < 0 || at >= tt.interval || float64(n) > fair+3 {
				t.Errorf("every %s: %d of %d backends at %s, %.1f would be fair", tt.interval, n, tt.backends, at, fair)
			}
		}
	}
}
