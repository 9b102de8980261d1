package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// collectorPort is where the collector listens: 179 is the router's.
const collectorPort = 1790

// A Node is a load balancer in a Rack.
type Node struct {
	*Host
	Link     *Link // A is the node, B the router
	Gobgpd   *Process
	Vipd     *Vipd
	Web      *Process   // serves the VIPs
	Backends []*Process // are what vipd asks
	// Config is vipd's configuration, for a scenario to change.
	Config string

	rack *Rack
}

func (r *Rack) newNode(i int) *Node {
	r.Helper()
	n := &Node{Host: r.Lab.Host(fmt.Sprintf("n%d", i)), rack: r}
	n.Link = r.Connect(n.Host, r.Tor, i)
	n.Route()
	var serve []netip.AddrPort
	for _, p := range r.Both() {
		n.Loopback(p.Addr())
		serve = append(serve, netip.AddrPortFrom(p.Addr(), 80))
	}
	n.Web = n.Nginx("web", serve...)
	for b := range r.opts.Backends {
		n.Backends = append(n.Backends, n.Nginx(fmt.Sprintf("backend%d", b+1), backend(b)))
	}
	n.Config = n.vipd(r.opts)
	return n
}

func backend(b int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstBackend+b))
}

// Addresses are those from which the node speaks BGP.
func (n *Node) Addresses() []netip.Addr { return []netip.Addr{n.Link.A.V4, n.Link.A.V6} }

// collector are the collector's addresses on the node's link.
func (n *Node) collector() []netip.Addr {
	return []netip.Addr{n.Link.B.V4.Prev(), n.Link.B.V6.Prev()}
}

func (n *Node) speaker() Speaker {
	restart := n.rack.opts.Restart
	s := Speaker{AS: NodeAS, RouterID: n.Link.A.V4, API: n.rack.opts.API}
	collector := n.collector()
	for i, a := range []netip.Addr{n.Link.B.V4, n.Link.B.V6} {
		to := Neighbor{Address: a, Local: n.Addresses()[i], AS: RouterAS, Restart: restart}
		s.Neighbors = append(s.Neighbors, to)
		to.Address, to.Port = collector[i], collectorPort
		s.Neighbors = append(s.Neighbors, to)
	}
	return s
}

// StartSpeaker starts gobgpd, where the speaker is one.
func (n *Node) StartSpeaker() {
	n.lab.Helper()
	if n.rack.opts.Speaker != "embedded" {
		s := n.speaker()
		_, s.Neighbors = n.neighbors()
		n.Gobgpd = n.Host.Gobgpd(n.rack.opts.Speaker, s)
	}
}

// StartExaBGP starts ExaBGP in place of vipd and a speaker. It announces the
// first VIPs while the first backend answers.
func (n *Node) StartExaBGP() *Process {
	n.lab.Helper()
	var checks []Healthcheck
	for _, p := range n.rack.Both() {
		checks = append(checks, Healthcheck{Prefix: p, Web: backend(0),
			More: "--interval 0.2 --fast-interval 0.2 --rise 1 --fall 2 --up-metric 0"})
	}
	return n.Host.ExaBGP(n.speaker(), checks...)
}

// StartVipd starts vipd.
func (n *Node) StartVipd() {
	n.lab.Helper()
	n.Vipd = n.Host.Vipd(n.Config)
}

// Route gives the node its way out, which the kernel takes with a link's end.
func (n *Node) Route() {
	n.lab.Helper()
	n.Link.A.defaultRoute(n.Link.B)
}

// vipd is the configuration of the node's vipd.
func (n *Node) vipd(o RackOptions) string {
	var b strings.Builder
	b.WriteString(n.bgp())
	fmt.Fprintf(&b, "log: {level: debug}\nchecks:\n  web: {%s}\n%s\nvips:\n", o.Check, o.Vipd)
	vip := func(name string, p netip.Prefix) {
		fmt.Fprintf(&b, "  - {name: %s, prefix: %q, check: web, backends: [", name, p)
		for i := range o.Backends {
			fmt.Fprintf(&b, "{address: %q}, ", backend(i))
		}
		b.WriteString("]")
		if o.VIP != "" {
			fmt.Fprintf(&b, ", %s", o.VIP)
		}
		b.WriteString("}\n")
	}
	vip("web4", n.rack.VIP4)
	vip("web6", n.rack.VIP6)
	for i := range o.VIPs {
		vip(fmt.Sprintf("v%d", i+1), Nth(i))
	}
	return b.String()
}

// Healthy returns an error unless vipd finds so many backends of the first VIP
// up.
func (n *Node) Healthy(want int) error {
	if got := int(n.Vipd.Metric("vipd_backend_up", `vip="web4"`)); got != want {
		return fmt.Errorf("%d backends are up, not %d", got, want)
	}
	return nil
}

// Without is a node's configuration without the VIP whose line has a text.
func Without(config, text string) string {
	var kept strings.Builder
	for line := range strings.Lines(config) {
		if !strings.Contains(line, text) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Nth is the prefix of a rack's further VIPs, counted from 0.
func Nth(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)
}
