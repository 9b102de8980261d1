package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

const gracefulShutdown = "65535:0" // RFC 8326

// A node leaves while a client makes 500 new connections a second: vipd makes
// the router prefer others while the node still serves, withdraws, and stops
// when nothing comes any more. Then gobgpd is stopped, and the web server, as
// systemd does with units that are After= one another. Nobody notices.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker,
				Vipd: "drain: {prefer_others: 3s, grace_period: 2s}"})
			rack.KeepFlows()
			n1, n2, n3 := rack.Nodes[0], rack.Nodes[1], rack.Nodes[2]
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(n1, n2, n3) })
			load, load6 := rack.Client.Load(500, rack.Web4()), rack.Client.Load(100, rack.Web6())
			rack.Within(soon, "all nodes answer", func() error { return answer(load, time.Time{}, n1, n2, n3) })

			began := time.Now()
			n1.Vipd.Signal(syscall.SIGTERM)
			rack.Within(soon, "the router goes via others", func() error { return rack.Via(n2, n3) })
			paths, err := rack.Router.Paths(rack.VIP4)
			if err != nil || len(paths) != 3 || paths[0].LocalPref != 0 || paths[0].Best {
				t.Errorf("the router knows no worse path via n1, but %+v (%v)", paths, err)
			}
			preferring := time.Now()
			if code := n1.Vipd.Wait(soon); code != 0 {
				t.Errorf("vipd exits with %d", code)
			}
			rack.Within(soon, "others answer", func() error { return answer(load, preferring, n2, n3) })
			if n1.Gobgpd != nil {
				n1.Gobgpd.Stop(soon)
			}
			n1.Web.Stop(soon)
			gone := time.Now()
			rack.Within(soon, "others answer", func() error { return answer(load, gone, n2, n3) })

			for _, result := range []lab.Result{load.Stop(), load6.Stop()} {
				t.Log(result)
				if len(result.Failed()) > 0 {
					t.Error("requests failed")
				}
			}
			heard := rack.Collector.Heard(began).From(n1.Addresses()...)
			shutdown, err := heard.Announced(rack.VIP4, gracefulShutdown)
			if err != nil {
				t.Fatal(err)
			}
			withdrawn, err := heard.Withdrawn(rack.VIP4)
			if err != nil {
				t.Fatal(err)
			}
			if apart := withdrawn.Sub(shutdown); apart < 2900*time.Millisecond {
				t.Errorf("withdrawn %s after others were preferred, not 3 s", apart)
			}
			if heard.Announcements() != 2 || heard.Withdrawals() != 2 {
				t.Errorf("n1 said more than to prefer others and to withdraw: %+v", heard)
			}
		})
	}
}

// answer returns an error unless exactly these nodes answered requests that
// began after a time.
func answer(load *lab.Load, after time.Time, nodes ...*lab.Node) error {
	by := load.SoFar(after).By()
	var want []string
	for _, n := range nodes {
		want = append(want, n.Name)
	}
	// Enough that all who are asked will have been.
	if got := slices.Sorted(maps.Keys(by)); !slices.Equal(got, want) || by[want[0]] < 200 {
		return fmt.Errorf("answers are by %v, not by %v", by, want)
	}
	return nil
}
