package lab

import (
	"errors"
	"fmt"
	"net/netip"
)

// A Link is a cable between two hosts. At each end the interface has the name of
// the host at the other.
type Link struct {
	lab  *Lab
	A, B End
}

// An End is where a link meets a host.
type End struct {
	Host  *Host
	Iface string
	V4    netip.Addr
	V6    netip.Addr
}

// Connect joins two hosts by subnet n, 1..254: 10.0.n.0/24 and fd00:0:0:n::/64,
// in which a is .1 and b is .254.
func (l *Lab) Connect(a, b *Host, n int) *Link {
	l.Helper()
	link := &Link{lab: l,
		A: End{Host: a, Iface: b.Name, V4: v4(n, 1), V6: v6(n, 1)},
		B: End{Host: b, Iface: a.Name, V4: v4(n, 254), V6: v6(n, 254)},
	}
	a.Run("ip", "link", "add", link.A.Iface, "type", "veth", "peer", "name", link.B.Iface, "netns", b.net)
	for _, e := range []End{link.A, link.B} {
		e.Address(e.V4)
		e.Address(e.V6)
		e.Host.Run("ip", "link", "set", e.Iface, "up")
	}
	return link
}

func v4(n, host int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", n, host)) }
func v6(n, host int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00:0:0:%d::%d", n, host)) }

// Address adds an address of the link's subnet to this end.
func (e End) Address(a netip.Addr) {
	e.Host.lab.Helper()
	if a.Is4() {
		e.Host.Run("ip", "addr", "add", a.String()+"/24", "dev", e.Iface)
		return
	}
	e.Host.Run("ip", "addr", "add", a.String()+"/64", "dev", e.Iface, "nodad")
	e.Host.settled()
}

// settled waits until IPv6 addresses can be used: the kernel checks them first,
// and even where there is nothing to check does so a little later.
func (h *Host) settled() {
	h.lab.Helper()
	h.lab.Within(limit, h.Name+" has no tentative address", func() error {
		if tentative := h.Run("ip", "-6", "-o", "addr", "show", "tentative", "scope", "global"); tentative != "" {
			return errors.New(tentative)
		}
		return nil
	})
}

// Loopback gives a host an address that no link has.
func (h *Host) Loopback(a netip.Addr) {
	h.lab.Helper()
	h.Run("ip", "addr", "add", netip.PrefixFrom(a, a.BitLen()).String(), "dev", "lo")
	h.settled()
}

// Crowd gives B all addresses of own's subnet, for neighbors without number, and
// A own itself. A takes them for its own subnet's, as daemons want it of
// neighbors, but sends by way of the link's other end: so many MAC addresses are
// more than the kernel keeps.
func (l *Link) Crowd(own netip.Prefix) {
	l.lab.Helper()
	all := own.Masked().String()
	l.B.Host.Run("ip", "route", "add", "local", all, "dev", "lo")
	l.A.Host.Run("ip", "addr", "add", own.String(), "dev", l.A.Iface, "noprefixroute")
	l.A.Host.Run("ip", "route", "add", all, "via", l.B.V4.String(), "dev", l.A.Iface)
}

// Down pulls the cable; the kernels on both sides notice. IPv6 addresses stay.
func (l *Link) Down() {
	l.lab.Helper()
	l.A.Host.Sysctl("net.ipv6.conf."+l.A.Iface+".keep_addr_on_down", 1)
	l.A.Host.Run("ip", "link", "set", l.A.Iface, "down")
}

// Up plugs it in again.
func (l *Link) Up() {
	l.lab.Helper()
	l.A.Host.Run("ip", "link", "set", l.A.Iface, "up")
}

// Lose drops so many percent of the packets in both directions, so that no
// kernel notices: 100 cuts the link, 0 mends it.
func (l *Link) Lose(percent int) {
	l.lab.Helper()
	l.A.Lose(percent)
	l.B.Lose(percent)
}

// Lose drops so many percent of what comes in at this end, and nothing of what
// goes out.
func (e End) Lose(percent int) {
	e.Host.lab.Helper()
	rule := fmt.Sprintf("numgen random mod 100 < %d drop", percent)
	switch percent {
	case 0:
		rule = ""
	case 100: // nft refuses a comparison that always holds
		rule = "drop"
	}
	e.Host.NFT(fmt.Sprintf(`table netdev lose_%[1]s
delete table netdev lose_%[1]s
table netdev lose_%[1]s {
	chain in {
		type filter hook ingress device %[1]q priority 0
		%[2]s
	}
}
`, e.Iface, rule))
}
