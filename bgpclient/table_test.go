package bgpclient

import (
	"net/netip"
	"testing"
	"time"
)

// 10,000 decisions handed out in batches.
func BenchmarkTake10k(b *testing.B) {
	b.ReportAllocs()
	now := time.Now()
	for b.Loop() {
		b.StopTimer()
		t := newTable(testOwner, nil)
		t.sawAll(nil)
		for i := range 10_000 {
			t.set(prefix(i), Want{State: Present, Route: route(i, 10)}, false, now)
		}
		b.StartTimer()
		for n := 0; n < 10_000; {
			ops, _ := t.take(batchOps, now)
			n += len(ops)
		}
	}
}

func TestWithdrawalsAreTakenFirst(t *testing.T) {
	tab, now := newTable(testOwner, nil), time.Now()
	paths := []Path{{Route: route(1, 10), ID: testOwner}, {Route: route(2, 10), ID: testOwner}}
	tab.sawAll(paths) // of a former life: to be removed
	for i := range 5 {
		tab.set(prefix(10+i), Want{State: Present, Route: route(10+i, 10)}, false, now)
	}
	tab.set(prefix(2), Want{State: Present, Route: route(2, 20)}, false, now)
	tab.set(prefix(10), Want{}, false, now) // a mind changed; nothing is there
	var verbs []Verb
	for ops, _ := tab.take(2, now); len(ops) > 0; ops, _ = tab.take(2, now) {
		for _, op := range ops {
			verbs = append(verbs, op.Verb)
		}
	}
	if len(verbs) != 6 || verbs[0] != Delete || verbs[1] != Put {
		t.Errorf("taken: %v, want one withdrawal and then five puts", verbs)
	}
	if tab.anyDirty() {
		t.Error("something is left to be compared")
	}
}

// 10,000 decisions and the look that confirms them, with somebody who notes what
// to read again and without.
func BenchmarkDecideAndConfirm10k(b *testing.B) {
	var prefixes []netip.Prefix
	var paths []Path
	for i := range 10_000 {
		prefixes = append(prefixes, prefix(i))
		paths = append(paths, Path{Route: route(i, 10), ID: testOwner})
	}
	dirty := map[netip.Prefix]struct{}{}
	for name, tell := range map[string]func(netip.Prefix){"told": func(p netip.Prefix) { dirty[p] = struct{}{} }, "untold": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				t := newTable(testOwner, tell)
				t.sawAll(nil)
				for _, p := range paths {
					t.set(p.Prefix, Want{State: Present, Route: p.Route}, false, now)
				}
				t.take(len(paths), now)
				t.saw(prefixes, paths, now)
				clear(dirty)
			}
		})
	}
}
