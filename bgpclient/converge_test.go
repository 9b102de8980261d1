package bgpclient

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestConvergesFromAnyStart throws everything at the reconciler for a while, and
// then nothing: the table must become the wanted one, and no route of somebody
// else may ever have been touched.
func TestConvergesFromAnyStart(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { converge(t, seed) })
		})
	}
}

func converge(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := newFakeSpeaker(testOwner)
	foreign := map[netip.Prefix]Route{}
	for i := range 40 {
		switch rng.IntN(4) {
		case 0:
			f.put(Path{Route: route(i, rng.Uint32()), ID: testOwner, Odd: rng.IntN(5) == 0})
		case 1:
			foreign[prefix(i)] = route(i, 7)
			f.put(Path{Route: route(i, 7)})
		}
	}
	f.rng = rand.New(rand.NewPCG(seed, 2))
	wanted := map[netip.Prefix]Route{}
	m := newMirror()
	r := runningWith(t, f, Options{Changed: m.changed}, func(r *Reconciler) { m.r = r })
	for n := range 200 {
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		if n%20 == 0 {
			m.check(t)
		}
		i := rng.IntN(40)
		switch rng.IntN(12) {
		case 0:
			f.stop()
			clear(foreign)
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			f.start()
		case 1:
			f.remove(prefix(i), testOwner)
		case 2:
			f.put(Path{Route: route(i, rng.Uint32()), ID: testOwner})
		case 3:
			foreign[prefix(i)] = route(i, 8)
			f.put(Path{Route: route(i, 8)})
		case 4, 5, 6:
			r.Withdraw(prefix(i))
			delete(wanted, prefix(i))
		case 7:
			r.Forget(prefix(i))
			delete(wanted, prefix(i))
		default:
			wanted[prefix(i)] = route(i, rng.Uint32N(3))
			r.Set(wanted[prefix(i)])
		}
	}
	f.mu.Lock()
	f.rng = nil
	f.mu.Unlock()
	// A prefix that is not managed is nobody's to watch between connections.
	for i := range 40 {
		if _, ok := wanted[prefix(i)]; !ok {
			r.Withdraw(prefix(i))
		}
	}
	time.Sleep(pollPaths + 10*time.Second)
	settle(t, r, time.Second)
	wantTable(t, f, testOwner, wanted)
	wantTable(t, f, 0, foreign)
	m.check(t)
}
