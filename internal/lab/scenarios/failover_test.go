package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// Three nodes announce the VIPs, and the router, FRR or BIRD, shares the traffic
// among them. A node whose backends die is out of it, for both families, until
// they are back. The others say nothing meanwhile.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		for name, bird := range map[string]bool{"FRR": false, "BIRD": true} {
			t.Run(speaker+", "+name, func(t *testing.T) {
				t.Parallel()
				failover(t, lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Backends: 2, BIRD: bird}))
			})
		}
	}
}

func failover(t *testing.T, rack *lab.Rack) {
	t.Helper()
	n1, n2, n3 := rack.Nodes[0], rack.Nodes[1], rack.Nodes[2]
	rack.Within(soon, "all nodes attract traffic", func() error { return chosen(rack, n1, n2, n3) })
	for _, n := range rack.Nodes {
		rack.Within(soon, "it says so once", func() error { return rack.Heard(n, time.Time{}, 2, 0) })
	}

	began := time.Now()
	n1.Backends[0].Kill()
	rack.Within(soon, "one of two backends is down", func() error { return n1.Healthy(1) })
	if err := chosen(rack, n1, n2, n3); err != nil {
		t.Error(err)
	}
	n1.Backends[1].Kill()
	rack.Within(soon, "n1 attracts no traffic", func() error { return chosen(rack, n2, n3) })
	rack.Within(soon, "n1 withdraws", func() error { return rack.Heard(n1, began, 0, 2) })

	n1.Backends[1].Again()
	rack.Within(soon, "n1 attracts traffic again", func() error { return chosen(rack, n1, n2, n3) })
	rack.Within(soon, "n1 announces", func() error { return rack.Heard(n1, began, 2, 2) })
	for _, n := range []*lab.Node{n2, n3} {
		if err := rack.Heard(n, began, 0, 0); err != nil {
			t.Error(err)
		}
	}
}

// chosen returns an error unless the router's BGP has a path to both VIPs by each
// of these nodes, all of them equally good, and none besides, and its kernel goes
// by them.
func chosen(rack *lab.Rack, nodes ...*lab.Node) error {
	for family, p := range rack.Both() {
		paths, err := rack.Router.Paths(p)
		if err != nil {
			return err
		}
		if len(paths) != len(nodes) {
			return fmt.Errorf("%s has the paths %+v, not %d", p, paths, len(nodes))
		}
		for i, path := range paths {
			if path.Peer != nodes[i].Addresses()[family] || !path.Best {
				return fmt.Errorf("%s has the paths %+v, not all equal and by the nodes asked for", p, paths)
			}
		}
	}
	return rack.Via(nodes...)
}
