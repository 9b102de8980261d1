package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// vipd crashes and is started again: the network hears nothing of it, and vipd
// is in charge again.
func TestVipdCrashIsNotSeen(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := oneNode(t, lab.RackOptions{Speaker: speaker})
			n1 := rack.Nodes[0]
			for range 3 {
				crashed := time.Now()
				n1.Vipd.Kill()
				n1.Vipd.Again()
				backInSilence(rack, n1, crashed)
			}
			n1.Backends[0].Kill()
			rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via() })
		})
	}
}

// backInSilence waits until a vipd that was away has decided anew, about which
// the network has heard nothing.
func backInSilence(rack *lab.Rack, n *lab.Node, since time.Time) {
	rack.Helper()
	n.Vipd.Ready()
	rack.Within(soon, "vipd finds the backend up", func() error { return n.Healthy(1) })
	rack.For(time.Second, "nothing is said", func() error { return rack.Heard(n, since, 0, 0) })
}

// vipd comes back and reaches gobgpd from another address than before: its
// routes are still its own.
func TestVipdMoves(t *testing.T) {
	t.Parallel()
	rack := oneNode(t, lab.RackOptions{API: "0.0.0.0:50051"})
	n1 := rack.Nodes[0]
	moved := time.Now()
	n1.Vipd.Kill()
	n1.Vipd.Configure(n1.Config + "\nbgp: {gobgp_address: \"" + n1.Link.A.V4.String() + ":50051\"}\n")
	n1.Vipd.Again()
	backInSilence(rack, n1, moved)
	n1.Backends[0].Kill()
	rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via() })
}

// vipd crashes and stays dead. Its stop hook, vipd flush, withdraws what was
// vipd's, and not what an operator announces.
func TestVipdStaysDead(t *testing.T) {
	t.Parallel()
	rack := oneNode(t, lab.RackOptions{Speaker: "3.10"}) // Debian has its gobgp command
	n1 := rack.Nodes[0]
	operators := lab.Nth(0)
	n1.Run("gobgp", "global", "rib", "add", operators.String())
	rack.Within(soon, "the router has the operator's route", func() error { return rack.Tor.Via(operators, n1.Name) })

	crashed := time.Now()
	n1.Vipd.Kill()
	rack.For(3*time.Second, "the routes stay", func() error { return rack.Via(n1) })
	if said := n1.Vipd.Flush(); !strings.HasPrefix(said, "2 routes withdrawn") {
		t.Errorf("vipd flush says %q", said)
	}
	rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via() })
	rack.Within(soon, "both VIPs are withdrawn", func() error { return rack.Heard(n1, crashed, 0, 2) })
	if err := rack.Tor.Via(operators, n1.Name); err != nil {
		t.Error(err)
	}
}

// A VIP is taken out of the configuration while vipd is down. When it comes
// back it withdraws that one and no other.
func TestVIPRemovedWhileVipdIsDown(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := oneNode(t, lab.RackOptions{Speaker: speaker})
			n1 := rack.Nodes[0]
			crashed := time.Now()
			n1.Vipd.Kill()
			n1.Vipd.Configure(lab.Without(n1.Config, "name: web6"))
			n1.Vipd.Again()
			rack.Within(soon, "the VIP is withdrawn", func() error { return rack.Tor.Via(rack.VIP6) })
			rack.For(2*time.Second, "no other is touched", func() error { return rack.Heard(n1, crashed, 0, 1) })
		})
	}
}
