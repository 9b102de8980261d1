package bench

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The same death as in TestFailure, seen by others where they are installed.
func TestPeers(t *testing.T) {
	before := load()
	var figures []*figure
	for _, way := range []struct {
		name, options string
		vips, rounds  int
		alive         time.Duration // between two kills of one
	}{
		{"defaults (5 s, fast 1 s, fall 3)", "", 15, 1, 8 * time.Second},
		{"100 ms, fall 1", "--interval 0.1 --fast-interval 0.1 --rise 1 --fall 1", 3, 10, time.Second},
		{"100 ms, fall 3", "--interval 0.1 --fast-interval 0.1 --rise 1 --fall 3", 3, 10, time.Second},
	} {
		t.Run("ExaBGP "+way.name, func(t *testing.T) {
			e := newExaBGP(t, way.vips, way.options)
			samples := e.kills(way.rounds, way.alive)
			figures = append(figures, newFigure("backend killed → withdraw on the wire, ExaBGP healthcheck, "+way.name, "ExaBGP", "ms", samples))
		})
	}
	if len(figures) > 0 {
		record(t, "peers", before, figures)
	}
}

// An exaBGP announces VIPs, each by a healthcheck process of its own that asks an
// nginx of its own.
type exaBGP struct {
	t       *testing.T
	b       *box
	victims []victim
}

func newExaBGP(t *testing.T, n int, options string) *exaBGP {
	t.Helper()
	b := newBox(t)
	if _, err := exec.LookPath("exabgp"); err != nil {
		t.Skipf("SKIPPED, NOT MEASURED: %v", err)
	}
	e := &exaBGP{t: t, b: b}
	var c, names strings.Builder
	for i, vip := range prefixes(vipNet, n) {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+i))
		e.victims = append(e.victims, victim{vip: vip, backend: b.node.Nginx(fmt.Sprint("backend", i), at)})
		fmt.Fprintf(&c, "process p%d {\n  run /usr/bin/python3 -m exabgp healthcheck --cmd \"curl -sf -m 2 -o /dev/null http://%s/\" --ip %s --no-ip-setup --withdraw-on-down --no-syslog %s;\n  encoder text;\n}\n",
			i, at, vip, options)
		fmt.Fprintf(&names, " p%d", i)
	}
	fmt.Fprintf(&c, "neighbor %s {\n  router-id %s;\n  local-address %s;\n  local-as %d;\n  peer-as %d;\n  family { ipv4 unicast; }\n  api { processes [%s ]; }\n}\n",
		b.link.B.V4, b.link.A.V4, b.link.A.V4, nodeAS, torAS, strings.ReplaceAll(strings.TrimSpace(names.String()), " ", ", "))
	path := filepath.Join(t.TempDir(), "exabgp.conf")
	if err := os.WriteFile(path, []byte(c.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	b.node.Start("exabgp", "env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.level=WARNING", "exabgp", path)
	return e
}

// kills kills each backend once in a round.
func (e *exaBGP) kills(rounds int, alive time.Duration) (samples []float64) {
	e.t.Helper()
	for round := range rounds {
		began := time.Time{}
		if round > 0 {
			began = time.Now()
			for _, v := range e.victims {
				v.backend.Again()
			}
		}
		e.b.announced(len(e.victims), began)
		pause(alive)
		killed := make([]time.Time, len(e.victims))
		for i, v := range e.victims {
			// Evenly over time, without waiting: the defaults take seconds.
			pause(rand.N(500 * time.Millisecond))
			killed[i] = time.Now()
			v.backend.Kill()
		}
		for i, v := range e.victims {
			samples = append(samples, milliseconds(e.b.withdrawn(v.vip, killed[i]).Sub(killed[i])))
		}
	}
	return samples
}
