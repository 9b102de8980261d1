package scenarios

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// bound is how long traffic may go where it can't be served: three probes that
// are 200 ms apart, and what a busy machine adds.
const bound = 10 * time.Second

// A fault befalls a node and is mended. While it lasts the node must, or must
// not, attract traffic.
type fault struct {
	name    string
	attract bool
	begin   func(*lab.Node)
	mend    func(*lab.Node)
}

func faults() []fault {
	return []fault{
		{"backends die", false,
			func(n *lab.Node) { n.Backends[0].Kill(); n.Backends[1].Kill() },
			func(n *lab.Node) { n.Backends[0].Again(); n.Backends[1].Again() }},
		{"one backend dies", true,
			func(n *lab.Node) { n.Backends[0].Kill() }, func(n *lab.Node) { n.Backends[0].Again() }},
		{"backends hang", false,
			func(n *lab.Node) { n.Backends[0].Freeze(); n.Backends[1].Freeze() },
			func(n *lab.Node) { n.Backends[0].Thaw(); n.Backends[1].Thaw() }},
		{"gobgpd crashes", false,
			func(n *lab.Node) { n.Gobgpd.Kill() }, func(n *lab.Node) { n.Gobgpd.Again() }},
		{"vipd crashes", true,
			func(n *lab.Node) { n.Vipd.Kill() }, func(n *lab.Node) { n.Vipd.Again() }},
		{"the cable is pulled", false,
			func(n *lab.Node) { n.Link.Down() }, func(n *lab.Node) { n.Link.Up(); n.Route() }},
		{"vipd reloads", true,
			func(n *lab.Node) { n.Vipd.Reload() }, func(*lab.Node) {}},
		{"gobgpd hangs", true, // for less than the hold time
			func(n *lab.Node) { n.Gobgpd.Freeze() }, func(n *lab.Node) { n.Gobgpd.Thaw() }},
	}
}

// Faults at random, one or two nodes at a time, for as long as VIPD_SOAK says
// (default 20 s), from the seed VIPD_SEED. All along: no traffic goes for longer
// than the bound where it can't be served, all is as before once all is mended,
// and vipd grows in nothing.
func TestSoak(t *testing.T) {
	t.Parallel()
	span, seed := soakOptions(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d: repeat with VIPD_SEED=%d", seed, seed)
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Backends: 2})
	rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(rack.Nodes...) })
	before := sizes(rack)

	rounds, end := 0, time.Now().Add(span)
	for ; time.Now().Before(end); rounds++ {
		struck := strike(t, rng, rack.Nodes)
		var via []*lab.Node
		for _, n := range rack.Nodes {
			if f, hit := struck[n]; !hit || f.attract {
				via = append(via, n)
			}
		}
		served := func() error { return rack.Via(via...) }
		rack.Within(bound, fmt.Sprintf("round %d: traffic goes where it can be served", rounds), served)
		rack.For(time.Second, fmt.Sprintf("round %d: and stays there", rounds), served)
		for n, f := range struck {
			f.mend(n)
		}
		rack.Within(time.Minute, fmt.Sprintf("round %d: all is as before", rounds), func() error { return rack.Via(rack.Nodes...) })
	}
	t.Logf("%d rounds in %s; vipd before: %v, after: %v", rounds, span, before, sizes(rack))
	rack.Within(soon, "vipd is as large as before", func() error { return grown(before, sizes(rack)) })
}

// strike begins a fault at one node, or at two.
func strike(t *testing.T, rng *rand.Rand, nodes []*lab.Node) map[*lab.Node]fault {
	t.Helper()
	struck := map[*lab.Node]fault{}
	for range 1 + rng.IntN(3)/2 {
		i := rng.IntN(len(nodes))
		if _, hit := struck[nodes[i]]; hit {
			continue
		}
		f := pick(rng, i == 0)
		t.Logf("%s: %s", nodes[i].Name, f.name)
		f.begin(nodes[i])
		struck[nodes[i]] = f
	}
	return struck
}

// pick spares the first node's vipd: what it grows in is looked at in the end.
func pick(rng *rand.Rand, spare bool) fault {
	all := faults()
	for {
		if f := all[rng.IntN(len(all))]; !spare || f.name != "vipd crashes" {
			return f
		}
	}
}

func soakOptions(t *testing.T) (span time.Duration, seed uint64) {
	t.Helper()
	span, seed = 20*time.Second, uint64(time.Now().UnixNano())
	var err error
	if s := os.Getenv("VIPD_SOAK"); s != "" {
		if span, err = time.ParseDuration(s); err != nil {
			t.Fatalf("VIPD_SOAK: %v", err)
		}
	}
	if s := os.Getenv("VIPD_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("VIPD_SEED: %v", err)
		}
	}
	return span, seed
}

// growth is how much larger the sizes may be in the end, in which a leak would
// show: what is under way at the moment of looking, and memory that Go has not
// given back to the kernel.
func growth() map[string]float64 {
	return map[string]float64{"goroutines": 10, "open files": 10, "heap objects": 20_000, "resident bytes": 16 << 20}
}

// sizes are those of the first node's vipd; what the kernel knows is its word.
func sizes(rack *lab.Rack) map[string]float64 {
	v := rack.Nodes[0].Vipd
	_, rss := v.Usage()
	return map[string]float64{
		"goroutines": v.Metric("go_goroutines"), "heap objects": v.Metric("go_memstats_heap_objects"),
		"open files": float64(v.Files()), "resident bytes": float64(rss),
	}
}

func grown(before, after map[string]float64) error {
	for name, most := range growth() {
		if before[name] == 0 || after[name] > before[name]+most {
			return fmt.Errorf("%s: %v, was %v", name, after[name], before[name])
		}
	}
	return nil
}
