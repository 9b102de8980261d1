package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A mirror is what somebody knows who only reads again what is said to have
// changed.
type mirror struct {
	r  *Reconciler
	mu sync.Mutex // several goroutines tell

	known map[netip.Prefix]RouteStatus
	told  int
}

func newMirror() *mirror { return &mirror{known: map[netip.Prefix]RouteStatus{}} }

// changed is an Options.Changed. That it asks back is part of what it tests.
func (m *mirror) changed(p netip.Prefix) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told++
	if s, ok := m.r.Route(p); ok {
		m.known[p] = s
	} else {
		delete(m.known, p)
	}
}

// check compares what is known with the whole truth, and the counts with a walk
// over it.
func (m *mirror) check(t *testing.T) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.r.Status()
	truth := map[netip.Prefix]RouteStatus{}
	wanted, installed, foreign := 0, 0, 0
	for _, rs := range s.Routes {
		truth[rs.Prefix] = rs
		wanted, installed, foreign = wanted+count(rs.Want.State == Present), installed+count(rs.Installed), foreign+count(rs.Foreign)
	}
	if !reflect.DeepEqual(m.known, truth) {
		t.Errorf("told:\n%+v\ntrue:\n%+v", m.known, truth)
	}
	w, i, f, drift := m.r.Counts()
	if w != wanted || i != installed || f != foreign || drift != s.Drift {
		t.Errorf("counts %d %d %d %d, a walk gives %d %d %d %d", w, i, f, drift, wanted, installed, foreign, s.Drift)
	}
}

func TestNothingNewIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m := newFakeSpeaker(testOwner), newMirror()
		f.refuse[prefix(2)] = errors.New("no")
		r := runningWith(t, f, Options{Changed: m.changed}, func(r *Reconciler) { m.r = r })
		for i := range 3 {
			r.Set(route(i, 10))
		}
		time.Sleep(time.Second)
		m.check(t)
		before := m.told
		time.Sleep(10 * time.Minute) // polls, and tries that fail as before
		for i := range 3 {
			r.Set(route(i, 10))
		}
		m.check(t)
		if m.told != before {
			t.Errorf("told %d times more", m.told-before)
		}
		if len(m.known) != 3 || m.known[prefix(2)].Err != "no" || !m.known[prefix(1)].Confirmed {
			t.Errorf("%+v", m.known)
		}
	})
}

func TestChangedAttributeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m := newFakeSpeaker(testOwner), newMirror()
		r := runningWith(t, f, Options{Changed: m.changed}, func(r *Reconciler) { m.r = r })
		for _, med := range []uint32{10, 20} { // the second before a connection had a chance
			r.Set(route(1, med))
			if have := m.known[prefix(1)].Want.Route.MED; have == nil || *have != med {
				t.Errorf("MED %v, want %d", have, med)
			}
		}
		r.Forget(prefix(1))
		m.check(t)
		if len(m.known) != 0 {
			t.Errorf("%+v", m.known)
		}
	})
}

// shown is a Shown that runs beside the test; it gives what came of it.
func shown(t *testing.T, r *Reconciler, p netip.Prefix) func() (err error, over bool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Shown(ctx, p) }()
	t.Cleanup(func() { cancel(nil) })
	return func() (error, bool) {
		synctest.Wait()
		select {
		case err := <-done:
			return err, true
		default:
			return nil, false
		}
	}
}

func TestShownWaitsForItsPrefixOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.down = true
		f.refuse[prefix(2)] = errors.New("no")
		r := running(t, f, func(r *Reconciler) {
			r.Set(route(1, 10))
			r.Set(route(2, 10))
			r.Forget(prefix(3))
		})
		waits := map[int]func() (error, bool){}
		for i := range 4 {
			waits[i] = shown(t, r, netip.PrefixFrom(prefix(i).Addr(), 32))
		}
		over := func() map[int]bool {
			m := map[int]bool{}
			for i, w := range waits {
				if err, yes := w(); yes {
					m[i] = err == nil
					delete(waits, i)
				}
			}
			return m
		}
		if have, want := over(), map[int]bool{0: true}; !maps.Equal(have, want) { // not managed
			t.Errorf("over: %v, want %v", have, want)
		}
		f.start()
		time.Sleep(time.Second)
		if have, want := over(), map[int]bool{1: true, 3: true}; !maps.Equal(have, want) {
			t.Errorf("over: %v, want %v", have, want)
		}
		r.Withdraw(prefix(2)) // another mind
		if have, want := over(), map[int]bool{2: true}; !maps.Equal(have, want) {
			t.Errorf("over: %v, want %v", have, want)
		}
	})
}

func TestShownIsNotWhatTheLastConnectionShowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		if err, over := shown(t, r, prefix(1))(); !over || err != nil {
			t.Errorf("%v, over: %t", err, over)
		}
		f.stop()
		synctest.Wait()
		w := shown(t, r, prefix(1))
		if err, over := w(); over {
			t.Errorf("over while the speaker is down: %v", err)
		}
		f.start()
		time.Sleep(time.Second)
		if err, over := w(); !over || err != nil {
			t.Errorf("%v, over: %t", err, over)
		}
	})
}

func TestShownSaysWhatItWaitedFor(t *testing.T) {
	cause := errors.New("enough")
	for want, change := range map[string]func(*fakeSpeaker){
		"enough: dial: nobody listens":                               func(f *fakeSpeaker) { f.down = true },
		"enough: route 192.0.0.1/32 is not as wanted: out of memory": func(f *fakeSpeaker) { f.refuse[prefix(1)] = errors.New("out of memory") },
		"enough: route 192.0.0.1/32 is not as wanted":                func(f *fakeSpeaker) { f.slow = time.Minute },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeSpeaker(testOwner)
				change(f)
				r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
				ctx, cancel := context.WithCancelCause(context.Background())
				time.AfterFunc(time.Second, func() { cancel(cause) })
				err := r.Shown(ctx, prefix(1))
				if !errors.Is(err, cause) || err.Error() != want {
					t.Errorf("%v, want %s", err, want)
				}
			})
		})
	}
}

// Ten thousand may wait at a time: each is woken for its own prefix only.
func TestWaitIsNotWokenByOtherPrefixes(t *testing.T) {
	tab, now := newTable(testOwner, nil), time.Now()
	for i := range 2 {
		tab.set(prefix(i), Want{State: Present, Route: route(i, 10)}, false, now)
	}
	waits := []<-chan struct{}{tab.await(prefix(0)), tab.await(prefix(1))}
	tab.sawAll(nil)
	tab.take(batchOps, now)
	tab.saw([]netip.Prefix{prefix(1)}, []Path{{Route: route(1, 10), ID: testOwner}}, now)
	for i, w := range waits {
		select {
		case <-w:
			if i == 0 {
				t.Error("woken by another prefix")
			}
		default:
			if i == 1 {
				t.Error("not woken")
			}
		}
	}
}

// told gathers what hooks tell; they run on the reconciler's goroutines.
type told struct {
	mu    sync.Mutex
	words []string
}

func (h *told) add(word string) { h.mu.Lock(); defer h.mu.Unlock(); h.words = append(h.words, word) }

// within does something and returns what is told for a minute.
func (h *told) within(do func()) string {
	h.mu.Lock()
	h.words = nil
	h.mu.Unlock()
	do()
	wait(time.Minute)
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.words, "; ")
}

func TestLinkIsToldWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.down = true
		var r *Reconciler
		var h told
		runningWith(t, f, Options{Linked: func() { h.add(r.Link().API + r.Link().Problem) }}, func(made *Reconciler) { r = made })
		const absent, lost = "dial: nobody listens", "connection lost"
		const other = "the speaker runs as AS 65001, router id 10.0.0.1, the configuration says AS 1, router id 10.0.0.1: neighbors are left alone until it is restarted"
		manage := func() { r.Manage(&Management{Global: Global{ASN: 1, RouterID: netip.MustParseAddr("10.0.0.1")}}) }
		for i, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, absent},
			{f.start, "fake"},
			{manage, "fake" + other},
			{f.restart, lost + "; fake; fake" + other},
			{f.stop, lost + "; " + absent},
		} {
			if have := h.within(step.do); have != step.want {
				t.Errorf("step %d: told %q, want %q", i, have, step.want)
			}
		}
	})
}

func TestNeighborsAreToldWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		var r *Reconciler
		var h told
		runningWith(t, f, Options{Peers: func() { h.add(fmt.Sprint(len(r.Neighbors()))) }}, func(made *Reconciler) { r = made })
		for _, step := range []struct {
			what string
			do   func()
			want string
		}{
			{"none", func() {}, "0"},
			{"one comes", func() { f.peer(2, established) }, "1"},
			{"another one", func() { f.peer(1, established) }, "2"},
			{"counters", func() { f.peer(1, func(n *NeighborState) { n.Received.Update++; n.Sent.Total++; n.Accepted++ }) }, ""},
			{"session", func() { f.peer(1, func(n *NeighborState) { n.State = Active }) }, "2"},
			{"admin", func() { f.peer(1, byOperator) }, "2"},
			{"gone", func() { f.mu.Lock(); defer f.mu.Unlock(); delete(f.peers, neighbor(1).Address) }, "1"},
		} {
			if have := h.within(step.do); have != step.want {
				t.Errorf("%s: told %q, want %q", step.what, have, step.want)
			}
		}
	})
}
