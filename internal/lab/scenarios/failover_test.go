package scenarios

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// Three nodes announce the VIPs, and the router shares the traffic among them.
// A node whose backends die is out of it, for both families, until they are
// back. The others say nothing meanwhile.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Backends: 2})
			n1, n2, n3 := rack.Nodes[0], rack.Nodes[1], rack.Nodes[2]
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(n1, n2, n3) })
			for _, n := range rack.Nodes {
				rack.Within(soon, "it says so once", func() error { return rack.Heard(n, time.Time{}, 2, 0) })
			}

			began := time.Now()
			n1.Backends[0].Kill()
			rack.Within(soon, "one of two backends is down", func() error { return n1.Healthy(1) })
			n1.Backends[1].Kill()
			rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via(n2, n3) })
			rack.Within(soon, "n1 withdraws", func() error { return rack.Heard(n1, began, 0, 2) })

			n1.Backends[1].Again()
			rack.Within(soon, "n1 attracts traffic again", func() error { return rack.Via(n1, n2, n3) })
			rack.Within(soon, "n1 announces", func() error { return rack.Heard(n1, began, 2, 2) })
			for _, n := range []*lab.Node{n2, n3} {
				if err := rack.Heard(n, began, 0, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
