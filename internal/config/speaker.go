package config

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

func (c *checker) speaker() {
	raw := &c.doc.BGP
	c.bgp = BGP{
		Enabled: raw.Enabled, Speaker: Speaker(raw.Speaker), Address: raw.Address, API: GoBGPAPI(raw.API),
		TLS: c.tls("bgp.tls", raw.TLS), RouterID: raw.RouterID,
		ListenPort: raw.ListenPort, ListenAddresses: raw.ListenAddresses, Manage: raw.Manage,
	}
	if raw.LocalAS != nil {
		c.bgp.LocalAS = *raw.LocalAS
	}
	c.asNumber("bgp.local_as", c.bgp.LocalAS)
	if id := raw.RouterID; id.IsValid() && (!id.Is4() || id.IsUnspecified()) {
		c.errorf("bgp.router_id", "is %s (write an IPv4 address: RFC 4271 gives it four octets, not all zero)", id)
	}
	c.nextHop("bgp.next_hop", raw.NextHop, true)
	c.nextHop("bgp.next_hop_ipv6", raw.NextHopIPv6, false)
	internal := slices.IndexFunc(raw.Neighbors, func(n rawNeighbor) bool { return c.bgp.LocalAS != 0 && n.RemoteAS == c.bgp.LocalAS })
	if internal >= 0 {
		c.internal = c.pos(join(item("bgp.neighbors", internal), "remote_as"))
	}
	c.bgp.Announce = c.announce("bgp", Announce{NextHop4: raw.NextHop, NextHop6: raw.NextHopIPv6}, raw.rawAttributes)
	if c.bgp.Speaker == SpeakerEmbedded {
		c.embedded()
	} else {
		c.sidecar()
	}
	if raw.Enabled && c.bgp.Manage {
		c.identity()
	}
	if raw.ListenPort == 0 {
		c.errorf("bgp.listen_port", "is 0 (write 1..65535, or -1 for not listening)")
	}
	c.neighbors()
}

func (c *checker) asNumber(at string, as uint32) {
	if as == 23456 {
		c.errorf(at, "is 23456, which stands for numbers too long for old speakers (RFC 6793: write the real one)")
	}
}

// identity is what a speaker can't start without.
func (c *checker) identity() {
	why := "gobgpd is to be managed"
	if c.bgp.Speaker == SpeakerEmbedded {
		why = "the speaker is embedded"
	}
	if !c.given("bgp.local_as") {
		c.errorf("bgp.local_as", "is missing, and %s (write this node's AS number)", why)
	}
	if !c.bgp.RouterID.IsValid() {
		c.errorf("bgp.router_id", "is missing, and %s (write an IPv4 address that is this node's alone)", why)
	}
}

// embedded: there is no gobgpd, so what is said about one is moot.
func (c *checker) embedded() {
	if c.given("bgp.manage") && !c.bgp.Manage {
		c.errorf("bgp.manage", "is false, but nobody else can configure an embedded speaker (write true, or leave it out)")
	}
	c.bgp.Manage = true
	for _, key := range []string{"gobgp_address", "gobgp_api", "tls"} {
		if at := join("bgp", key); c.given(at) {
			c.warnf(at, "has no effect with speaker: embedded")
		}
	}
}

func (c *checker) sidecar() {
	c.gobgpAddress()
	if c.bgp.Manage || c.refused["bgp.manage"] {
		return
	}
	for _, key := range []string{"listen_port", "listen_addresses", "neighbors"} {
		if at := join("bgp", key); c.given(at) {
			c.errorf(at, "is given while bgp.manage is false (manage: true gives gobgpd these; with false they have no effect)")
		}
	}
}

func (c *checker) gobgpAddress() {
	const at = "bgp.gobgp_address"
	if socket, ok := strings.CutPrefix(c.bgp.Address, "unix://"); ok {
		if !path.IsAbs(socket) {
			c.errorf(at, "is %s (write unix:// and an absolute path, as unix:///run/gobgp.sock)", shown(c.bgp.Address))
		}
		return
	}
	host, port, ok := splitHostPort(c.bgp.Address)
	if !ok || port == 0 {
		c.errorf(at, "is %s (write host:port or unix:///path)", shown(c.bgp.Address))
		return
	}
	addr, _ := netip.ParseAddr(host)
	if c.bgp.TLS == nil && host != "localhost" && !addr.IsLoopback() {
		c.warnf(at, "is not on this host, and the connection is plain: anyone on the way can announce routes (set bgp.tls)")
	}
}

// nextHop checks an address that routers are to send to; ipv4 is the wanted
// family.
func (c *checker) nextHop(at string, addr netip.Addr, ipv4 bool) {
	switch {
	case !addr.IsValid():
	case addr.Is4() != ipv4 && ipv4:
		c.errorf(at, "is %s, an IPv6 next hop for IPv4 routes (write an IPv4 address)", addr)
	case addr.Is4() != ipv4:
		c.errorf(at, "is %s, an IPv4 next hop for IPv6 routes (write an IPv6 address)", addr)
	case addr.IsUnspecified():
		c.errorf(at, `is %s (write "" for the speaker's own address towards each neighbor)`, addr)
	case addr.IsMulticast(), addr.Zone() != "":
		c.errorf(at, "is %s (write a unicast address without %%zone)", addr)
	}
}

// announce lays attributes over base: lists are joined, the others replace.
func (c *checker) announce(at string, base Announce, raw rawAttributes) Announce {
	base.Communities = joined(base.Communities, raw.Communities)
	base.LargeCommunities = joined(base.LargeCommunities, raw.LargeCommunities)
	if raw.MED != nil {
		base.MED = raw.MED
	}
	if raw.LocalPref != nil {
		base.LocalPref = raw.LocalPref
	}
	if raw.ASPathPrepend != nil {
		base.ASPathPrepend = *raw.ASPathPrepend
		c.prepend(join(at, "as_path_prepend"), *raw.ASPathPrepend)
	}
	return base
}

// prepend: RFC 4271 §9.1.2 has a router exclude routes whose AS_PATH holds its
// own AS, and that is an internal neighbor's too.
func (c *checker) prepend(at string, times uint8) {
	if times > 0 && c.internal != (Pos{}) {
		c.clashf(at, c.internal, "is %d, and an internal neighbor refuses routes with its own AS in the path (write 0): the neighbor is", times)
	}
}

// joined appends what base doesn't have. Without an addition it shares base.
func joined[T comparable, R interface{ final() T }](base []T, more []R) []T {
	if len(more) == 0 {
		return base
	}
	seen := map[T]bool{}
	var list []T
	add := func(v T) {
		if !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	for _, v := range base {
		add(v)
	}
	for _, v := range more {
		add(v.final())
	}
	return list
}

func (c community) final() uint32         { return uint32(c) }
func (l largeCommunity) final() [3]uint32 { return l }
