package healthloop

import (
	"math"
	"slices"
	"testing"
	"time"
	"unsafe"
)

func TestRecentIsToATenth(t *testing.T) {
	worst := 0.0
	for took := time.Microsecond; took <= 50*time.Minute; took = took*1001/1000 + 1 {
		for _, failed := range []bool{false, true} {
			var r recent
			r.note(took, failed)
			got := r.spans()[0]
			if failed != (got < 0) {
				t.Fatalf("%s, failed %t: %s", took, failed, got)
			}
			worst = max(worst, math.Abs(float64(got.Abs()-took))/float64(took))
		}
	}
	if worst > 0.1 {
		t.Errorf("off by %.1f %%", 100*worst)
	}
	t.Logf("off by %.1f %% at most", 100*worst)
}

// Whatever a clock says, there is an entry, and a bad probe stays a bad one.
func TestRecentAtTheEnds(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		-time.Second: time.Microsecond, 0: time.Microsecond, 1: time.Microsecond,
		math.MaxInt64: marks[len(marks)-1],
	} {
		var r recent
		r.note(took, false)
		r.note(took, true)
		if got := r.spans(); !slices.Equal(got, []time.Duration{want, -want}) {
			t.Errorf("%d: %d, want %d", took, got, want)
		}
	}
}

func TestRecentKeepsTheLastInOrder(t *testing.T) {
	var r recent
	if got := r.spans(); got != nil {
		t.Errorf("before any: %s", got)
	}
	for n := 1; n <= 100; n++ {
		r.note(marks[n], n%3 == 0)
		var want []time.Duration
		for i := max(1, n-31); i <= n; i++ {
			if i%3 == 0 {
				want = append(want, -marks[i])
			} else {
				want = append(want, marks[i])
			}
		}
		if got := r.spans(); !slices.Equal(got, want) {
			t.Fatalf("after %d: %s, want %s", n, got, want)
		}
	}
}

func TestRecentIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(recent{}); n > 40 {
		t.Errorf("%d bytes a backend", n)
	}
}

func TestRecentHasWhatCounts(t *testing.T) {
	a := &script{takes: 10 * time.Millisecond}
	loopTest(t, []VIP{vipOf("web", count(1), a)}, func(r *rig) {
		r.until(3500 * time.Millisecond)
		a.set(errRefused)
		good, _ := a.counts()
		r.until(5700 * time.Millisecond)
		vips, err := r.Look(r.t.Context(), []string{"web"})
		r.must(err)
		got := vips[0].Backends[0].Recent
		for i, took := range got {
			if bad := i >= good; bad != (took < 0) || took.Abs() < 9*time.Millisecond || took.Abs() > 11*time.Millisecond {
				t.Errorf("probe %d: %s", i, took)
			}
		}
		if asked, _ := a.counts(); len(got) != asked {
			t.Errorf("%d of %d probes", len(got), asked)
		}
	})
}
