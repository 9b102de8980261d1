package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// The same death as in TestFailure, seen by others where they are installed.
// anycastd is what ANYCASTD names, since no Debian has it.
func TestPeers(t *testing.T) {
	before := load()
	var figures []*figure
	for _, way := range []struct {
		who, how     string
		start        func(o *others, how string)
		vips, rounds int
		alive        time.Duration // between two kills of one
	}{
		{"anycastd", "1s", startAnycastd, 10, 3, 2500 * time.Millisecond},
		{"anycastd", "100ms", startAnycastd, 10, 3, time.Second},
		{"ExaBGP", "", startExaBGP, 15, 1, 8 * time.Second}, // 5 s, fast 1 s, fall 3
		{"ExaBGP", "--interval 0.1 --fast-interval 0.1 --rise 1 --fall 1", startExaBGP, 3, 10, time.Second},
		{"ExaBGP", "--interval 0.1 --fast-interval 0.1 --rise 1 --fall 3", startExaBGP, 3, 10, time.Second},
	} {
		t.Run(way.who+" "+way.how, func(t *testing.T) {
			o := newOthers(t, way.vips)
			way.start(o, way.how)
			samples := o.kills(way.rounds, way.alive)
			figures = append(figures, newFigure("backend killed → withdraw on the wire, "+described(way.who, way.how), way.who, "ms", samples))
		})
	}
	if len(figures) > 0 {
		record(t, "peers", before, figures)
	}
}

func described(who, how string) string {
	switch {
	case who == "anycastd":
		return "http_2xx every " + how + ", 1 try"
	case how == "":
		return "healthcheck, defaults (5 s, fast 1 s, fall 3)"
	}
	return "healthcheck " + how
}

// others are VIPs that somebody else than vipd announces, each with a backend of
// its own.
type others struct {
	*box
	victims []victim
}

func newOthers(t *testing.T, n int) *others {
	t.Helper()
	o := &others{box: newBox(t)}
	for i, vip := range prefixes(vipNet, n) {
		at := backendAt(i)
		o.victims = append(o.victims, victim{vip: vip, at: at, backend: o.node.Nginx(fmt.Sprint("backend", i), at)})
	}
	return o
}

func startExaBGP(o *others, options string) {
	o.Helper()
	var checks []lab.Healthcheck
	for _, v := range o.victims {
		checks = append(checks, lab.Healthcheck{Prefix: v.vip, Web: v.at, More: options})
	}
	s := o.speaker()
	s.Neighbors[0].Local = o.link.A.V4
	o.node.ExaBGP(s, checks...)
}

// startAnycastd starts an anycastd for each VIP: one has a single list of routes.
// So each has an address of its own for its session.
func startAnycastd(o *others, interval string) {
	o.Helper()
	path := os.Getenv("ANYCASTD")
	if path == "" {
		o.Skip("SKIPPED, NOT MEASURED: ANYCASTD names no anycastd (github.com/runityru/anycastd)")
	}
	local := o.link.A.V4
	for i, v := range o.victims {
		local = local.Next()
		o.link.A.Address(local)
		config := filepath.Join(o.TempDir(), "anycastd.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, `announcer:
  router_id: %[1]s
  local_address: %[1]s
  local_asn: %d
  routes: [%s]
  peers: [{name: collector, remote_address: %s, remote_asn: %d}]
services:
  - name: web
    check_interval: %s
    checks:
      - kind: http_2xx
        spec: {url: "http://%s/", method: GET, tries: 1, interval: 1ms, timeout: 500ms}
metrics: {enabled: true, address: "127.0.0.1:%d"}
`, local, nodeAS, v.vip, o.link.B.V4, torAS, interval, v.at, 9100+i), 0o644); err != nil {
			o.Fatal(err)
		}
		o.node.Start(fmt.Sprint("anycastd", i), "env", "CONFIG_PATH="+config, "LOG_LEVEL=ERROR", path)
	}
}

// kills kills each backend once in a round.
func (o *others) kills(rounds int, alive time.Duration) (samples []float64) {
	o.Helper()
	for round := range rounds {
		began := time.Time{}
		if round > 0 {
			began = time.Now()
			for _, v := range o.victims {
				v.backend.Again()
			}
		}
		o.announced(len(o.victims), began)
		pause(alive)
		killed := make([]time.Time, len(o.victims))
		for i, v := range o.victims {
			// Evenly over time, without waiting: the defaults take seconds.
			pause(rand.N(500 * time.Millisecond))
			killed[i] = time.Now()
			v.backend.Kill()
		}
		for i, v := range o.victims {
			samples = append(samples, milliseconds(o.withdrawn(v.vip, killed[i]).Sub(killed[i])))
		}
	}
	return samples
}
