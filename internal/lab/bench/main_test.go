// Package bench takes the figures of docs/performance.md: what vipd costs and
// how fast it is, in the lab's network, beside others in the same run. It judges
// nothing: a figure that misses its target is written down and fails no test.
package bench

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 3 {
		switch args := os.Args[2:]; os.Args[1] {
		case targetCommand:
			os.Exit(serve(args[0], args[1]))
		case peerCommand:
			os.Exit(bfdpeer.Main(args, os.Stdout, os.Stderr))
		case engineCommand:
			os.Exit(runEngine(args))
		case floorCommand:
			os.Exit(runFloor(args))
		case hogCommand:
			os.Exit(hog())
		}
	}
	os.Exit(lab.Main(m))
}

const (
	nodeAS, torAS = 65001, 65000
	soon          = time.Minute // for what takes a moment; an hour's wait is no figure
)

// A box is the smallest network that has a wire: a node, and beside it a
// collector that notes what it is told, and when.
type box struct {
	*lab.Lab
	node    *lab.Host
	link    *lab.Link
	heard   *lab.Collector
	gobgpd  *lab.Process
	api     string // gobgpd's unix socket
	version string
}

func newBox(t *testing.T) *box {
	t.Helper()
	if os.Getenv("VIPD_BENCH") != "1" {
		t.Skip("SKIPPED, NOT MEASURED: figures are taken by make bench (VIPD_BENCH=1)")
	}
	l := lab.New(t)
	tor := l.Host("tor")
	b := &box{Lab: l, node: l.Host("node"), api: filepath.Join(t.TempDir(), "api")}
	b.link = l.Connect(b.node, tor, 1)
	b.heard = tor.Collect(torAS, netip.AddrPortFrom(b.link.B.V4, 179))
	return b
}

func (b *box) speaker() lab.Speaker {
	return lab.Speaker{AS: nodeAS, RouterID: b.link.A.V4, API: "127.0.0.1:50051,unix://" + b.api,
		Neighbors: []lab.Neighbor{{Address: b.link.B.V4, AS: torAS}}}
}

// startGobgpd starts gobgpd and waits for its session.
func (b *box) startGobgpd(version string) {
	b.Helper()
	b.version = version
	b.gobgpd = b.node.Gobgpd(version, b.speaker())
	b.session()
}

func (b *box) session() {
	b.Helper()
	b.Within(soon, "the BGP session stands", func() error { return b.heard.Established(1) })
}

// startVipd starts a vipd that writes to gobgpd by the socket that a bare client
// uses too.
func (b *box) startVipd(vips string) *lab.Vipd {
	b.Helper()
	return b.node.Vipd(b.config(b.api, vips))
}

func (b *box) config(socket, vips string) string {
	return fmt.Sprintf("bgp: {gobgp_address: 'unix://%s'}\ndrain: {grace_period: 0s}\n%s", socket, vips)
}

// withdrawn waits for a withdrawal on the wire and returns when it came.
func (b *box) withdrawn(p netip.Prefix, since time.Time) (at time.Time) {
	b.Helper()
	b.Within(soon, p.String()+" is withdrawn", func() (err error) {
		at, err = b.heard.Heard(since).Withdrawn(p)
		return err
	})
	return at
}

// announced waits until so many prefixes were announced and returns when the
// last of them came.
func (b *box) announced(n int, since time.Time) (at time.Time) {
	b.Helper()
	b.Within(soon, fmt.Sprintf("%d prefixes are announced", n), func() error {
		count := 0
		for _, m := range b.heard.Heard(since) {
			count += len(m.Announced)
			if at = m.At; count >= n {
				return nil
			}
		}
		return fmt.Errorf("%d", count)
	})
	return at
}

// prefixes are n addresses of vipd's VIPs, or of a bare client's routes.
func prefixes(second byte, n int) (all []netip.Prefix) {
	for i := range n {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, byte(i >> 8), byte(i)}), 32))
	}
	return all
}

const vipNet, bareNet = 100, 200

// vips writes VIPs of vipd that share a check; backends are those of the i-th.
func vips(n int, check string, backends func(i int) []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "checks: {c: {%s}}\nvips:\n", check)
	for i, p := range prefixes(vipNet, n) {
		fmt.Fprintf(&b, "  - {name: v%d, prefix: %s, check: c, backends: [{address: %q}", i, p, backends(i)[0])
		for _, more := range backends(i)[1:] {
			fmt.Fprintf(&b, ", {address: %q}", more)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}
