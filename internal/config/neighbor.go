package config

import (
	"bytes"
	"net/netip"
	"time"
)

// maxPassword is the kernel's TCP_MD5SIG_MAXKEYLEN.
const maxPassword = 80

func (c *checker) neighbors() {
	first := map[netip.Addr]int{}
	for i := range c.doc.BGP.Neighbors {
		n := &c.doc.BGP.Neighbors[i]
		at := item("bgp.neighbors", i)
		if j, twice := first[n.Address]; twice && n.Address.IsValid() {
			c.conflictf(join(at, "address"), join(item("bgp.neighbors", j), "address"), "%s is already a neighbor", n.Address)
		} else {
			first[n.Address] = i
		}
		c.bgp.Neighbors = append(c.bgp.Neighbors, c.neighbor(at, n))
	}
}

func (c *checker) neighbor(at string, n *rawNeighbor) Neighbor {
	c.neighborAddresses(at, n)
	c.asNumber(join(at, "remote_as"), n.RemoteAS)
	wholeSeconds := func(key string, d time.Duration) {
		if d%time.Second != 0 {
			c.errorf(join(at, key), "is %s (write whole seconds: BGP counts in them)", d)
		}
	}
	wholeSeconds("hold_time", n.HoldTime)
	wholeSeconds("graceful_restart", n.GracefulRestart)
	c.multihop(join(at, "multihop_ttl"), n)
	export := join(at, "export")
	c.prepend(join(export, "as_path_prepend"), n.Export.ASPathPrepend)
	for i, p := range n.Export.Deny {
		for j, q := range n.Export.Allow {
			if p == q && p.IsValid() {
				c.conflictf(item(join(export, "deny"), i), item(join(export, "allow"), j), "is %s, which is allowed (write it once)", p)
			}
		}
	}
	return Neighbor{
		Address: n.Address, RemoteAS: n.RemoteAS, Description: n.Description, Port: n.Port,
		LocalAddress: n.LocalAddress, Password: c.secret(join(at, "password_file"), n.PasswordFile, "password", maxPassword),
		HoldTime: n.HoldTime, MultihopTTL: n.MultihopTTL, AddPathsSendMax: n.AddPathsSendMax,
		Passive: n.Passive, GracefulRestart: n.GracefulRestart, BFD: c.neighborBFD(at, n),
		Export: Export{
			Allow: n.Export.Allow, Deny: n.Export.Deny, MED: n.Export.MED, ASPathPrepend: n.Export.ASPathPrepend,
			Communities:      joined[uint32](nil, n.Export.Communities),
			LargeCommunities: joined[[3]uint32](nil, n.Export.LargeCommunities),
		},
	}
}

func (c *checker) neighborAddresses(at string, n *rawNeighbor) {
	address := join(at, "address")
	switch {
	case !n.Address.IsValid():
		return
	case n.Address.IsUnspecified(), n.Address.IsMulticast():
		c.errorf(address, "is %s (write a router's unicast address)", n.Address)
	case n.Address.IsLinkLocalUnicast() && n.Address.Is6() && n.Address.Zone() == "":
		c.errorf(address, "is %s, which every link may have (write %s%%interface)", n.Address, n.Address)
	}
	if n.LocalAddress.IsValid() && n.LocalAddress.Is4() != n.Address.Is4() {
		c.conflictf(join(at, "local_address"), address, "is of another family than the neighbor's address")
	}
}

// multihop: GoBGP applies the TTL to external neighbors only; internal ones
// may be any number of hops away (RFC 4271 §5.1.3 has no rule for them).
func (c *checker) multihop(at string, n *rawNeighbor) {
	switch {
	case n.MultihopTTL == 0:
	case n.MultihopTTL == 1:
		c.errorf(at, "is 1, which is directly connected (write 0 for that, or 2..255)")
	case c.bgp.LocalAS != 0 && n.RemoteAS == c.bgp.LocalAS:
		c.errorf(at, "is %d for an internal neighbor (write 0: only external ones are held to be directly connected)", n.MultihopTTL)
	case n.Address.IsLinkLocalUnicast():
		c.errorf(at, "is %d, but a link-local address is directly connected (write 0)", n.MultihopTTL)
	}
}

// secret reads one from a file. No message may hold any of it.
func (c *checker) secret(at, name, what string, longest int) string {
	_, data, ok := c.file(at, name)
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	switch {
	case name == "" || !ok:
	case len(data) == 0:
		c.errorf(at, "names a file without a %s in it", what)
	case len(data) > longest:
		c.errorf(at, "names a file of %d bytes (a %s has at most %d)", len(data), what, longest)
	case bytes.ContainsAny(data, "\x00\r\n"):
		c.errorf(at, "names a file of more than one line (write the %s alone)", what)
	default:
		return string(data)
	}
	return ""
}
