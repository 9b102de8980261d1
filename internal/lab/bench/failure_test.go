package bench

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A watching is one way to look at a backend.
type watching struct {
	interval time.Duration
	watch    bool
	fall     int
	kills    int // in each round
}

func (w watching) String() string {
	with := "without watch"
	if w.watch {
		with = "with watch"
	}
	return fmt.Sprintf("backend killed → withdraw on the wire, every %s, fall %d, %s", w.interval, w.fall, with)
}

// rounds is how often each backend dies.
const rounds = 3

// How long it takes from the kill -9 of a backend, an nginx of its own for each
// VIP, until the withdrawal is on the wire.
func TestFailure(t *testing.T) {
	ways := []watching{
		{time.Second, false, 1, 5}, {100 * time.Millisecond, false, 1, 10},
		{time.Second, true, 1, 10}, {100 * time.Millisecond, true, 1, 10},
		{time.Second, true, 3, 10}, {100 * time.Millisecond, true, 3, 10},
	}
	b := newBox(t)
	before := load()
	b.startGobgpd("4.8.0")
	victims, config := b.victims(ways)
	b.startVipd(config)
	samples := make([][]float64, len(ways))
	for range rounds {
		began := time.Now().Add(-time.Hour)
		if len(samples[0]) > 0 {
			began = time.Now()
			for _, v := range victims {
				v.backend.Again()
			}
		}
		b.announced(len(victims), began)
		pause(2500 * time.Millisecond) // a connection counts as watched when it has lived a second
		rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		for _, v := range victims {
			pause(rand.N(50 * time.Millisecond)) // so that no kill waits for a probe
			killed := time.Now()
			v.backend.Kill()
			samples[v.way] = append(samples[v.way], milliseconds(b.withdrawn(v.vip, killed).Sub(killed)))
		}
	}
	var figures []*figure
	for i, w := range ways {
		f := newFigure(w.String(), "gobgpd 4.8.0", "ms", samples[i])
		if w.watch && w.interval == time.Second && w.fall == 1 {
			f.target("median", 3).target("p99", 10)
		}
		figures = append(figures, f)
	}
	record(t, "failure", before, figures)
}

// A victim is a VIP's only backend.
type victim struct {
	way     int
	vip     netip.Prefix
	at      netip.AddrPort
	backend *lab.Process
}

// backendAt is where the n-th victim listens.
func backendAt(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+n))
}

func (b *box) victims(ways []watching) (all []victim, config string) {
	b.Helper()
	config = "checks:\n"
	for i, w := range ways {
		config += fmt.Sprintf("  c%d: {kind: http, interval: %s, timeout: 100ms, rise: 1, fall: %d, watch: %t}\n", i, w.interval, w.fall, w.watch)
	}
	config += "vips:\n"
	free := prefixes(vipNet, 100)
	for i, w := range ways {
		for range w.kills {
			n := len(all)
			at := backendAt(n)
			all = append(all, victim{i, free[n], at, b.node.Nginx(fmt.Sprint("backend", n), at)})
			config += fmt.Sprintf("  - {name: v%d, prefix: %s, check: c%d, backends: [{address: %q}]}\n", n, free[n], i, at)
		}
	}
	return all, config
}
