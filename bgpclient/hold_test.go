package bgpclient

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSparedSession(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		failed := time.Now()
		wait(time.Minute)
		f.peer(1, established)
		spare := Hold{Disable: true, SpareAfter: failed}
		r.Hold(one, spare)
		wait(time.Minute)
		wantAdmin(t, f, false)
		if s := r.Status().Holds; len(s) != 1 || s[0].InForce || s[0].State != Established || !s[0].Since.After(failed) {
			t.Errorf("status %+v", s)
		}
		f.peer(1, func(n *NeighborState) { n.State = Active }) // the next one must not come
		wait(time.Second)
		wantAdmin(t, f, true, "Disable")
	})
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		r.Hold(one, Hold{Disable: true, SpareAfter: time.Now()})
		wait(time.Second)
		wantAdmin(t, f, true, "Disable") // a session from before the failure is not spared
	})
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		f.peer(1, func(n *NeighborState) { n.Since = time.Now().Add(time.Hour) }) // the clock was set back
		r := holding(t, f, Options{}, nil)
		r.Hold(one, Hold{Disable: true, SpareAfter: time.Unix(0, 0)})
		wait(time.Second)
		wantAdmin(t, f, false)
		r.Hold(one, Hold{Disable: true, SpareAfter: time.Now()})
		wait(time.Second)
		wantAdmin(t, f, true, "Disable")
	})
}

// Added and then disabled, it would have a session in between.
func TestManagedNeighborIsNotAddedWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := holding(t, f, Options{}, func(r *Reconciler) {
			r.Manage(management(neighbor(1), neighbor(2)))
			r.Hold(one, down)
		})
		wait(time.Minute)
		wantPeers(t, f, 2)
		if s := r.Status().Holds; len(s) != 1 || !s[0].InForce || s[0].Ours {
			t.Errorf("status %+v", s)
		}
		r.Hold(one, Hold{})
		synctest.Wait()
		wantPeers(t, f, 1, 2)
		wantAdmin(t, f, false)
	})
}

// A speaker that makes a changed neighbor anew has it enabled then.
func TestChangedNeighborStaysHeld(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		changed := neighbor(1)
		r := holding(t, f, Options{}, func(r *Reconciler) { r.Manage(management(changed)) })
		r.Hold(one, down)
		wait(time.Second)
		wantAdmin(t, f, true, "Disable")
		changed.HoldTime = 30 * time.Second
		r.Manage(management(changed))
		wait(lookSlow)
		wantAdmin(t, f, true, "Disable", "Disable")
	})
}

func TestWithheldNeighborIsRejectedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		m := management(neighbor(1), neighbor(2))
		m.Export = []ExportRule{{Neighbor: one, Prepend: 1}}
		r := holding(t, f, Options{}, func(r *Reconciler) { r.Manage(m) })
		r.Hold(one, Hold{Withhold: true})
		wait(time.Second)
		f.mu.Lock()
		rules := f.rules
		f.mu.Unlock()
		if len(rules) != 2 || !rules[0].Reject || rules[0].Neighbor != one || rules[0].Prefixes != nil || rules[1].Prepend != 1 {
			t.Errorf("rules %+v", rules)
		}
		if s := r.Status().Holds; len(s) != 1 || !s[0].InForce || s[0].Err != "" {
			t.Errorf("status %+v", s)
		}
		r.Hold(one, Hold{})
		wait(time.Second)
		f.mu.Lock()
		rules = f.rules
		f.mu.Unlock()
		if len(rules) != 1 || rules[0].Reject {
			t.Errorf("rules %+v", rules)
		}
		wantAdmin(t, f, false)
		wantPolicies(t, f, exportPolicy(testOwner, m.Export).Name)
	})
}

func TestWithholdingNeedsManagement(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		r.Hold(one, Hold{Withhold: true})
		wait(time.Minute)
		if s := r.Status().Holds; len(s) != 1 || s[0].InForce || !strings.Contains(s[0].Err, "bgp.manage") {
			t.Errorf("status %+v", s)
		}
		wantAdmin(t, f, false)
		wantPolicies(t, f)
	})
}

func TestDisablingDoesNotWaitForRoutes(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		f.slow = time.Second
		r := holding(t, f, Options{}, func(r *Reconciler) {
			for i := range 3 * batchOps {
				r.Set(route(i, 1))
			}
		})
		r.Hold(one, down)
		wait(lookAgain)
		wantAdmin(t, f, true, "Disable")
	})
}

func TestHeldIsToldOfEachChange(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		told := 0
		r := holding(t, f, Options{Held: func() { told++ }}, nil)
		wait(time.Minute)
		if told != 0 {
			t.Errorf("told %d times of nothing", told)
		}
		r.Hold(one, down)
		wait(time.Minute)
		if told != 2 { // ours, and then in force
			t.Errorf("told %d times", told)
		}
		r.Hold(one, Hold{})
		wait(time.Minute)
		if told != 4 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestCommunicationFits(t *testing.T) {
	long := strings.Repeat("ä", 100)
	for in, want := range map[string]string{"": "", "short": "short", long: long[:128], "x" + long: ("x" + long)[:127]} {
		if have := communication(in); have != want {
			t.Errorf("%q: have %q, want %q", in, have, want)
		}
	}
}

// Whatever is wanted, dropped, restarted and done by operators: in the end a
// held neighbor is disabled, and one that is not is as its operator left it.
func TestHoldsConverge(t *testing.T) {
	for seed := range uint64(60) {
		held1(t, func(t *testing.T, f *fakeSpeaker) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var kept []netip.Addr
			remember := func(_ context.Context, list []netip.Addr) error { kept = list; return nil }
			r := holding(t, f, Options{Remember: remember}, nil)
			wanted := false
			for range 30 {
				switch rng.IntN(6) {
				case 0:
					wanted = true
					r.Hold(one, down)
				case 1:
					wanted = false
					r.Hold(one, Hold{})
				case 2:
					f.mu.Lock()
					f.deaf = rng.IntN(3)
					f.mu.Unlock()
				case 3:
					f.restart()
				case 4:
					f.mu.Lock()
					f.late = time.Duration(rng.IntN(2)) * time.Duration(rng.IntN(2000)) * time.Millisecond
					f.cutAll()
					f.mu.Unlock()
				case 5:
					f.peer(1, established)
				}
				wait(time.Duration(rng.IntN(1500)) * time.Millisecond)
			}
			wait(time.Minute)
			f.mu.Lock()
			have := f.peers[one].AdminDown
			f.mu.Unlock()
			if have != wanted || wanted != slices.Contains(kept, one) {
				t.Errorf("seed %d: disabled %t, want %t; remembered %v", seed, have, wanted, kept)
			}
			r.Hold(one, Hold{})
			wait(time.Minute)
			f.peer(1, byOperator)
			wait(time.Minute)
			f.mu.Lock()
			defer f.mu.Unlock()
			if !f.peers[one].AdminDown || len(kept) != 0 {
				t.Errorf("seed %d: an operator's disabling was undone (remembered %v)", seed, kept)
			}
		})
	}
}
