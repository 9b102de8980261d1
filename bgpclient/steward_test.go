package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// setAdmin is called with mu held.
func (f *fakeSpeaker) setAdmin(a netip.Addr, down bool) {
	if f.deaf > 0 {
		f.deaf--
		return
	}
	act := func() {
		n, ok := f.peers[a]
		if !ok || n.AdminDown == down {
			return
		}
		n.AdminDown, n.State, n.Since = down, Active, time.Now()
		if down {
			n.State = Idle
		}
		f.peers[a] = n
	}
	if f.late == 0 {
		act()
		return
	}
	time.AfterFunc(f.late, func() { f.mu.Lock(); defer f.mu.Unlock(); act() })
}

// peer is somebody else at the daemon: it comes up, is disabled by an operator.
func (f *fakeSpeaker) peer(i int, change func(*NeighborState)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.peers[neighbor(i).Address]
	n.Neighbor = neighbor(i)
	change(&n)
	f.peers[n.Address] = n
	f.announce(Change{Neighbor: n.Address})
}

func established(n *NeighborState) { n.State, n.Since, n.AdminDown = Established, time.Now(), false }
func byOperator(n *NeighborState)  { n.State, n.Since, n.AdminDown = Idle, time.Now(), true }

// restart loses all admin states, as a restart of gobgpd does.
func (f *fakeSpeaker) restart() {
	f.stop()
	f.mu.Lock()
	for a, n := range f.peers {
		f.peers[a] = NeighborState{Neighbor: n.Neighbor, State: Established, Since: time.Now()}
	}
	f.mu.Unlock()
	f.start()
}

// wantAdmin fails on an admin state or a request that was not asked for.
func wantAdmin(t *testing.T, f *fakeSpeaker, down bool, requests ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.peers[neighbor(1).Address]; n.AdminDown != down {
		t.Errorf("disabled: %t, want %t", n.AdminDown, down)
	}
	var have []string
	for _, c := range f.calls {
		if c == "EnableNeighbor" || c == "DisableNeighbor" {
			have = append(have, strings.TrimSuffix(c, "Neighbor"))
		}
	}
	if !slices.Equal(have, requests) {
		t.Errorf("requests %v, want %v", have, requests)
	}
}

// holding is a test's Reconciler with one established neighbor.
func holding(t *testing.T, f *fakeSpeaker, opts Options, prepare func(*Reconciler)) *Reconciler {
	t.Helper()
	r := runningWith(t, f, opts, prepare)
	synctest.Wait()
	return r
}

// held1 runs a test in a bubble, with neighbor 1 established.
func held1(t *testing.T, test func(t *testing.T, f *fakeSpeaker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peers[neighbor(1).Address] = NeighborState{Neighbor: neighbor(1), State: Established, Since: time.Now()}
		time.Sleep(time.Minute)
		test(t, f)
	})
}

func wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

var (
	one  = neighbor(1).Address
	down = Hold{Disable: true, Reason: "BFD down"}
)

func TestHeldNeighborIsDisabledUntilLetGo(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		wantAdmin(t, f, false)
		r.Hold(one, down)
		synctest.Wait()
		wantAdmin(t, f, true, "Disable")
		wait(time.Second)
		s := r.Status().Holds
		if len(s) != 1 || !s[0].Ours || !s[0].InForce || s[0].Hold != down || s[0].Err != "" {
			t.Errorf("status %+v", s)
		}
		wait(time.Minute)
		r.Hold(one, Hold{})
		synctest.Wait()
		wantAdmin(t, f, false, "Disable", "Enable")
		wait(time.Minute)
		wantAdmin(t, f, false, "Disable", "Enable")
		if s := r.Status().Holds; len(s) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestDriftIsRepaired(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		r.Hold(one, down)
		wait(time.Second)
		f.peer(1, established) // somebody enabled it
		wait(time.Second)
		wantAdmin(t, f, true, "Disable", "Disable")
		f.stop()
		wait(time.Second)
		if s := r.Status().Holds; len(s) != 1 || s[0].InForce {
			t.Errorf("what a speaker that is gone does: %+v", s)
		}
		f.restart()
		wait(time.Second)
		wantAdmin(t, f, true, "Disable", "Disable", "Disable")
	})
}

func TestOperatorsOwnDisablingIsNotUndone(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		f.peer(1, byOperator)
		r := holding(t, f, Options{}, nil)
		r.Hold(one, down)
		wait(time.Minute)
		if s := r.Status().Holds; len(s) != 1 || s[0].Ours || !s[0].InForce {
			t.Errorf("status %+v", s)
		}
		r.Hold(one, Hold{})
		wait(time.Minute)
		wantAdmin(t, f, true)
		// Nor one that comes right after ours ended.
		f.peer(1, established)
		r.Hold(one, down)
		wait(time.Second)
		r.Hold(one, Hold{})
		wait(time.Second)
		f.peer(1, byOperator)
		wait(time.Minute)
		wantAdmin(t, f, true, "Disable", "Enable")
	})
}

// "Disable/EnablePeer can be dropped silently when one is still queued."
func TestDroppedRequestIsRepeated(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		f.deaf = 2
		r := holding(t, f, Options{}, nil)
		r.Hold(one, down)
		wait(2 * time.Second)
		wantAdmin(t, f, true, "Disable", "Disable", "Disable")
		f.mu.Lock()
		f.deaf = 1
		f.mu.Unlock()
		r.Hold(one, Hold{})
		wait(2 * time.Second)
		wantAdmin(t, f, false, "Disable", "Disable", "Disable", "Enable", "Enable")
	})
}

func TestRefusalIsToldOnceAndTriedOn(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		core, logs := observer.New(zap.InfoLevel)
		f.fail["DisableNeighbor"] = []error{errFault, errFault, errFault}
		r := holding(t, f, Options{Log: zap.New(core)}, nil)
		r.Hold(one, down)
		wait(time.Second)
		if s := r.Status().Holds; len(s) != 1 || s[0].InForce || s[0].Err != errFault.Error() {
			t.Errorf("status %+v", s)
		}
		wait(10 * time.Second)
		wantAdmin(t, f, true, "Disable", "Disable", "Disable", "Disable")
		if n := logs.FilterMessage("neighbor not held as wanted, trying on").Len(); n != 1 {
			t.Errorf("told %d times: %v", n, logs.All())
		}
		if s := r.Status().Holds; len(s) != 1 || !s[0].InForce || s[0].Err != "" {
			t.Errorf("status %+v", s)
		}
	})
}

// A request that acts only after its hold ended must not leave the neighbor
// disabled for ever.
func TestLateRequestIsTakenBack(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		r := holding(t, f, Options{}, nil)
		r.Hold(one, down)
		wait(time.Second)
		f.mu.Lock()
		f.late = 3 * time.Second
		f.mu.Unlock()
		f.peer(1, established) // enabled by somebody, so disabled again
		wait(100 * time.Millisecond)
		r.Hold(one, Hold{})
		wait(2 * time.Second)
		wantAdmin(t, f, false, "Disable", "Disable")
		wait(time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.peers[one].AdminDown || !slices.Contains(f.calls, "EnableNeighbor") {
			t.Errorf("have %+v after %v", f.peers[one], f.calls)
		}
	})
}

func TestFormerLifeIsRemembered(t *testing.T) {
	for _, c := range []struct {
		rule     string
		hold     Hold
		peer     func(*NeighborState)
		down     bool
		requests []string
		told     string
	}{
		{"one that is still held stays disabled, without a word", down, byOperator, true, nil, "[]"},
		{"one that nobody holds any more is enabled", Hold{}, byOperator, false, []string{"Enable"}, "[[]]"},
		{"one that was enabled meanwhile is forgotten", Hold{}, established, false, nil, "[[]]"},
		{"a session that came up meanwhile is spared", Hold{Disable: true, SpareAfter: time.Unix(0, 0)}, established, false, nil, "[[]]"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			held1(t, func(t *testing.T, f *fakeSpeaker) {
				f.peer(1, c.peer)
				told := [][]netip.Addr{}
				holding(t, f, Options{Disabled: []netip.Addr{one}, Remember: func(_ context.Context, list []netip.Addr) error {
					told = append(told, list)
					return nil
				}}, func(r *Reconciler) {
					r.Hold(one, c.hold)
				})
				wait(time.Minute)
				wantAdmin(t, f, c.down, c.requests...)
				if have := fmt.Sprint(told); have != c.told {
					t.Errorf("remembered %s, want %s", have, c.told)
				}
			})
		})
	}
}

func TestEndIsNoComplaintAboutTheDisk(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		core, logs := observer.New(zap.ErrorLevel)
		hang := func(ctx context.Context, _ []netip.Addr) error { <-ctx.Done(); return ctx.Err() }
		r := holding(t, f, Options{Log: zap.New(core), Remember: hang}, nil)
		r.Hold(one, down)
		wait(rememberWithin / 2)
		f.stop()
		wait(rememberWithin)
		wantAdmin(t, f, false)
		if logs.Len() != 0 {
			t.Errorf("complained: %v", logs.All())
		}
	})
}

// The speaker restarts without its neighbors, and vipd adds none that is held:
// should vipd restart then too, the next one must not add it either.
func TestHeldNeighborOfARestartedSpeakerIsRemembered(t *testing.T) {
	held1(t, func(t *testing.T, f *fakeSpeaker) {
		var kept []netip.Addr
		r := holding(t, f, Options{Remember: func(_ context.Context, list []netip.Addr) error { kept = list; return nil }}, func(r *Reconciler) {
			r.Manage(management(neighbor(1)))
			r.Hold(one, down)
		})
		wait(time.Second)
		f.stop()
		f.mu.Lock()
		delete(f.peers, one)
		f.mu.Unlock()
		f.start()
		wait(time.Minute)
		wantPeers(t, f)
		if !slices.Equal(kept, []netip.Addr{one}) {
			t.Errorf("remembered %v", kept)
		}
		r.Hold(one, Hold{})
		wait(time.Minute)
		wantPeers(t, f, 1)
		wantAdmin(t, f, false, "Disable")
		if len(kept) != 0 || len(r.Status().Holds) != 0 {
			t.Errorf("remembered %v, status %+v", kept, r.Status().Holds)
		}
	})
}

func TestMemoryComesBeforeTheDisabling(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, c := range []struct {
		name       string
		answer     func(context.Context) error
		within     time.Duration
		complaints int
	}{
		{"a quick disk", func(context.Context) error { return nil }, 0, 0},
		{"a full disk", func(context.Context) error { return errors.New("no space left on device") }, 0, 1},
		{"a disk that hangs", hang, rememberWithin, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			held1(t, func(t *testing.T, f *fakeSpeaker) {
				var order []string
				core, logs := observer.New(zap.ErrorLevel)
				r := holding(t, f, Options{Log: zap.New(core), Remember: func(ctx context.Context, list []netip.Addr) error {
					f.mu.Lock()
					order = append(order, fmt.Sprintf("%v with %t", list, f.peers[one].AdminDown))
					f.mu.Unlock()
					return c.answer(ctx)
				}}, nil)
				r.Hold(one, down)
				wait(c.within)
				wantAdmin(t, f, true, "Disable")
				wait(time.Minute)
				f.mu.Lock()
				defer f.mu.Unlock()
				if len(order) == 0 || order[0] != "[10.0.0.1] with false" {
					t.Errorf("remembered: %v", order)
				}
				if n := logs.Len(); n != c.complaints || (len(order) > 1) != (n > 0) {
					t.Errorf("complained %d times of %d", n, len(order))
				}
			})
		})
	}
}
