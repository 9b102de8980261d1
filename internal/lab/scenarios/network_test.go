package scenarios

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// The router's daemons crash and come back. The nodes need nobody's help.
func TestRouterRestarted(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker})
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(rack.Nodes...) })
			restarted := time.Now()
			rack.Router.Restart()
			rack.Within(time.Minute, "all BGP sessions stand", rack.Established)
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(rack.Nodes...) })
			for _, n := range rack.Nodes {
				// The collector's sessions are others.
				if err := rack.Heard(n, restarted, 0, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A node's cable is pulled and plugged in again, five times.
func TestLinkFlaps(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker})
			n1, n2, n3 := rack.Nodes[0], rack.Nodes[1], rack.Nodes[2]
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(n1, n2, n3) })
			for range 5 {
				n1.Link.Down()
				rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via(n2, n3) })
				n1.Link.Up()
				n1.Route()
			}
			rack.Within(time.Minute, "n1 attracts traffic again", func() error { return rack.Via(n1, n2, n3) })
		})
	}
}
