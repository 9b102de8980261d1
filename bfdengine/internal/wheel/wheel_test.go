package wheel

import (
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// The model is a map. Deadlines of all lengths are set, moved and cleared while
// time passes in steps of all lengths.
func TestEveryDeadlineIsToldOnceAndNeverEarly(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		any := func(limit time.Duration) time.Duration {
			return time.Duration(r.Int64N(int64(limit)>>r.IntN(40) + 1))
		}
		w, model, now := New(start), map[int]time.Time{}, start
		for range 1000 {
			switch id := r.IntN(40); r.IntN(4) {
			case 0, 1:
				at := now.Add(any(10*time.Hour) - time.Millisecond)
				if at.Before(start) {
					at = start
				}
				w.Set(id, at)
				model[id] = at
			case 2:
				w.Clear(id)
				delete(model, id)
			case 3:
				now = now.Add(any(20 * time.Second))
				check(t, seed, w, model, now)
			}
		}
	}
}

func check(t *testing.T, seed uint64, w *Wheel, model map[int]time.Time, now time.Time) {
	t.Helper()
	for {
		id, at, ok := w.Pop(now)
		if !ok {
			break
		}
		if want, is := model[id]; !is || !want.Equal(at) || at.After(now) {
			t.Fatalf("seed %d: at %v popped %d, due %v: want %v", seed, now, id, at, want)
		}
		delete(model, id)
	}
	next, ok := w.Next()
	if ok != (len(model) > 0) {
		t.Fatalf("seed %d: %d deadlines left, but Next says %t", seed, len(model), ok)
	}
	for id, at := range model {
		if !at.After(now) {
			t.Fatalf("seed %d: %d was due at %v and is not told at %v", seed, id, at, now)
		}
		if next.After(at) {
			t.Fatalf("seed %d: Next is %v, after the deadline %v of %d", seed, next, at, id)
		}
	}
}

// Waking for nothing costs: within a level, Next is exact.
func TestNextIsExactForNearDeadlines(t *testing.T) {
	w := New(start)
	for i, ms := range []int{90, 30, 31, 200} {
		w.Set(i, start.Add(time.Duration(ms)*time.Millisecond+1))
	}
	if at, ok := w.Next(); !ok || at.Sub(start) != 30*time.Millisecond+1 {
		t.Errorf("next is %v, %t", at.Sub(start), ok)
	}
}

func TestSleepingLongNeedsFewWakes(t *testing.T) {
	w, wakes := New(start), 0
	w.Set(0, start.Add(100*time.Hour))
	for now := start; ; wakes++ {
		if _, _, ok := w.Pop(now); ok {
			break
		}
		now, _ = w.Next()
	}
	if wakes > 40 {
		t.Errorf("%d wakes for one deadline 100 h away", wakes)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	w, now := New(start), start
	for i := range 100 {
		w.Set(i, now)
	}
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Millisecond)
		for id, _, ok := w.Pop(now); ok; id, _, ok = w.Pop(now) {
			w.Set(id, now.Add(100*time.Millisecond))
		}
		w.Next()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSet(b *testing.B) {
	const n = 4000
	w, now := New(start), start
	for i := range b.N {
		w.Set(i%n, now.Add(time.Duration(75+i%25)*time.Millisecond))
	}
}
