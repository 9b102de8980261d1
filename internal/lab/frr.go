package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// frrDir is where Debian has FRR's daemons.
const frrDir = "/usr/lib/frr"

// FRR is a host's FRR: zebra, bgpd and, if wanted, bfdd.
type FRR struct {
	host    *Host
	dir     string // its configuration and sockets
	daemons []*Process
}

// FRRConfig is the configuration of each of FRR's daemons. Without one for bfdd
// there is no bfdd.
type FRRConfig struct{ Zebra, BGP, BFD string }

// FRR starts FRR.
func (h *Host) FRR(c FRRConfig) *FRR {
	h.lab.Helper()
	if _, err := os.Stat(frrDir); err != nil {
		missing(h.lab, "FRR: %v", err)
	}
	f := &FRR{host: h, dir: filepath.Join(h.dir, "frr")}
	h.lab.must(os.Mkdir(f.dir, 0o755))
	daemons := []struct{ name, config string }{{"zebra", c.Zebra}, {"bgpd", c.BGP}, {"bfdd", c.BFD}}
	for _, d := range daemons {
		h.write(filepath.Join("frr", d.name+".conf"), "hostname "+h.Name+"\n"+d.config)
	}
	h.joinVTY()
	zebra := filepath.Join(f.dir, "zserv.api")
	for _, d := range daemons {
		if d.name == "bfdd" && d.config == "" {
			continue
		}
		path := filepath.Join(f.dir, d.name)
		args := []string{"-f", path + ".conf", "-i", path + ".pid", "-z", zebra, "--vty_socket", f.dir,
			"-u", "root", "-g", "root", "-P", "0", "--log", "stdout"}
		if d.name == "bfdd" {
			args = append(args, "--bfdctl", path+".sock")
		}
		f.daemons = append(f.daemons, h.Start(d.name, filepath.Join(frrDir, d.name), args...))
		f.answers(d.name)
	}
	return f
}

// joinVTY makes root a member of the group that FRR insists on, on this host
// alone. The daemons can then stay root: one that becomes another user forgets
// that it is to die with its parent (PR_SET_PDEATHSIG).
func (h *Host) joinVTY() {
	h.lab.Helper()
	const groups, vty = "/etc/group", "\nfrrvty:"
	text, err := os.ReadFile(groups)
	h.lab.must(err)
	before, rest, ok := strings.Cut(string(text), vty)
	if !ok {
		h.lab.Fatalf("%s: no group frrvty", groups)
	}
	line, after, _ := strings.Cut(rest, "\n")
	if !strings.HasSuffix(line, ":") {
		line += ","
	}
	h.replace(groups, before+vty+line+"root\n"+after)
}

// answers waits until a daemon listens to vtysh: it has its configuration then,
// and a daemon that starts before zebra does loses its first messages.
func (f *FRR) answers(daemon string) {
	f.host.lab.Helper()
	f.host.lab.Within(20*time.Second, daemon+" answers", func() error {
		_, err := f.host.output("", "vtysh", "--vty_socket", f.dir, "-d", daemon, "-c", "show version")
		return err
	})
}

// Restart kills all daemons and starts them anew, as after a crash of the
// router's control plane. The kernel's routes stay until the new zebra sweeps
// them.
func (f *FRR) Restart() {
	f.host.lab.Helper()
	for _, p := range slices.Backward(f.daemons) {
		p.Kill()
	}
	for _, p := range f.daemons {
		p.Again()
		f.answers(p.label)
	}
}

// Show runs a command of vtysh that prints JSON.
func (f *FRR) Show(into any, command string) error {
	return f.host.show(into, "vtysh", "--vty_socket", f.dir, "-c", command+" json")
}

// Paths are the router's paths to a prefix, in the order of the peers.
func (f *FRR) Paths(p netip.Prefix) ([]Path, error) {
	var table struct {
		Paths []struct {
			Peer      struct{ PeerID netip.Addr }
			LocPrf    *int
			LocalPref *int
			Community struct{ List []string }
			Bestpath  struct{ Overall, Multipath bool }
			Multipath bool
			Stale     bool
		}
	}
	family := "ipv4"
	if p.Addr().Is6() {
		family = "ipv6"
	}
	if err := f.Show(&table, "show bgp "+family+" unicast "+p.String()); err != nil {
		return nil, err
	}
	var paths []Path
	for _, t := range table.Paths {
		path := Path{Peer: t.Peer.PeerID, LocalPref: 100, Communities: t.Community.List, Stale: t.Stale,
			Best: t.Bestpath.Overall || t.Bestpath.Multipath || t.Multipath}
		for _, pref := range []*int{t.LocPrf, t.LocalPref} {
			if pref != nil {
				path.LocalPref = *pref
			}
		}
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b Path) int { return a.Peer.Compare(b.Peer) })
	return paths, nil
}

// Prefixes are all to which the router has a path by BGP, sorted.
func (f *FRR) Prefixes() (all []netip.Prefix, err error) {
	for _, family := range []string{"ipv4", "ipv6"} {
		var table struct {
			Routes map[netip.Prefix]json.RawMessage
		}
		if err := f.Show(&table, "show bgp "+family+" unicast"); err != nil {
			return nil, err
		}
		all = slices.AppendSeq(all, maps.Keys(table.Routes))
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return all, nil
}

// Updates counts the UPDATEs that a peer has sent to the router.
func (f *FRR) Updates(peer netip.Addr) (int, error) {
	var peers map[string]struct {
		MessageStats struct{ UpdatesRecv int }
	}
	err := f.Show(&peers, "show bgp neighbors "+peer.String())
	return peers[peer.String()].MessageStats.UpdatesRecv, err
}

// Established returns an error that names the peers without a session.
func (f *FRR) Established() error {
	var families map[string]json.RawMessage
	if err := f.Show(&families, "show bgp summary"); err != nil {
		return err
	}
	var down []string
	n := 0
	for family, raw := range families {
		var summary struct {
			Peers map[string]struct{ State string }
		}
		if json.Unmarshal(raw, &summary) != nil {
			continue // "warning": no peers of that family
		}
		for peer, s := range summary.Peers {
			if n++; s.State != "Established" {
				down = append(down, fmt.Sprintf("%s %s is %s", family, peer, s.State))
			}
		}
	}
	if n == 0 {
		return errors.New("no peers")
	}
	if len(down) > 0 {
		slices.Sort(down)
		return errors.New(strings.Join(down, ", "))
	}
	return nil
}

// Daemon returns the process of one of FRR's daemons.
func (f *FRR) Daemon(name string) *Process {
	f.host.lab.Helper()
	i := slices.IndexFunc(f.daemons, func(p *Process) bool { return p.label == name })
	if i < 0 {
		f.host.lab.Fatalf("%s: FRR runs no %s", f.host.Name, name)
	}
	return f.daemons[i]
}
