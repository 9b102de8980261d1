package healthloop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever is set, moved and unset: the alarms ring in the order of their times,
// each as often as it was set, and those that are unset don't.
func TestAlarmsRingInOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		var as alarms
		all := make([]alarm, 1+r.IntN(60))
		want := map[*alarm]time.Duration{}
		for range 500 {
			a := &all[r.IntN(len(all))]
			if r.IntN(3) == 0 {
				as.unset(a)
				delete(want, a)
				continue
			}
			at := time.Duration(r.IntN(50))
			as.set(a, at)
			want[a] = at
		}
		if len(as) != len(want) {
			t.Fatalf("seed %d: %d alarms, want %d", seed, len(as), len(want))
		}
		for last := time.Duration(-1); len(as) > 0; {
			first := as[0]
			if first.at < last || want[first.alarm] != first.at || as.at(first.alarm) != first.at {
				t.Fatalf("seed %d: %d after %d, want %d", seed, first.at, last, want[first.alarm])
			}
			last = first.at
			as.unset(first.alarm)
		}
	}
}

func TestSleepToTheEndOfTheTick(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ at, now, want time.Duration }{
		{5 * ms, 2 * ms, 3 * ms},
		{5*ms + 1, 2 * ms, 4 * ms},
		{5 * ms, 9 * ms, 0},
		{5000 * ms, 9 * ms, 500 * ms},
	} {
		as := alarms{}
		as.set(&alarm{}, tt.at)
		if got := as.next(tt.now, 500*ms); got != tt.want {
			t.Errorf("due at %s, now %s: sleep %s, want %s", tt.at, tt.now, got, tt.want)
		}
	}
	if got := (alarms{}).next(0, ms); got != ms {
		t.Errorf("nothing to do: sleep %s", got)
	}
}
