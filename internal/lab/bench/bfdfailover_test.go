package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A breakdown is something that only BFD sees in time.
type breakdown struct {
	name        string
	begin, mend func(*lab.Node)
	// after is what keeps the router from a new BGP session with the gobgpd that
	// is left, which it would have a second later.
	after func(*lab.Node)
	// The wire shows the last packet that arrived; a cut is behind where it is
	// recorded.
	shown bool
}

func breakdowns() []breakdown {
	flush := func(n *lab.Node) { n.Vipd.Kill(); n.Vipd.Flush() }
	again := func(n *lab.Node) { n.Vipd.Again() }
	return []breakdown{
		{"vipd hangs", func(n *lab.Node) { n.Vipd.Freeze() }, again, flush, true},
		{"vipd killed", func(n *lab.Node) { n.Vipd.Kill() }, again, flush, true},
		{"link cut", func(n *lab.Node) { n.Link.Lose(100) }, func(n *lab.Node) { n.Link.Lose(0) }, func(*lab.Node) {}, false},
	}
}

// failoverRounds are so many that each of 4 nodes breaks down 3 times.
const failoverRounds, failoverNodes = 3, 4

// How long it takes until the router's kernel sends nothing to a node any more
// whose BFD falls silent; and until a node has ended BGP with a router that hangs.
func TestFailover(t *testing.T) {
	f := newFailover(t)
	before := load()
	var figures []*figure
	add := func(what string, slack float64, all delays) {
		f := newFigure(what, "gobgpd 4.8.0, FRR", "ms", all.total).beside("detection time", []float64{f.detection}).target("p99", f.detection+slack)
		figures = append(figures, f)
		if len(all.told) > 0 {
			figures = append(figures, newFigure(what+": BFD says so, beyond the detection time", f.Speaker, "ms", all.told))
		}
		if len(all.late) > 0 {
			figures = append(figures, newFigure(what+", beyond the detection time", f.Speaker, "ms", all.late).target("p99", slack))
		}
	}
	for _, b := range breakdowns() {
		var all delays
		for range failoverRounds {
			f.strike(b, &all)
		}
		add(b.name+" → the router has no route", 50, all)
	}
	var all delays
	for range failoverRounds {
		f.hang(&all)
	}
	add("router hangs → no BGP session with it", 20, all)
	record(t, "failover", before, figures)
}

// delays are milliseconds: from the breakdown, and from the end of the detection
// time, which only some breakdowns show on the wire, until all was done, and
// until the BFD daemon said that the session is down.
type delays struct{ total, late, told []float64 }

// A failover is a rack in which everything has BFD.
type failover struct {
	*lab.Rack
	watch     *lab.Watch
	detection float64 // ms
}

func newFailover(t *testing.T) *failover {
	t.Helper()
	if os.Getenv("VIPD_BENCH") != "1" {
		t.Skip("SKIPPED, NOT MEASURED: figures are taken by make bench (VIPD_BENCH=1)")
	}
	timers := lab.Timers{Interval: 50 * time.Millisecond, Mult: 3}
	f := &failover{detection: milliseconds(timers.Detection())}
	f.Rack = lab.NewRack(lab.New(t), lab.RackOptions{Nodes: failoverNodes, BFD: timers})
	f.watch = f.Tor.Watch("monitor")
	f.whole()
	return f
}

// whole waits until all is well, and for some time has been.
func (f *failover) whole() {
	f.Helper()
	f.Within(soon, "all is well", func() error { return errors.Join(f.Via(f.Nodes...), f.BFDStands(), f.Established()) })
	f.For(2*time.Second, "all is well", func() error { return errors.Join(f.Via(f.Nodes...), f.BFDStands()) })
}

// strike lets each node break down, one after the other, and adds how long the
// router took.
func (f *failover) strike(b breakdown, add *delays) {
	f.Helper()
	var wires []*lab.Capture
	for _, n := range f.Nodes {
		wires = append(wires, f.Tor.Capture(n.Name, "udp port 3784"))
	}
	pause(time.Second)
	struck, gone := make([]time.Time, len(f.Nodes)), make([]time.Time, len(f.Nodes))
	for i, n := range f.Nodes {
		pause(rand.N(50 * time.Millisecond)) // so that no breakdown waits for a packet
		struck[i] = time.Now()
		b.begin(n)
		gone[i] = f.gone(n, f.Nodes[i+1:], struck[i])
		add.total = append(add.total, milliseconds(gone[i].Sub(struck[i])))
		b.after(n)
		f.Within(soon, "the router stays away", func() error { return f.Via(f.Nodes[i+1:]...) })
	}
	for i, n := range f.Nodes {
		wires[i].End()
		b.mend(n)
		if b.shown {
			f.beyond(n, wires[i], struck[i], gone[i], add)
		}
	}
	f.whole()
}

// beyond adds what is counted from the end of the detection time.
func (f *failover) beyond(n *lab.Node, wire *lab.Capture, struck, gone time.Time, add *delays) {
	f.Helper()
	for i, a := range n.Addresses() {
		ip := []string{"ip", "ipv6"}[i]
		said, err := wire.First(fmt.Sprintf("bfd.sta == 1 && bfd.diag == 1 && %s.dst == %s", ip, a), struck)
		if err != nil {
			f.Fatal(err)
		}
		last, err := wire.Last(fmt.Sprintf("bfd && %s.src == %s", ip, a), said)
		if err != nil {
			f.Fatal(err)
		}
		add.told = append(add.told, milliseconds(said.Sub(last))-f.detection)
		add.late = append(add.late, milliseconds(gone.Sub(last))-f.detection)
	}
}

// gone waits until the router goes by the other nodes, and returns when the
// second of the two VIPs did.
func (f *failover) gone(n *lab.Node, others []*lab.Node, since time.Time) (at time.Time) {
	f.Helper()
	f.Within(soon, "the router leaves "+n.Name, func() error { return f.Via(others...) })
	for _, p := range f.Both() {
		changed, err := f.watch.Changed(p, since)
		if err != nil {
			f.Fatal(err)
		}
		if changed.After(at) {
			at = changed
		}
	}
	return at
}

// hang lets the router hang, and adds how long the nodes took.
func (f *failover) hang(add *delays) {
	f.Helper()
	var wires []*lab.Capture
	for _, n := range f.Nodes {
		wires = append(wires, f.Tor.Capture(n.Name, "udp port 3784 or tcp port 179"))
	}
	router := f.Router.(*lab.FRR)
	pause(time.Second + rand.N(50*time.Millisecond))
	hung := time.Now()
	router.Freeze()
	pause(time.Second)
	for i, n := range f.Nodes {
		wires[i].End()
		for j, a := range n.Addresses() {
			ip := []string{"ip", "ipv6"}[j]
			ended, err := wires[i].First(fmt.Sprintf("(bgp.type == 3 || tcp.flags.fin == 1) && %s.src == %s", ip, a), hung)
			if err != nil {
				f.Fatal(err)
			}
			said, err := wires[i].First(fmt.Sprintf("bfd.sta == 1 && bfd.diag == 1 && %s.src == %s", ip, a), hung)
			if err != nil {
				f.Fatal(err)
			}
			last, err := wires[i].Last(fmt.Sprintf("bfd && %s.dst == %s", ip, a), ended)
			if err != nil {
				f.Fatal(err)
			}
			add.total = append(add.total, milliseconds(ended.Sub(hung)))
			add.told = append(add.told, milliseconds(said.Sub(last))-f.detection)
			add.late = append(add.late, milliseconds(ended.Sub(last))-f.detection)
		}
	}
	router.Thaw()
	f.whole()
}
