package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// apiPort is gobgpd's, by default.
const apiPort = 50051

// gobgpd runs on, but nothing gets through to its API or from it any more, and
// no connection is closed. vipd notices and goes on deciding; a backend dies for
// good, another comes back. When the API is there again, the network hears what
// is true then, and nothing of what was in between.
func TestAPIStalls(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Nodes: 2})
			n1, n2 := rack.Nodes[0], rack.Nodes[1]
			rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })
			for _, n := range rack.Nodes {
				rack.Within(soon, "it says so once", func() error { return rack.Heard(n, time.Time{}, 2, 0) })
			}

			stalled := time.Now()
			n1.Stall(apiPort)
			n2.Stall(apiPort)
			n1.Backends[0].Kill()
			n2.Backends[0].Kill()
			for _, n := range rack.Nodes {
				rack.Within(soon, "vipd notices", func() error { return speakerUp(n, 0) })
				rack.Within(soon, "vipd withdraws", func() error { return wanted(n, 0) })
			}
			n2.Backends[0].Again()
			rack.Within(soon, "vipd announces", func() error { return wanted(n2, 2) })
			if err := rack.Via(n1, n2); err != nil {
				t.Errorf("the API was not stalled: %v", err)
			}
			for _, n := range rack.Nodes {
				if err := rack.Heard(n, stalled, 0, 0); err != nil {
					t.Error(err)
				}
			}

			n1.Resume(apiPort)
			n2.Resume(apiPort)
			for _, n := range rack.Nodes {
				rack.Within(soon, "vipd is back", func() error { return speakerUp(n, 1) })
			}
			rack.Within(soon, "n1 withdraws", func() error { return rack.Heard(n1, stalled, 0, 2) })
			rack.Within(soon, "n2 attracts all traffic", func() error { return rack.Via(n2) })
			rack.For(3*time.Second, "n2 has said nothing", func() error { return rack.Heard(n2, stalled, 0, 0) })
		})
	}
}

// wanted returns an error unless vipd wants so many routes at the speaker.
func wanted(n *lab.Node, want float64) error {
	if got := n.Vipd.Metric("vipd_routes", `state="wanted"`); got != want {
		return fmt.Errorf("%s wants %v routes, not %v", n.Name, got, want)
	}
	return nil
}

// speakerUp returns an error unless vipd says so of its connection.
func speakerUp(n *lab.Node, want float64) error {
	if got := n.Vipd.Metric("vipd_speaker_up"); got != want {
		return fmt.Errorf("%s: vipd_speaker_up is %v", n.Name, got)
	}
	return nil
}
