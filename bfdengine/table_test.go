package bfdengine

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
)

// The budget is for all that the engine keeps of a session, but for the kernel's
// socket and its transitions.
func TestASessionCostsLessThanAKilobyte(t *testing.T) {
	const n, budget = 4000, 1024
	r := newRig(t, Options{})
	r.dial = func(sock.Path) (link, int, error) { return &sock.Sender{}, 0, nil }
	specs := make([]Spec, n)
	for i := range specs {
		var err error
		if specs[i], err = hundred(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()).normal(); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, s := range specs {
		if _, err := r.create(s, r.now); err != nil {
			t.Fatal(err)
		}
	}
	r.out = nil // of the first packets, which are never all at once
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(r)
	got := int(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes a session", got)
	if got > budget {
		t.Errorf("%d bytes a session, more than %d", got, budget)
	}
}
