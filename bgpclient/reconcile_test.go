package bgpclient

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

const testOwner = 0x1234

func prefix(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 32)
}

func route(i int, med uint32) Route {
	return Route{Prefix: prefix(i), MED: &med}.Normalize()
}

// running runs a Reconciler against f until the test's bubble ends.
func running(t *testing.T, f *fakeSpeaker, prepare func(*Reconciler)) *Reconciler {
	t.Helper()
	return runningWith(t, f, Options{}, prepare)
}

// runningWith is running with options besides those that f gives.
func runningWith(t *testing.T, f *fakeSpeaker, opts Options, prepare func(*Reconciler)) *Reconciler {
	t.Helper()
	opts.Dial, opts.Owner = f.dial, testOwner
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	r := New(opts)
	if prepare != nil {
		prepare(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func settle(t *testing.T, r *Reconciler, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := r.Settled(ctx); err != nil {
		t.Fatalf("not settled within %v: %v", within, err)
	}
}

func wantTable(t *testing.T, f *fakeSpeaker, id uint32, want map[netip.Prefix]Route) {
	t.Helper()
	have := f.with(id)
	if !maps.EqualFunc(have, want, Route.Equal) {
		t.Fatalf("table of id %d:\nhave %v\nwant %v", id, have, want)
	}
}

func TestWantedRouteAppearsChangesInPlaceAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, nil)
		r.Set(route(1, 10))
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
		r.Set(route(1, 20))
		settle(t, r, time.Second)
		r.Withdraw(prefix(1))
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, nil)
		var verbs []Verb
		for _, op := range f.applied() {
			verbs = append(verbs, op.Verb)
		}
		// One put for the change of an attribute: never delete and add.
		if want := []Verb{Put, Put, Delete}; !slices.Equal(verbs, want) {
			t.Fatalf("operations %v, want %v", verbs, want)
		}
	})
}

func TestSameRouteAgainSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, nil)
		r.Set(route(1, 10))
		settle(t, r, time.Second)
		r.Set(route(1, 10))
		synctest.Wait()
		if n := len(f.applied()); n != 1 {
			t.Fatalf("%d operations, want 1", n)
		}
	})
}

func TestFormerLifeIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		for i := range 3 {
			f.put(Path{Route: route(i, 10), ID: testOwner})
		}
		r := running(t, f, func(r *Reconciler) {
			r.Keep(prefix(0)) // not decided yet
			r.Keep(prefix(1))
			// prefix 2 is configured no more
		})
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(0): route(0, 10), prefix(1): route(1, 10)})
		r.Set(route(0, 10)) // decided as before
		r.Withdraw(prefix(1))
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(0): route(0, 10)})
		if n := len(f.applied()); n != 2 {
			t.Fatalf("%d operations, want the two withdrawals only", n)
		}
	})
}

func TestForeignRouteIsReportedAndLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.put(Path{Route: route(1, 77)})
		f.put(Path{Route: route(9, 77)})
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		if s := r.Status(); s.Foreign != 1 || s.Installed != 1 {
			t.Fatalf("foreign %d, installed %d, want 1 and 1", s.Foreign, s.Installed)
		}
		r.Forget(prefix(1))
		settle(t, r, time.Second)
		wantTable(t, f, 0, map[netip.Prefix]Route{prefix(1): route(1, 77), prefix(9): route(9, 77)})
		if s := r.Status(); len(s.Routes) != 0 {
			t.Fatalf("still managed: %v", s.Routes)
		}
	})
}

func TestDriftIsRepairedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		f.remove(prefix(1), testOwner)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
		if d := r.Status().Drift; d != 1 {
			t.Fatalf("drift counted %d times, want 1", d)
		}
	})
}

func TestRestartedSpeakerIsFilledWithin100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		f.stop()
		time.Sleep(time.Hour)
		if l := r.Status().Link; l.Connected || l.Problem == "" {
			t.Fatalf("link %+v, want a problem", l)
		}
		f.start()
		time.Sleep(100 * time.Millisecond)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
	})
}

func TestOneRefusedRouteKeepsBackNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.refuse[prefix(3)] = errors.New("rpc error: code = Unknown desc = bad next hop")
		r := running(t, f, func(r *Reconciler) {
			for i := range 10 {
				r.Set(route(i, 10))
			}
		})
		time.Sleep(time.Second)
		if n := len(f.with(testOwner)); n != 9 {
			t.Fatalf("%d routes, want 9", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Settled(ctx); err == nil {
			t.Fatal("settled with a route missing")
		}
		for _, rs := range r.Status().Routes {
			if refused := rs.Prefix == prefix(3); refused != (rs.Err != "") || refused == rs.Confirmed {
				t.Errorf("status %+v", rs)
			}
		}
		f.mu.Lock()
		clear(f.refuse)
		f.mu.Unlock()
		settle(t, r, 6*time.Second)
	})
}

// Bad routes make their batch fail. What is tried one by one then must be what
// is wanted by then, and a withdrawal must not wait for the rest.
func TestRefusedBatchIsNotReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		for i := range 50 { // so that one is early in the batch, in whatever order
			f.refuse[prefix(i)] = errors.New("rpc error: code = Unknown desc = bad next hop")
		}
		f.slow = 5 * time.Millisecond
		r := running(t, f, func(r *Reconciler) {
			for i := range 500 {
				r.Set(route(i, 10))
			}
		})
		time.Sleep(200 * time.Millisecond)
		for i := range 500 {
			r.Withdraw(prefix(i))
		}
		there := len(f.with(testOwner))
		if there == 0 || there == 450 {
			t.Fatalf("%d routes are there, want some", there)
		}
		before := len(f.applied())
		settle(t, r, 10*time.Second)
		for i, op := range f.applied()[before:] {
			if op.Verb == Put && i > 0 { // one may have been on its way
				t.Fatalf("%s was put after its withdrawal was decided", op.Route.Prefix)
			}
		}
		wantTable(t, f, testOwner, nil)
	})
}

// A prefix that is listed twice would look as if somebody else had a route too.
func TestPrefixIsAskedForOnce(t *testing.T) {
	ops := []Op{{Put, route(1, 10)}, {Put, route(2, 10)}, {Delete, route(1, 10)}}
	if have := prefixesOf(ops); !slices.Equal(have, []netip.Prefix{prefix(1), prefix(2)}) {
		t.Error(have)
	}
}

// While many routes are on their way, minds change: what is read back in the end
// is the last word on each.
func TestMindsChangeWhileManyAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.slow = 5 * time.Millisecond
		const many = 2*batchOps + 100
		r := running(t, f, func(r *Reconciler) {
			for i := range many {
				r.Set(route(i, 10))
			}
		})
		time.Sleep(7 * time.Millisecond) // in the second batch
		want := map[netip.Prefix]Route{}
		for i := range many {
			switch i % 3 {
			case 0:
				if i%2 == 0 {
					r.Withdraw(prefix(i))
				} else {
					r.Forget(prefix(i))
				}
				continue
			case 1:
				r.Set(route(i, 20))
			}
			want[prefix(i)] = route(i, 10+10*uint32(i%3%2))
		}
		settle(t, r, 10*time.Second)
		wantTable(t, f, testOwner, want)
		if s := r.Status(); s.Foreign != 0 || s.Installed != len(want) {
			t.Errorf("foreign %d, installed %d of %d", s.Foreign, s.Installed, len(want))
		}
	})
}

func TestChangeOfMindIsNoFailure(t *testing.T) {
	tab := newTable(testOwner, nil)
	tab.sawAll(nil)
	now := time.Now()
	tab.set(prefix(1), Want{State: Present, Route: route(1, 10)}, false, now)
	if ops, _ := tab.take(batchOps, now); len(ops) != 1 {
		t.Fatal(ops)
	}
	tab.set(prefix(1), Want{State: Present, Route: route(1, 20)}, false, now)
	if counts, news := tab.failed(prefix(1), errors.New("not shown"), now); counts || news {
		t.Errorf("counts %t, news %t, though another change is wanted by now", counts, news)
	}
}

func TestFrozenSpeakerConvergesWhenItThaws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		f.mu.Lock()
		f.frozen = make(chan struct{})
		f.mu.Unlock()
		r.Withdraw(prefix(1))
		r.Set(route(2, 10))
		time.Sleep(10 * time.Second)
		if r.Status().Link.Connected {
			t.Fatal("a speaker that answers nothing counts as connected")
		}
		f.mu.Lock()
		close(f.frozen)
		f.frozen = nil
		f.mu.Unlock()
		settle(t, r, 3*time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(2): route(2, 10)})
	})
}

func TestGlobalConfigurationIsAwaitedOrGiven(t *testing.T) {
	t.Run("hands off: awaited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSpeaker(testOwner)
			f.global = Global{}
			r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
			time.Sleep(time.Second)
			if len(f.applied()) != 0 {
				t.Fatal("routes were written to a speaker without configuration")
			}
			f.mu.Lock()
			f.global = Global{ASN: 65001}
			f.mu.Unlock()
			settle(t, r, time.Second)
		})
	})
	t.Run("managed: given, routes before neighbors", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSpeaker(testOwner)
			f.global = Global{}
			r := running(t, f, func(r *Reconciler) {
				r.Set(route(1, 10))
				r.Manage(management(neighbor(1)))
			})
			settle(t, r, time.Second)
			synctest.Wait()
			f.mu.Lock()
			defer f.mu.Unlock()
			apply, add := slices.Index(f.calls, "Apply"), slices.Index(f.calls, "AddNeighbor")
			if start := slices.Index(f.calls, "Start"); start < 0 || apply < start || add < apply {
				t.Fatalf("calls %v, want Start, then Apply, then AddNeighbor", f.calls)
			}
		})
	})
}
