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
			restart(t, lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker}))
		})
	}
	t.Run("4.8.0, BIRD", func(t *testing.T) {
		t.Parallel()
		restart(t, lab.NewRack(lab.New(t), lab.RackOptions{Speaker: "4.8.0", BIRD: true}))
	})
}

func restart(t *testing.T, rack *lab.Rack) {
	t.Helper()
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
}

// A node's cable loses every seventh packet, in both directions. The sessions
// stand, and what vipd decides arrives, once, if later.
func TestLinkLoses(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Nodes: 2})
			n1, n2 := rack.Nodes[0], rack.Nodes[1]
			rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })
			for _, n := range rack.Nodes {
				rack.Within(soon, "it says so once", func() error { return rack.Heard(n, time.Time{}, 2, 0) })
			}
			began := time.Now()
			n1.Link.Lose(14)
			for range 3 {
				n1.Backends[0].Kill()
				rack.Within(time.Minute, "n1 attracts no traffic", func() error { return rack.Via(n2) })
				n1.Backends[0].Again()
				rack.Within(time.Minute, "n1 attracts traffic again", func() error { return rack.Via(n1, n2) })
			}
			rack.Within(time.Minute, "each is said once", func() error { return rack.Heard(n1, began, 6, 6) })
			for _, m := range rack.Collector.Heard(began) {
				if m.Up || m.Down {
					t.Errorf("a session ended or began: %+v", m)
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
