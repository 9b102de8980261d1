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

// A storm of reloads, several in the time between two probes: of the same file,
// of one that changes the VIP, of one with another VIP besides, and of a bad one.
// The backend is asked as ever, as the wire shows. A reload that asked anew, or
// put the next probe off, would be seen there at once.
func TestReloadDisturbsNoProbe(t *testing.T) {
	t.Parallel()
	const interval, probes = 2 * time.Second, 6
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Nodes: 1, NoVipd: true, Check: "kind: http, interval: 2s, rise: 1"})
	n1 := rack.Nodes[0]
	config := lab.Without(n1.Config, "name: web6")
	n1.Config = config
	n1.StartSpeaker()
	n1.StartVipd()
	rack.Within(soon, "n1 attracts traffic", func() error { return rack.Tor.Via(rack.VIP4, n1.Name) })
	wire := n1.Capture("lo", "tcp dst port 8081")

	storm := []string{
		config,
		strings.Replace(config, "name: web4,", `name: web4, announce: {med: 7},`, 1),
		config + "  - {name: other, prefix: 198.51.100.1/32, check: web, backends: [{address: '127.0.0.1:9'}]}\n",
		config + "\nno such key: 1\n",
	}
	reloads := 0
	gust := time.NewTicker(interval / 8)
	defer gust.Stop()
	for began := time.Now(); time.Since(began) < probes*interval; reloads++ {
		<-gust.C
		c := storm[reloads%len(storm)]
		n1.Vipd.Configure(c)
		if took := n1.Vipd.Reload(); took != (c != storm[3]) {
			t.Fatalf("reload %d: %t", reloads, took)
		}
	}
	wire.End()
	asked := wire.Packets("tcp.flags.syn == 1")
	t.Logf("%d reloads, %d probes", reloads, len(asked))
	if reloads < 3*probes {
		t.Fatal("that is no storm")
	}
	if len(asked) < probes-1 {
		t.Fatalf("the backend was asked %d times, not %d", len(asked), probes)
	}
	for i := range asked[1:] {
		if gap := asked[i+1].At.Sub(asked[i].At); gap < interval/2 || gap > interval*3/2 {
			t.Fatalf("asked again after %s, not %s", gap, interval)
		}
	}
}
