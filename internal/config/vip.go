package config

import (
	"cmp"
	"net/netip"
	"slices"
)

func (c *checker) vips() []VIP {
	list := make([]VIP, len(c.doc.VIPs))
	for i := range c.doc.VIPs {
		list[i] = c.vip(item("vips", i), &c.doc.VIPs[i])
	}
	c.apart(list)
	return list
}

// apart finds VIPs that can't be beside each other.
func (c *checker) apart(list []VIP) {
	c.sameNames(list)
	c.overlaps(list)
}

func (c *checker) sameNames(list []VIP) {
	first := map[string]Pos{}
	for i, v := range list {
		at := join(item("vips", i), "name")
		taken, twice := first[v.Name]
		if !twice {
			taken, twice = c.beside.name(v.Name)
		}
		if twice && v.Name != "" {
			c.clashf(at, taken, "%q is already the name of a VIP", v.Name)
			continue
		}
		first[v.Name] = c.pos(at)
	}
}

func (c *checker) vip(at string, raw *rawVIP) VIP {
	c.vipName(join(at, "name"), raw.Name)
	c.vipPrefix(at, raw)
	v := VIP{Name: raw.Name, Prefix: raw.Prefix, MinHealthy: Threshold(raw.MinHealthy), HoldDown: raw.HoldDown}
	v.Announce = c.vipAnnounce(join(at, "announce"), c.bgp.Announce, raw.Prefix, raw.Announce)
	c.reachable(at, v)
	if l := raw.LinkBandwidth; l != nil {
		v.LinkBandwidth = LinkBandwidth{PerWeight: float64(l.PerWeight) / 8, Settle: l.Settle}
	}
	v.Backends = c.backends(at, raw)
	weighted := 0
	for _, b := range v.Backends {
		weighted += min(b.Weight, 1)
	}
	if len(v.Backends) > 0 {
		c.reached(join(at, "min_healthy"), raw.MinHealthy, weighted)
	}
	v.Degraded = c.degraded(at, raw, v.Announce, weighted)
	return v
}

// vipName: commands take a name or a prefix, so a name must not look like one.
func (c *checker) vipName(at, name string) {
	if !c.given(at) || !c.word(at, name) {
		return
	}
	_, noAddr := netip.ParseAddr(name)
	_, noPrefix := netip.ParsePrefix(name)
	if noAddr == nil || noPrefix == nil {
		c.errorf(at, "is %q, an address (write a name: commands take either)", name)
	}
}

func (c *checker) vipPrefix(at string, raw *rawVIP) {
	p := raw.Prefix
	switch at = join(at, "prefix"); {
	case !p.IsValid():
	case p.Bits() == 0:
		c.errorf(at, "is %s, a default route (write the addresses that are served here)", p)
	case p.Addr().IsMulticast(), p.Addr().IsUnspecified():
		c.errorf(at, "is %s (write unicast addresses)", p)
	}
}

func (c *checker) vipAnnounce(at string, base Announce, prefix netip.Prefix, raw rawAnnounce) Announce {
	a := c.announce(at, base, raw.rawAttributes)
	if !raw.NextHop.IsValid() || !prefix.IsValid() {
		return a
	}
	c.nextHop(join(at, "next_hop"), raw.NextHop, prefix.Addr().Is4())
	if prefix.Addr().Is4() {
		a.NextHop4 = raw.NextHop
	} else {
		a.NextHop6 = raw.NextHop
	}
	return a
}

// reachable: a speaker's own address towards its neighbors is of their family,
// so it is no next hop for a VIP of the other one.
func (c *checker) reachable(at string, v VIP) {
	if !v.Prefix.IsValid() || len(c.bgp.Neighbors) == 0 {
		return
	}
	ipv4, family, key, hop := v.Prefix.Addr().Is4(), "IPv6", "next_hop_ipv6", v.Announce.NextHop6
	if ipv4 {
		family, key, hop = "IPv4", "next_hop", v.Announce.NextHop4
	}
	same := slices.ContainsFunc(c.bgp.Neighbors, func(n Neighbor) bool { return !n.Address.IsValid() || n.Address.Is4() == ipv4 })
	if !same && !hop.IsValid() && !c.refused["bgp."+key] {
		c.errorf(join(at, "prefix"), "is %s, but no neighbor is, so the speaker has no next hop for it (set announce.next_hop here, or bgp.%s)", family, key)
	}
}

// reached tells thresholds that no health of the backends could reach.
func (c *checker) reached(at string, t threshold, weighted int) {
	switch {
	case t.Count > weighted:
		c.errorf(at, "is %d, but only %d backends have a weight (write 1..%d)", t.Count, weighted, max(weighted, 1))
	case t.Percent > 0 && weighted == 0:
		c.errorf(at, "is %s, but no backend has a weight", t)
	}
}

// degraded merges the levels over the VIP's own attributes and sorts them.
func (c *checker) degraded(at string, raw *rawVIP, base Announce, weighted int) []Degraded {
	var list []Degraded
	first := map[threshold]int{}
	levels := join(at, "degraded")
	for i, d := range raw.Degraded {
		here := item(levels, i)
		below := join(here, "below")
		j, twice := first[d.Below]
		switch {
		case d.Below == threshold{}: // told already
		case twice:
			c.conflictf(below, join(item(levels, j), "below"), "is %s, as in another level", d.Below)
		case raw.Degraded[0].Below != threshold{} && (d.Below.Percent > 0) != (raw.Degraded[0].Below.Percent > 0):
			c.conflictf(below, join(item(levels, 0), "below"), "is %s: numbers and shares can't be put into one order (write all alike); another kind is", d.Below)
		case d.Below.Count > 0 && d.Below.Count <= raw.MinHealthy.Count,
			d.Below.Percent > 0 && d.Below.Percent <= raw.MinHealthy.Percent:
			c.errorf(below, "is %s, where the VIP is withdrawn already (write more than min_healthy, %s)", d.Below, raw.MinHealthy)
		case len(raw.Backends) > 0:
			c.reached(below, d.Below, weighted)
		}
		if !twice {
			first[d.Below] = i
		}
		if d.Below != (threshold{}) && c.same(here) {
			c.warnf(here, "changes nothing (add med, as_path_prepend, communities, …)")
		}
		list = append(list, Degraded{Threshold(d.Below), c.vipAnnounce(here, base, raw.Prefix, d.rawAnnounce)})
	}
	slices.SortStableFunc(list, func(a, b Degraded) int {
		return cmp.Or(cmp.Compare(a.Below.Count, b.Below.Count), cmp.Compare(a.Below.Percent, b.Below.Percent))
	})
	return list
}

// same tells whether a degraded level says nothing about attributes.
func (c *checker) same(level string) bool {
	return !slices.ContainsFunc([]string{"communities", "large_communities", "med", "local_pref", "as_path_prepend", "next_hop"},
		func(key string) bool { return c.given(join(level, key)) })
}

// overlaps finds prefixes that are equal or within another. Sorted, a prefix
// stands right after those that it is within, so that one stack is enough.
func (c *checker) overlaps(list []VIP) {
	var outer []int
	for _, i := range byPrefix(list) {
		p := list[i].Prefix
		for len(outer) > 0 && !list[outer[len(outer)-1]].Prefix.Contains(p.Addr()) {
			outer = outer[:len(outer)-1]
		}
		here := join(item("vips", i), "prefix")
		if len(outer) > 0 {
			j := outer[len(outer)-1]
			c.overlap(here, p, taken{list[j].Prefix, list[j].Name, c.pos(join(item("vips", j), "prefix"))})
		} else if other, ok := c.beside.overlapping(p); ok {
			c.overlap(here, p, other)
		}
		outer = append(outer, i)
	}
}

func (c *checker) overlap(at string, p netip.Prefix, other taken) {
	switch {
	case p == other.prefix:
		c.clashf(at, other.pos, "%s is already the prefix of VIP %q", p, other.name)
	case p.Bits() > other.prefix.Bits():
		c.clashf(at, other.pos, "%s is inside %s of VIP %q", p, other.prefix, other.name)
	default:
		c.clashf(at, other.pos, "%s has %s of VIP %q inside it", p, other.prefix, other.name)
	}
}

// byPrefix orders VIPs, by their indices; those without a prefix are left out.
func byPrefix(list []VIP) []int {
	var order []int
	for i, v := range list {
		if v.Prefix.IsValid() && v.Prefix.Bits() > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return comparePrefixes(list[i].Prefix, list[j].Prefix) })
	return order
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
