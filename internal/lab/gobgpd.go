package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// limit is how long things may take that have no limit of their own. A busy
// machine must not be mistaken for a broken program.
const limit = 30 * time.Second

// A Neighbor is a BGP peer of a node.
type Neighbor struct {
	Address netip.Addr
	Local   netip.Addr // only ExaBGP must be told
	Port    uint16     // 0: 179
	AS      uint32
	Restart int // seconds of graceful restart; 0: none
}

// A Speaker is what a node's BGP speaker is configured with.
type Speaker struct {
	AS        uint32
	RouterID  netip.Addr
	API       string // host:port
	Neighbors []Neighbor
}

// Gobgpd starts a gobgpd of one version, as "4.8.0". "3.10" is Debian's.
func (h *Host) Gobgpd(version string, s Speaker) *Process {
	h.lab.Helper()
	p := h.Start("gobgpd", h.gobgpd(version), s.gobgpdArgs(h)...)
	h.Listens("127.0.0.1:50051")
	return p
}

// GobgpdFile starts a gobgpd with a configuration of its own.
func (h *Host) GobgpdFile(version, config string) *Process {
	h.lab.Helper()
	return h.Start("gobgpd", h.gobgpd(version), "-f", h.write("gobgpd-own.toml", config), "--pprof-disable")
}

// Replace ends a gobgpd and starts one of another version in its place.
func (p *Process) Replace(version string) {
	p.host.lab.Helper()
	p.Kill()
	p.name = p.host.gobgpd(version)
	p.Again()
	p.host.Listens("127.0.0.1:50051")
}

func (h *Host) gobgpd(version string) string {
	h.lab.Helper()
	if version == "3.10" {
		path := find("gobgpd")
		out, err := exec.Command(path, "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 3.10.") {
			missing(h.lab, "gobgpd 3.10: %s says %q, %v", path, out, err)
		}
		return path
	}
	cache, err := os.UserCacheDir()
	h.lab.must(err)
	path := filepath.Join(cache, "vipd", "gobgpd-"+version)
	if _, err := os.Stat(path); err != nil {
		missing(h.lab, "gobgpd: %v (scripts/gobgpd.sh %s builds it)", err, version)
	}
	return path
}

// gobgpdArgs writes the configuration and returns the arguments that name it.
func (s Speaker) gobgpdArgs(h *Host) []string {
	h.lab.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[global.config]\nas = %d\nrouter-id = %q\n", s.AS, s.RouterID)
	args := []string{"--api-hosts", s.API, "--pprof-disable", "--log-plain", "-f", filepath.Join(h.dir, "gobgpd.toml")}
	graceful := false
	for _, n := range s.Neighbors {
		family := "ipv4-unicast"
		if n.Address.Is6() {
			family = "ipv6-unicast"
		}
		fmt.Fprintf(&b, `
[[neighbors]]
[neighbors.config]
neighbor-address = %q
peer-as = %d
[neighbors.transport.config]
remote-port = %d
[neighbors.timers.config]
connect-retry = 1
hold-time = 90
idle-hold-time-after-reset = 1
[neighbors.graceful-restart.config]
enabled = %t
restart-time = %d
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = %q
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = %[4]t
`, n.Address, n.AS, n.port(), n.Restart > 0, n.Restart, family)
		graceful = graceful || n.Restart > 0
	}
	if graceful {
		args = append(args, "--graceful-restart")
	}
	h.write("gobgpd.toml", b.String())
	return args
}

func (n Neighbor) port() uint16 {
	if n.Port == 0 {
		return 179
	}
	return n.Port
}

// Listens waits until a TCP port of the host takes connections.
func (h *Host) Listens(address string) {
	h.lab.Helper()
	h.lab.Within(limit, h.Name+" listens on "+address, func() error {
		return h.do(func() error {
			conn, err := net.DialTimeout("tcp", address, time.Second)
			if err != nil {
				return err
			}
			return conn.Close()
		})
	})
}
