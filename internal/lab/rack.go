package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The AS numbers of a rack.
const (
	RouterAS = 65000
	NodeAS   = 65001
)

// ownNextHops makes each route carry its next hops itself. With the kernel's
// next-hop groups zebra 8.4 takes a group for whole from which the kernel has
// dropped the members on a link that flapped.
const ownNextHops = "no zebra nexthop kernel enable\n"

// Where the nodes' backends listen: 127.0.0.1, from this port on.
const firstBackend = 8081

// A Rack is a client, a top-of-rack router with FRR or BIRD, and load-balancer
// nodes behind it:
//
//	client ── tor ─┬─ n1   vipd, gobgpd or not, nginx with the VIPs on lo,
//	               ├─ n2   and nginx as backends
//	               └─ n3
//
// Each node has one BGP session with the router for IPv4 and one for IPv6, and
// likewise with a Collector beside the router.
type Rack struct {
	*Lab
	Client, Tor *Host
	Router      Router
	Collector   *Collector
	Nodes       []*Node
	// VIP4 and VIP6 are the first VIP's prefixes; the web servers serve them.
	VIP4, VIP6 netip.Prefix

	opts RackOptions
}

// RackOptions of a Rack; the zero value is a rack of three nodes with gobgpd
// 4.8.0 and one VIP of each family.
type RackOptions struct {
	Nodes    int
	Speaker  string // a version of gobgpd, or "embedded"
	Backends int    // of each VIP on each node; default 1
	VIPs     int    // of IPv4, besides the first of each family
	Restart  int    // seconds of graceful restart on both sides; 0: none
	BIRD     bool   // the router is BIRD, not FRR
	Router   string // more lines for FRR's router bgp, or for BIRD's template bgp
	Vipd     string // more top-level sections of vipd's configuration
	VIP      string // more keys of each VIP, "min_healthy: 2, …"
	Check    string // the keys of the check; default HTTP every 200 ms
	API      string // where gobgpd's API listens; default 127.0.0.1:50051
	BFD      Timers // of each node with the router, in both families; the zero value is none
	BFDMore  string // more keys of vipd's section bfd
	Uplink   string // more keys of each neighbor with BFD in vipd's configuration
	NoVipd   bool   // leave starting gobgpd and vipd to the scenario
}

// NewRack builds a rack and waits until all BGP sessions stand.
func NewRack(l *Lab, opts RackOptions) *Rack {
	l.Helper()
	opts = opts.withDefaults()
	r := &Rack{Lab: l, opts: opts,
		VIP4: netip.MustParsePrefix("192.0.2.10/32"), VIP6: netip.MustParsePrefix("2001:db8:1::10/128"),
		Client: l.Host("client"), Tor: l.Host("tor"),
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		r.Tor.Sysctl("net."+family+".conf.all.forwarding", 1)
		r.Tor.Sysctl("net."+family+".fib_multipath_hash_policy", 1)
	}
	up := l.Connect(r.Client, r.Tor, 100)
	up.A.defaultRoute(up.B)
	var collect []netip.AddrPort
	for i := 1; i <= opts.Nodes; i++ {
		n := r.newNode(i)
		for _, a := range n.collector() {
			n.Link.B.Address(a)
			collect = append(collect, netip.AddrPortFrom(a, collectorPort))
		}
		r.Nodes = append(r.Nodes, n)
	}
	if opts.BIRD {
		bird := r.Tor.BIRD(r.bird())
		r.Router = bird
		if opts.BFD.Mult != 0 {
			r.Tor.Urgent(bird.Process)
		}
	} else {
		frr := r.Tor.FRR(FRRConfig{Zebra: ownNextHops, BGP: r.frr(), BFD: r.bfd()})
		r.Router = frr
		if opts.BFD.Mult != 0 {
			r.Tor.Urgent(frr.Daemon("bfdd"))
		}
	}
	r.Collector = r.Tor.Collect(RouterAS, collect...)
	if opts.NoVipd {
		return r
	}
	for _, n := range r.Nodes {
		n.StartSpeaker()
		n.StartVipd()
	}
	// gobgpd 3.10 waits up to 9 s between two tries.
	l.Within(2*limit, "all BGP sessions stand", r.Established)
	return r
}

// Both are the first VIPs' prefixes.
func (r *Rack) Both() []netip.Prefix { return []netip.Prefix{r.VIP4, r.VIP6} }

// Web4 is where a client finds the web.
func (r *Rack) Web4() netip.AddrPort { return netip.AddrPortFrom(r.VIP4.Addr(), 80) }

// Web6 is Web4's other family.
func (r *Rack) Web6() netip.AddrPort { return netip.AddrPortFrom(r.VIP6.Addr(), 80) }

// Established returns an error unless all BGP sessions stand.
func (r *Rack) Established() error {
	return errors.Join(r.Router.Established(), r.Collector.Established(2*len(r.Nodes)))
}

func (o RackOptions) withDefaults() RackOptions {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Speaker == "" {
		o.Speaker = "4.8.0"
	}
	if o.Backends == 0 {
		o.Backends = 1
	}
	if o.API == "" {
		o.API = "127.0.0.1:50051"
	}
	if o.Check == "" {
		o.Check = "kind: http, interval: 200ms, timeout: 2s, rise: 1, fall: 2"
	}
	return o
}

// defaultRoute sends all that has no better route to the other end.
func (e End) defaultRoute(via End) {
	e.Host.lab.Helper()
	e.Host.Run("ip", "-4", "route", "replace", "default", "via", via.V4.String(), "src", e.V4.String())
	e.Host.Run("ip", "-6", "route", "replace", "default", "via", via.V6.String(), "src", e.V6.String())
}

// frr is the router's configuration: external BGP to each node, and as many
// next hops for a prefix as there are nodes.
func (r *Rack) frr() string {
	var b, four, six strings.Builder
	fmt.Fprintf(&b, "frr defaults datacenter\nrouter bgp %d\n bgp router-id 10.255.255.254\n", RouterAS)
	b.WriteString(" no bgp default ipv4-unicast\n no bgp ebgp-requires-policy\n")
	if r.opts.Restart > 0 {
		fmt.Fprintf(&b, " bgp graceful-restart\n bgp graceful-restart restart-time %d\n", r.opts.Restart)
	}
	for _, n := range r.Nodes {
		for _, a := range n.Addresses() {
			family, source := &four, n.Link.B.V4
			if a.Is6() {
				family, source = &six, n.Link.B.V6
			}
			// GoBGP may swallow a connection that comes while it is idle, and FRR
			// then refuses any other until the hold time ends that one.
			fmt.Fprintf(&b, " neighbor %[1]s remote-as %[2]d\n neighbor %[1]s timers 10 30\n neighbor %[1]s timers connect 1\n", a, NodeAS)
			// Else the kernel might choose the collector's address.
			fmt.Fprintf(&b, " neighbor %s update-source %s\n", a, source)
			if r.opts.BFD.Mult != 0 {
				fmt.Fprintf(&b, " neighbor %[1]s bfd\n neighbor %[1]s bfd profile node\n", a)
			}
			fmt.Fprintf(family, "  neighbor %s activate\n", a)
		}
	}
	for line := range strings.Lines(r.opts.Router) {
		fmt.Fprintf(&b, " %s\n", strings.TrimSpace(line))
	}
	for family, activate := range map[string]string{"ipv4": four.String(), "ipv6": six.String()} {
		fmt.Fprintf(&b, " address-family %s unicast\n  maximum-paths 8\n%s exit-address-family\n", family, activate)
	}
	return b.String()
}

// Heard returns an error unless the collector has heard so many
// announcements and withdrawals from a node since a time.
func (r *Rack) Heard(n *Node, since time.Time, announced, withdrawn int) error {
	h := r.Collector.Heard(since).From(n.Addresses()...)
	if h.Announcements() != announced || h.Withdrawals() != withdrawn {
		return fmt.Errorf("%s announced %d times and withdrew %d times, not %d and %d: %+v",
			n.Name, h.Announcements(), h.Withdrawals(), announced, withdrawn, h)
	}
	return nil
}

// Via returns an error unless the router's kernel sends both of the first VIPs
// to exactly these nodes, in equal shares.
func (r *Rack) Via(nodes ...*Node) error {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	for _, p := range r.Both() {
		if err := r.Tor.Via(p, names...); err != nil {
			return err
		}
	}
	return nil
}

// KeepFlows makes the router send a connection's packets to the node that got
// its first one for as long as it lives, as resilient hashing does: else any
// change of the next hops moves some open connections to nodes that don't know
// them, whatever the nodes do.
func (r *Rack) KeepFlows() {
	r.Helper()
	var marks []string
	for i, n := range r.Nodes {
		for _, family := range []string{"-4", "-6"} {
			via := n.Link.A.V4
			if family == "-6" {
				via = n.Link.A.V6
			}
			table := fmt.Sprint(100 + i)
			r.Tor.Run("ip", family, "route", "add", "default", "via", via.String(), "table", table)
			r.Tor.Run("ip", family, "rule", "add", "fwmark", table, "lookup", table)
		}
		marks = append(marks, fmt.Sprintf("%q : %d", n.Name, 100+i))
	}
	r.Tor.NFT(`table inet flows {
	map node {
		type ifname : mark
		elements = { ` + strings.Join(marks, ", ") + ` }
	}
	chain in {
		type filter hook prerouting priority mangle
		iifname "client" ct mark != 0 meta mark set ct mark
	}
	chain out {
		type filter hook postrouting priority mangle
		iifname "client" ct mark 0 ct mark set oifname map @node
	}
}
`)
}
