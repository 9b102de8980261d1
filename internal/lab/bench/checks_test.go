package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

const (
	backends   = 10_000
	perVIP     = 4
	vipdSpan   = 20 * time.Second
	peerSpan   = 10 * time.Second
	microcores = 1e6 // µs of CPU in a second of one core
)

// What 10,000 HTTP and 10,000 TCP checks a second cost vipd, and in the same run
// HAProxy, of the same targets. Neither has anything else to do. The targets'
// own CPU is told apart.
func TestChecks(t *testing.T) {
	b := newBox(t)
	before := load()
	target := b.target(1)
	var figures []*figure
	for _, kind := range []string{"http", "tcp"} {
		ours, more := vipdChecks(target, kind)
		figures = slices.Concat(figures, ours.figures(kind, "vipd"), more)
		for _, threads := range []int{1, 2} {
			theirs := haproxyChecks(target, kind, threads)
			name := fmt.Sprintf("HAProxy, nbthread %d", threads)
			figures = append(append(figures, theirs.figures(kind, name)...),
				one(kind+", CPU of a check", "µs", ours.perCheck()).beside(name, []float64{theirs.perCheck()}).target("ratio", 1.5))
		}
	}
	record(t, "checks", before, figures)
}

// one is a figure that is measured once.
func one(name, unit string, value float64) *figure {
	return newFigure(name, "", unit, []float64{value})
}

// A cost is what a checker and its targets used in a span.
type cost struct {
	span            time.Duration
	checker, target time.Duration
	checks          int
}

func (c cost) perCheck() float64 { return microcores * c.checker.Seconds() / float64(c.checks) }

func (c cost) figures(kind, who string) []*figure {
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / c.span.Seconds() }
	name := kind + ", " + who + ": "
	return []*figure{
		one(name+"checks a second", "", float64(c.checks)/c.span.Seconds()),
		one(name+"CPU", "% of a core", share(c.checker)),
		one(name+"CPU of the targets", "% of a core", share(c.target)),
	}
}

// measure takes what both use in a span.
func measure(p *lab.Process, t *target, span time.Duration) cost {
	n, began := t.box.opened(), time.Now()
	checker, _ := p.Usage()
	asked, _ := t.Usage()
	pause(span)
	c := cost{span: time.Since(began)}
	checkerNow, _ := p.Usage()
	askedNow, _ := t.Usage()
	c.checks, c.checker, c.target = t.box.opened()-n, checkerNow-checker, askedNow-asked
	return c
}

// opened is how many connections were begun on the node. The targets could not
// tell: HAProxy ends a TCP check before it is a connection to them.
func (b *box) opened() int {
	b.Helper()
	var names []string
	for line := range strings.Lines(b.node.Run("cat", "/proc/net/snmp")) {
		fields := strings.Fields(line)
		if i := slices.Index(names, "ActiveOpens"); i > 0 {
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
		names = fields
	}
	b.Fatal("no count of connections")
	return 0
}

func address(i int) string { return fmt.Sprintf("127.1.%d.%d:%d", i/250, i%250+1, firstPort) }

func vipdChecks(t *target, kind string) (cost, []*figure) {
	b := t.box
	b.Helper()
	v := b.node.Vipd("bgp: {enabled: false}\ndrain: {grace_period: 0s}\n" +
		vips(backends/perVIP, "kind: "+kind+", interval: 1s", func(i int) (all []string) {
			for j := range perVIP {
				all = append(all, address(perVIP*i+j))
			}
			return all
		}))
	defer v.Kill()
	pause(10 * time.Second) // all are up, and none asks with the others
	before := b.scrape()
	pause(3 * time.Second) // a scrape of so much disturbs
	c := measure(v.Process, t, vipdSpan)
	_, rss := v.Usage()
	after := b.scrape()
	if up := after["vipd_backend_up"]; up != backends {
		b.Errorf("%v backends are up, of %d", up, backends)
	}
	late := map[string]float64{}
	for series, n := range after {
		late[series] = n - before[series]
	}
	return c, []*figure{
		one(kind+", probes late: 99 of 100 at most", "ms", p99(late)).target("median", 50),
		one(kind+", probes skipped", "", late["vipd_probes_skipped_total"]),
		one(kind+", RSS of a target", "KB", float64(rss)/1024/backends).target("median", 4),
	}
}

// scrape takes vipd's metrics once: with so many backends it costs what hundreds
// of checks do. Series of one name are added up, but for buckets.
func (b *box) scrape() map[string]float64 {
	b.Helper()
	sums := map[string]float64{}
	for line := range strings.Lines(b.node.Run("curl", "-sf", "http://127.0.0.1:9179/metrics")) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ := strings.Cut(series, "{")
		if strings.HasSuffix(name, "_bucket") {
			name = series
		}
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			sums[name] += x
		}
	}
	return sums
}

// p99 is the bound of the bucket that the 99th percentile of the lateness is in,
// in ms.
func p99(sums map[string]float64) float64 {
	const name = "vipd_probe_lateness_seconds"
	lowest := math.Inf(1)
	for series, n := range sums {
		bound, ok := strings.CutPrefix(series, name+`_bucket{le="`)
		le, err := strconv.ParseFloat(strings.TrimSuffix(bound, `"}`), 64)
		if ok && err == nil && n >= 0.99*sums[name+"_count"] {
			lowest = min(lowest, 1000*le)
		}
	}
	return min(lowest, 60_000) // JSON has no infinity
}

func haproxyChecks(t *target, kind string, threads int) cost {
	b := t.box
	b.Helper()
	var c strings.Builder
	fmt.Fprintf(&c, "global\n  nbthread %d\n  maxconn 1000\ndefaults\n  timeout connect 500ms\n  timeout server 500ms\n  timeout client 500ms\n  timeout check 500ms\n", threads)
	// HAProxy does not run without a listener.
	fmt.Fprintf(&c, "frontend f\n  bind 127.0.0.1:19999\n  mode %s\n  default_backend b\n", kind)
	if kind == "http" {
		c.WriteString("backend b\n  mode http\n  option httpchk GET /\n  http-check expect status 200-299\n")
	} else {
		c.WriteString("backend b\n  mode tcp\n")
	}
	for i := range backends {
		fmt.Fprintf(&c, "  server s%d %s check inter 1s\n", i, address(i))
	}
	path := filepath.Join(b.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(c.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	p := b.node.Start(fmt.Sprintf("haproxy-%s-%d", kind, threads), "haproxy", "-db", "-f", path)
	defer p.Kill()
	pause(5 * time.Second)
	if p.Exited() {
		b.Fatal("HAProxy has ended")
	}
	return measure(p, t, peerSpan)
}
