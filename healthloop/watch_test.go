package healthloop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A watched is a script that can be watched.
type watched struct {
	script
	alarm   chan error // what a watch ends with
	instant bool       // each watch ends at once, with nothing noticed
	broken  bool       // each watch ends at once, with an error
	watches []time.Duration
	start   time.Time
}

func newWatched() *watched { return &watched{alarm: make(chan error)} }

func (w *watched) Watch(ctx context.Context) error {
	w.mu.Lock()
	w.watches = append(w.watches, time.Since(w.start))
	w.mu.Unlock()
	switch {
	case w.instant:
		return nil
	case w.broken:
		return errors.New("can't watch")
	}
	select {
	case err := <-w.alarm:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchedAt is when the watches began, so far.
func (w *watched) watchedAt() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.watches)
}

// watchTest is loopTest with one backend that is watched.
func watchTest(t *testing.T, set func(*watched), f func(r *rig, w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		set(w)
		r := newRig(t)
		w.start = r.start
		r.run()
		r.apply(vipOf("web", count(1), w))
		f(r, w)
		r.must(r.stop())
	})
}

func asIs(*watched) {}

func TestWatchFindsACrashInFallProbes(t *testing.T) {
	watchTest(t, asIs, func(r *rig, w *watched) {
		r.until(5050 * time.Millisecond)
		if at := w.watchedAt(); !slices.Equal(at, []time.Duration{0}) || !r.status().VIPs[0].Backends[0].Watched {
			t.Fatalf("watched at %s", at)
		}
		w.since(r.start)
		r.heard()
		w.set(errRefused)
		w.take(2 * time.Millisecond) // a round trip
		w.alarm <- nil
		time.Sleep(7 * time.Millisecond)
		const ms = time.Millisecond
		if asked := w.since(r.start); !slices.Equal(asked, []time.Duration{5050 * ms, 5052 * ms, 5054 * ms}) {
			t.Errorf("asked at %s", asked)
		}
		r.want("5.056s web withdrawn: 0 of 1 backends healthy (minimum 1)")
		// Down, it is asked in its cadence, and watched again after a good one.
		r.until(10 * time.Second)
		if asked := w.since(r.start); len(asked) != 5 || len(w.watchedAt()) != 1 {
			t.Errorf("while down: asked at %s, watched at %s", asked, w.watchedAt())
		}
		w.set(nil)
		r.until(11 * time.Second)
		if at := w.watchedAt(); len(at) != 2 {
			t.Errorf("watched at %s", at)
		}
	})
}

func TestWatchWithAFalseAlarmCostsOneProbe(t *testing.T) {
	watchTest(t, asIs, func(r *rig, w *watched) {
		r.until(5050 * time.Millisecond)
		w.since(r.start)
		w.alarm <- nil
		synctest.Wait()
		asked := w.since(r.start)
		if !slices.Equal(asked, []time.Duration{5050 * time.Millisecond}) || len(w.watchedAt()) != 2 {
			t.Errorf("asked at %s, watched at %s", asked, w.watchedAt())
		}
	})
}

// A probe that began before something was noticed proves nothing.
func TestWatchIsConfirmedByALaterProbe(t *testing.T) {
	watchTest(t, asIs, func(r *rig, w *watched) {
		r.until(1500 * time.Millisecond)
		w.take(100 * time.Millisecond)
		w.since(r.start)
		w.wait(1)
		began := time.Now()
		w.alarm <- nil
		time.Sleep(300 * time.Millisecond)
		asked := w.since(began)
		if !slices.Equal(asked, []time.Duration{0, 100 * time.Millisecond}) {
			t.Errorf("asked at %s", asked)
		}
	})
}

func TestWatchesThatEndAtOnceAreNoBusyLoop(t *testing.T) {
	for name, set := range map[string]func(*watched){
		"noticed": func(w *watched) { w.instant = true },
		"broken":  func(w *watched) { w.broken = true },
	} {
		t.Run(name, func(t *testing.T) {
			watchTest(t, set, func(r *rig, w *watched) {
				r.until(20 * time.Second)
				asked, watches := w.since(r.start), w.watchedAt()
				for i := range watches[1:] {
					if gap := watches[i+1] - watches[i]; gap < time.Second {
						t.Errorf("watched after %s", gap)
					}
				}
				if n := len(asked); n > 40 || w.broken && n > 20 || len(watches) < 9 {
					t.Errorf("asked %d times, watched %d times", n, len(watches))
				}
			})
		})
	}
}

func TestWatchThatFailedPausesForAnInterval(t *testing.T) {
	watchTest(t, asIs, func(r *rig, w *watched) {
		r.until(5 * time.Second)
		w.since(r.start)
		w.wait(1)
		time.Sleep(900 * time.Millisecond) // the next good probe is in 100 ms
		w.alarm <- errors.New("connection refused")
		failed := time.Since(r.start)
		r.until(10 * time.Second)
		at := w.watchedAt()
		if len(at) != 2 || at[1]-failed < time.Second || at[1]-failed > 2*time.Second {
			t.Errorf("failed at %s, watched at %s", failed, at)
		}
		if asked, _ := w.counts(); asked != 5 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestWatchEndsWithItsBackend(t *testing.T) {
	watchTest(t, asIs, func(r *rig, _ *watched) {
		r.until(3 * time.Second)
		r.apply()
		synctest.Wait()
		r.heard()
		r.until(10 * time.Second)
		r.want()
	})
}
