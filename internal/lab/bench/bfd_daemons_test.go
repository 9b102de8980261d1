package bench

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

// timers are what both sides of every session are told.
type timers struct {
	interval time.Duration
	mult     int
}

func (t timers) String() string { return fmt.Sprintf("%s × %d", t.interval, t.mult) }

// A daemon is what is measured: it is started on a host for a number of
// neighbors, and returns its processes.
type daemon struct {
	name  string
	start func(b *box, sessions int, t timers) []*lab.Process
}

// here is the daemon's own address.
func (b *box) here() netip.Addr { return b.link.A.V4 }

// neighbors writes something for each neighbor.
func neighbors(sessions int, format func(a netip.Addr) string) string {
	var b strings.Builder
	for i := range sessions {
		b.WriteString(format(bfdpeer.Address(i)))
	}
	return b.String()
}

func bird(b *box, sessions int, t timers) []*lab.Process {
	ms := t.interval.Milliseconds()
	return []*lab.Process{b.node.BIRD(fmt.Sprintf(`router id %s;
protocol device {}
protocol bfd {
	interface "tor" { min rx interval %d ms; min tx interval %d ms; multiplier %d; };
%s}
`, b.here(), ms, ms, t.mult, neighbors(sessions, func(a netip.Addr) string {
		return fmt.Sprintf("\tneighbor %s dev \"tor\" local %s;\n", a, b.here())
	}))).Process}
}

func frr(b *box, sessions int, t timers) []*lab.Process {
	ms := t.interval.Milliseconds()
	f := b.node.FRR(lab.FRRConfig{BFD: "bfd\n" + neighbors(sessions, func(a netip.Addr) string {
		return fmt.Sprintf(" peer %s local-address %s interface tor\n  receive-interval %d\n  transmit-interval %d\n  detect-multiplier %d\n exit\n", a, b.here(), ms, ms, t.mult)
	})})
	return []*lab.Process{f.Daemon("bfdd")}
}

// gobgp is GoBGP's own BFD. It needs a BGP neighbor for each session.
func gobgp(b *box, sessions int, t timers) []*lab.Process {
	us := t.interval.Microseconds()
	return []*lab.Process{b.node.GobgpdFile("4.8.0", fmt.Sprintf("[global.config]\nas = %d\nrouter-id = %q\nport = -1\n", nodeAS, b.here())+
		neighbors(sessions, func(a netip.Addr) string {
			return fmt.Sprintf("[[neighbors]]\n[neighbors.config]\nneighbor-address = %q\npeer-as = %d\n[neighbors.transport.config]\npassive-mode = true\nlocal-address = %q\n"+
				"[neighbors.bfd.config]\nenabled = true\ndesired-minimum-tx-interval = %d\nrequired-minimum-receive = %d\ndetection-multiplier = %d\n",
				a, torAS, b.here(), us, us, t.mult)
		}))}
}

// gobfd is GoBFD, where GOBFD is the path of its daemon.
func gobfd(b *box, sessions int, t timers) []*lab.Process {
	binary := os.Getenv("GOBFD")
	if binary == "" {
		b.Skip("SKIPPED, NOT MEASURED: GOBFD names no binary")
	}
	path := b.file("gobfd.yml", "grpc: {addr: '127.0.0.1:50052'}\nmetrics: {addr: '127.0.0.1:9101', path: /metrics}\nlog: {level: error, format: json}\nsessions:\n"+
		neighbors(sessions, func(a netip.Addr) string {
			return fmt.Sprintf("  - {peer: %s, local: %s, interface: tor, type: single_hop, desired_min_tx: %s, required_min_rx: %s, detect_mult: %d}\n",
				a, b.here(), t.interval, t.interval, t.mult)
		}))
	return []*lab.Process{b.node.Start("gobfd", binary, "-config", path)}
}

// self starts this test program as something else.
func (b *box) self(command string, args ...string) *lab.Process {
	b.Helper()
	return b.node.Start(command, exe(b), append([]string{command}, args...)...)
}

func (b *box) file(name, text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}
