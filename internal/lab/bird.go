package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// BIRD is a host's BIRD 2.
type BIRD struct {
	*Process
	socket string
}

// BIRD starts BIRD with a configuration.
func (h *Host) BIRD(config string) *BIRD {
	h.lab.Helper()
	path := h.write("bird.conf", config)
	socket := filepath.Join(h.dir, "bird.ctl")
	b := &BIRD{socket: socket, Process: h.Start("bird", "bird", "-f", "-c", path, "-s", socket, "-P", filepath.Join(h.dir, "bird.pid"))}
	b.answers()
	return b
}

func (b *BIRD) answers() {
	b.host.lab.Helper()
	b.host.lab.Within(limit, "BIRD answers", func() error {
		_, err := b.Show("status")
		return err
	})
}

// Restart kills BIRD and starts it anew. The kernel's routes stay until the new
// one sweeps them.
func (b *BIRD) Restart() {
	b.host.lab.Helper()
	b.Kill()
	b.Again()
	b.answers()
}

// Show returns what birdc prints for "show …".
func (b *BIRD) Show(what string) (string, error) {
	out, err := b.host.output("", "birdc", "-r", "-s", b.socket, "show "+what)
	return string(out), err
}

// Established returns an error that names the BGP protocols without a session.
func (b *BIRD) Established() error {
	out, err := b.Show("protocols")
	if err != nil {
		return err
	}
	var down []string
	n := 0
	for line := range strings.Lines(out) { // name, protocol, table, state, since, info
		if f := strings.Fields(line); len(f) > 1 && f[1] == "BGP" {
			if n++; f[len(f)-1] != "Established" {
				down = append(down, strings.Join(f, " "))
			}
		}
	}
	if n == 0 {
		return errors.New("no peers")
	}
	if len(down) > 0 {
		return errors.New(strings.Join(down, ", "))
	}
	return nil
}

// Paths are the router's paths to a prefix, in the order of the peers. The best
// are those of the route that goes to the kernel, into which BIRD merges all
// that are as good.
func (b *BIRD) Paths(p netip.Prefix) ([]Path, error) {
	kernel := "kernel4"
	if p.Addr().Is6() {
		kernel = "kernel6"
	}
	all, err := b.Show("route for " + p.String() + " all")
	if err != nil {
		return nil, err
	}
	merged, err := b.Show("route for " + p.String() + " export " + kernel)
	if err != nil {
		return nil, err
	}
	paths, err := birdPaths(all)
	if err != nil {
		return nil, err
	}
	best, err := birdPaths(merged)
	if err != nil {
		return nil, err
	}
	for i := range paths {
		paths[i].Best = slices.ContainsFunc(best, func(b Path) bool { return b.Peer == paths[i].Peer })
	}
	slices.SortFunc(paths, func(a, b Path) int { return a.Peer.Compare(b.Peer) })
	return paths, nil
}

// birdPaths reads what BIRD prints of routes. A path begins with the address
// that it goes via, which in a rack is the peer's:
//
//	192.0.2.10/32        unicast [n1_4 16:21:17.375] * (100) [AS65001i]
//		via 10.0.1.1 on n1
//		BGP.local_pref: 100
//		BGP.community: (65535,0) (65001,100)
func birdPaths(text string) (paths []Path, err error) {
	var last *Path
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "via":
			peer, err := netip.ParseAddr(f[1])
			if err != nil {
				return nil, fmt.Errorf("birdc: %q: %w", line, err)
			}
			paths = append(paths, Path{Peer: peer})
			last = &paths[len(paths)-1]
		case last == nil:
		case f[0] == "BGP.local_pref:":
			if last.LocalPref, err = strconv.Atoi(f[1]); err != nil {
				return nil, fmt.Errorf("birdc: %q: %w", line, err)
			}
		case f[0] == "BGP.community:":
			for _, c := range f[1:] {
				last.Communities = append(last.Communities, strings.ReplaceAll(strings.Trim(c, "()"), ",", ":"))
			}
		}
	}
	return paths, nil
}

// bird is the router's configuration, the same as frr.
func (r *Rack) bird() string {
	var b strings.Builder
	b.WriteString("router id 10.255.255.254;\nprotocol device { scan time 1; }\n")
	for _, family := range []string{"4", "6"} {
		fmt.Fprintf(&b, "protocol kernel kernel%[1]s { ipv%[1]s { import none; export all; }; merge paths on; }\n", family)
	}
	// RFC 8326 §4.1: a path with GRACEFUL_SHUTDOWN is the last to be chosen.
	b.WriteString("filter sane { if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; }\n")
	bfd := ""
	if t := r.opts.BFD; t.Mult != 0 {
		fmt.Fprintf(&b, "protocol bfd { interface \"*\" { min rx interval %[1]d ms; min tx interval %[1]d ms; multiplier %[2]d; }; }\n",
			t.Interval.Milliseconds(), t.Mult)
		bfd = "bfd on;"
	}
	fmt.Fprintf(&b, "template bgp node {\n  local as %d;\n  hold time 30;\n  connect delay time 1;\n  connect retry time 1;\n  error wait time 1, 2;\n  %s\n  %s\n}\n",
		RouterAS, bfd, r.opts.Router)
	for _, n := range r.Nodes {
		for _, a := range n.Addresses() {
			family, source := "4", n.Link.B.V4
			if a.Is6() {
				family, source = "6", n.Link.B.V6
			}
			fmt.Fprintf(&b, "protocol bgp %s_%s from node {\n  neighbor %s as %d;\n  source address %s;\n  ipv%[2]s { import filter sane; export none; };\n}\n",
				n.Name, family, a, NodeAS, source)
		}
	}
	return b.String()
}
