package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// The disk with vipd's configuration and log, and gobgpd's, is full. vipd can
// write no line any more, and decides as ever; of a new configuration only a
// part could be written, and a reload takes nothing of that. With room again the
// log goes on, and the whole configuration is taken.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Nodes: 1, VIPs: 50, NoVipd: true})
	n1 := rack.Nodes[0]
	disk := n1.Disk(1 << 20)
	whole := n1.Config
	n1.Config = lab.Without(whole, "name: v") // web4 and web6 stay
	n1.StartSpeaker()
	n1.StartVipd()
	rack.Within(soon, "n1 attracts traffic", func() error { return rack.Via(n1) })
	rack.Within(soon, "both VIPs are announced", func() error { return rack.Heard(n1, time.Time{}, 2, 0) })

	disk.Fill()
	full := time.Now()
	flaps := 1
	for flap(rack, n1); logged(n1) == 2*flaps; flaps++ { // what was left of the log's last page
		if flaps == 20 {
			t.Fatal("the log is never full")
		}
		flap(rack, n1)
	}
	rack.Within(soon, "each is said once", func() error { return rack.Heard(n1, full, 2*flaps, 2*flaps) })

	torn := n1.Vipd.Tear(whole)
	if torn == "" || torn == whole || strings.HasSuffix(torn, "\n") {
		t.Fatalf("no torn configuration, but one that ends in %q", torn[max(0, len(torn)-100):])
	}
	if n1.Vipd.Reload() {
		t.Error("vipd takes a torn configuration")
	}
	flap(rack, n1)
	flaps++
	rack.Within(soon, "each is said once more", func() error { return rack.Heard(n1, full, 2*flaps, 2*flaps) })

	disk.Free()
	n1.Vipd.Configure(whole)
	if !n1.Vipd.Reload() {
		t.Error("vipd refuses the whole configuration")
	}
	rack.Within(soon, "all is announced", func() error { return rack.Heard(n1, full, 2*flaps+50, 2*flaps) })
	n1.Vipd.Says(soon, `"msg":"reloaded"`, 1)
}

// flap has a node's backend die and come back.
func flap(rack *lab.Rack, n *lab.Node) {
	rack.Helper()
	n.Backends[0].Kill()
	rack.Within(soon, n.Name+" attracts no traffic", func() error { return rack.Via() })
	n.Backends[0].Again()
	rack.Within(soon, n.Name+" attracts traffic again", func() error { return rack.Via(n) })
}

// logged counts the withdrawals that vipd could write down.
func logged(n *lab.Node) int { return strings.Count(n.Vipd.Log(), "vip withdrawn") }
