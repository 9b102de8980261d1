package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// 10,000 VIPs with a backend each, and half of the backends die at once. Every
// VIP that lost its backend is withdrawn, once, and the network hears nothing
// about the others.
func TestFlood(t *testing.T) {
	const vips = 10_000
	for _, speaker := range []string{"3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Nodes: 1, Backends: 2, VIPs: vips, NoVipd: true,
				Check: "kind: tcp, interval: 3s, timeout: 1s, rise: 1, fall: 2"})
			n1 := rack.Nodes[0]
			n1.Config = everyOther(n1.Config)
			n1.StartSpeaker()
			n1.StartVipd()
			rack.Within(2*time.Minute, "all is announced", func() error { return rack.Heard(n1, time.Time{}, vips+2, 0) })

			died := time.Now()
			n1.Backends[0].Kill()
			rack.Within(time.Minute, "half is withdrawn", func() error { return rack.Heard(n1, died, 0, vips/2) })
			t.Logf("half of %d VIPs withdrawn %s after their backends died, 2 probes 3 s apart", vips, time.Since(died).Round(time.Millisecond))
			rack.For(3*time.Second, "nothing else is said", func() error { return rack.Heard(n1, died, 0, vips/2) })

			back := time.Now()
			n1.Backends[0].Again()
			rack.Within(time.Minute, "half is announced again", func() error { return rack.Heard(n1, back, vips/2, 0) })
			if skipped := n1.Vipd.Metric("vipd_probes_skipped_total"); skipped > vips {
				t.Errorf("%v probes were skipped", skipped)
			}
			if installed := n1.Vipd.Metric("vipd_routes", `state="installed"`); installed != vips+2 {
				t.Errorf("%v routes are installed", installed)
			}
		})
	}
}

// everyOther leaves VIP by VIP one backend, the first and the second in turn;
// the rack's own two VIPs keep both.
func everyOther(config string) string {
	var out strings.Builder
	i := 0
	for line := range strings.Lines(config) {
		if strings.Contains(line, "{name: v") {
			line = strings.Replace(line, fmt.Sprintf(`{address: "127.0.0.1:%d"}, `, 8082-i%2), "", 1)
			i++
		}
		out.WriteString(line)
	}
	return out.String()
}
