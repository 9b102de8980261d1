package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// Under load vipd reloads: a file without change says nothing to the network,
// a changed VIP one UPDATE, a bad file nothing; no client notices any of it.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, VIPs: 50})
			n1 := rack.Nodes[0]
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(rack.Nodes...) })
			for _, n := range rack.Nodes {
				rack.Within(soon, "it has said all", func() error { return rack.Heard(n, time.Time{}, 52, 0) })
			}
			load := rack.Client.Load(200, rack.Web4())
			began := time.Now()

			if !n1.Vipd.Reload() {
				t.Error("vipd refuses its own configuration")
			}
			rack.For(2*time.Second, "nothing is said", func() error { return rack.Heard(n1, began, 0, 0) })

			// A large community makes no path worse: the router's choice stays.
			n1.Vipd.Configure(strings.Replace(n1.Config, "name: web4,", `name: web4, announce: {large_communities: ["1:2:3"]},`, 1))
			if !n1.Vipd.Reload() {
				t.Error("vipd refuses a good configuration")
			}
			rack.Within(soon, "one route is said", func() error { return rack.Heard(n1, began, 1, 0) })
			rack.For(2*time.Second, "only one route is said", func() error { return rack.Heard(n1, began, 1, 0) })

			n1.Vipd.Configure(n1.Config + "\nno such key: 1\n")
			if n1.Vipd.Reload() {
				t.Error("vipd takes a bad configuration")
			}
			rack.For(2*time.Second, "nothing more is said", func() error { return rack.Heard(n1, began, 1, 0) })

			result := load.Stop()
			t.Log(result)
			if len(result.Failed()) > 0 {
				t.Error("requests failed")
			}
		})
	}
}
