package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timers of a BFD session, the same on both sides and both ways.
type Timers struct {
	Interval time.Duration
	Mult     int
}

// Detection is the silence after which a session fails.
func (t Timers) Detection() time.Duration { return time.Duration(t.Mult) * t.Interval }

// A BFDSession is what a daemon says of one of its own.
type BFDSession struct {
	Peer  netip.Addr
	State string // "AdminDown", "Down", "Init" or "Up"
}

// A BFDDaemon is one that has BFD sessions, seen through its own eyes.
type BFDDaemon interface {
	BFD() ([]BFDSession, error)
}

// BFDIs returns an error unless a daemon has a session with a peer, in a state.
func BFDIs(d BFDDaemon, peer netip.Addr, state string) error {
	all, err := d.BFD()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Peer == peer {
			if s.State != state {
				return fmt.Errorf("the session with %s is %s, not %s", peer, s.State, state)
			}
			return nil
		}
	}
	return fmt.Errorf("no session with %s among %v", peer, all)
}

// BFD is bfdd's view. FRR calls what RFC 5880 calls AdminDown "shutdown".
func (f *FRR) BFD() ([]BFDSession, error) {
	var peers []struct {
		Peer   netip.Addr
		Status string
	}
	if err := f.Show(&peers, "show bfd peers"); err != nil {
		return nil, err
	}
	names := map[string]string{"shutdown": "AdminDown", "down": "Down", "init": "Init", "up": "Up"}
	var all []BFDSession
	for _, p := range peers {
		all = append(all, BFDSession{p.Peer, names[p.Status]})
	}
	return all, nil
}

// BFDFrom returns an error unless bfdd has a session from one of its own
// addresses that is up, or down.
func (f *FRR) BFDFrom(local netip.Addr, status string) error {
	var peers []struct{ Local, Status string }
	if err := f.Show(&peers, "show bfd peers"); err != nil {
		return err
	}
	for _, p := range peers {
		if p.Local == local.String() && p.Status == status {
			return nil
		}
	}
	return fmt.Errorf("no session from %s is %s among %v", local, status, peers)
}

// BFDFalls counts how often bfdd's sessions left Up, since each was made.
func (f *FRR) BFDFalls() (falls int, err error) {
	var counters []struct {
		Falls int `json:"session-down"`
	}
	if err := f.Show(&counters, "show bfd peers counters"); err != nil {
		return 0, err
	}
	for _, c := range counters {
		falls += c.Falls
	}
	return falls, nil
}

// Configure changes the configuration of the running daemons.
func (f *FRR) Configure(lines ...string) {
	f.host.lab.Helper()
	args := []string{"--vty_socket", f.dir, "-c", "configure terminal"}
	for _, line := range lines {
		args = append(args, "-c", line)
	}
	f.host.Run("vtysh", args...)
}

// Freeze stops all daemons in their tracks: the router's control plane hangs,
// and its kernel goes on.
func (f *FRR) Freeze() {
	f.host.lab.Helper()
	for _, d := range f.daemons {
		d.Freeze()
	}
}

// Thaw lets them go on.
func (f *FRR) Thaw() {
	f.host.lab.Helper()
	for _, d := range f.daemons {
		d.Thaw()
	}
}

// BFD is BIRD's view:
//
//	IP address                Interface  State      Since         Interval  Timeout
//	10.0.1.1                  node       Up         17:04:42.101    0.100    0.300
func (b *BIRD) BFD() ([]BFDSession, error) {
	out, err := b.Show("bfd sessions")
	if err != nil {
		return nil, err
	}
	var all []BFDSession
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		if peer, err := netip.ParseAddr(f[0]); err == nil {
			all = append(all, BFDSession{peer, f[2]})
		}
	}
	return all, nil
}

// Configure gives the running BIRD another configuration.
func (b *BIRD) Configure(config string) {
	b.host.lab.Helper()
	b.host.write("bird.conf", config)
	if out := b.host.Run("birdc", "-s", b.socket, "configure"); !strings.Contains(out, "Reconfigur") {
		b.host.lab.Fatalf("%s: birdc: %s", b.host.Name, out)
	}
}

// Secret writes a key's file beside vipd's configuration.
func (h *Host) Secret(name, secret string) {
	h.lab.Helper()
	h.write(name, secret+"\n")
}

// Urgent lets a process of the host run before all others that are not, so that
// what it says of time is true on a busy machine.
func (h *Host) Urgent(p *Process) {
	h.lab.Helper()
	h.Run("chrt", "-a", "--rr", "-p", "50", strconv.Itoa(p.PID()))
}

// BFDStands returns an error unless all BFD sessions of the nodes with the
// router are up, as the router sees it.
func (r *Rack) BFDStands() error {
	d, ok := r.Router.(BFDDaemon)
	if !ok {
		return errors.New("the router has no BFD")
	}
	for _, n := range r.Nodes {
		for _, a := range n.Addresses() {
			if err := BFDIs(d, a, "Up"); err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
		}
	}
	return nil
}

// bfd is bfdd's configuration; empty without BFD.
func (r *Rack) bfd() string {
	t := r.opts.BFD
	if t.Mult == 0 {
		return ""
	}
	ms := t.Interval.Milliseconds()
	return fmt.Sprintf("bfd\n profile node\n  receive-interval %d\n  transmit-interval %d\n  detect-multiplier %d\n", ms, ms, t.Mult)
}

// neighbors are those that vipd gives to its speaker, and those that the speaker
// has of itself. BFD is for those of vipd's configuration.
func (n *Node) neighbors() (vipds, speakers []Neighbor) {
	all := n.speaker().Neighbors
	switch o := n.rack.opts; {
	case o.Speaker == "embedded":
		return all, nil
	case o.BFD.Mult == 0:
		return nil, all
	}
	routers := func(p Neighbor) bool { return p.Port == 0 }
	return slices.DeleteFunc(slices.Clone(all), func(p Neighbor) bool { return !routers(p) }), slices.DeleteFunc(all, routers)
}

// bgp is the section of vipd's configuration about its speaker.
func (n *Node) bgp() string {
	o := n.rack.opts
	s := n.speaker()
	vipds, _ := n.neighbors()
	if len(vipds) == 0 {
		return ""
	}
	how := "manage: true"
	if o.Speaker == "embedded" {
		how = "speaker: embedded"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "bgp:\n  %s\n  local_as: %d\n  router_id: %s\n  neighbors:\n", how, s.AS, s.RouterID)
	for _, p := range vipds {
		fmt.Fprintf(&b, "    - {address: %q, remote_as: %d, port: %d, graceful_restart: %ds", p.Address, p.AS, p.port(), p.Restart)
		if o.BFD.Mult != 0 && p.Port == 0 {
			fmt.Fprintf(&b, ", local_address: %q, bfd: router, bfd_multihop: false", p.Local)
			if o.Uplink != "" {
				b.WriteString(", " + o.Uplink)
			}
		}
		b.WriteString("}\n")
	}
	if t := o.BFD; t.Mult != 0 {
		fmt.Fprintf(&b, "state_dir: state\nbfd:\n  profiles: {router: {tx: %[1]s, rx: %[1]s, multiplier: %[2]d}}\n  scheduling: {realtime_priority: 50}\n", t.Interval, t.Mult)
		if o.BFDMore != "" {
			fmt.Fprintf(&b, "  %s\n", o.BFDMore)
		}
	}
	return b.String()
}
