package config

import "net/netip"

// maxBackends keeps a VIP's total weight within 32 bits.
const maxBackends = 65535

func (c *checker) backends(vip string, raw *rawVIP) []Backend {
	at := join(vip, "backends")
	switch n := len(raw.Backends); {
	case n == 0 && c.given(at):
		c.errorf(at, "is empty (write one backend or more)")
	case n > maxBackends:
		c.errorf(at, "has %d backends (at most %d)", n, maxBackends)
	}
	usual, _ := c.check(join(vip, "check"), raw.Check)
	list := make([]Backend, len(raw.Backends))
	first := make(map[string]int, len(raw.Backends))
	for i, b := range raw.Backends {
		here := item(at, i)
		list[i] = c.backend(here, b)
		if b.Check == "" && !c.given(join(here, "check")) {
			list[i].Check = usual
			if !c.given(join(vip, "check")) {
				c.errorf(join(here, "check"), "is missing, and the VIP has none (write the name of one in checks)")
			}
		}
		list[i].BFD = c.backendSession(join(here, "address"), b.Address, list[i].Check)
		name := list[i].Name
		if j, twice := first[name]; twice && name != "" {
			c.conflictf(c.namePath(here), c.namePath(item(at, j)), "%q is already the name of a backend of this VIP", name)
		} else {
			first[name] = i
		}
	}
	return list
}

func (c *checker) backend(at string, raw rawBackend) Backend {
	b := Backend{Name: raw.Name, Address: raw.Address, Weight: raw.Weight}
	if c.refused[join(at, "weight")] {
		b.Weight = 1 // so that min_healthy is not told to be out of reach
	}
	if b.Name == "" {
		b.Name = raw.Address
	} else {
		c.word(join(at, "name"), b.Name)
	}
	if _, port, ok := splitHostPort(raw.Address); raw.Address != "" && (!ok || port == 0) {
		c.errorf(join(at, "address"), "is %s (write host:port: an IP address, IPv6 in brackets, or a DNS name, and a port in 1..65535)", shown(raw.Address))
	}
	b.Check, _ = c.check(join(at, "check"), raw.Check)
	return b
}

// backendSession is the session with a backend's host, if its check looks at
// one. Backends on one host share it.
func (c *checker) backendSession(at, address string, check Check) BFDKey {
	wish := check.session
	host, _, isAddress := splitHostPort(address)
	if wish.profile == "" || !isAddress {
		return BFDKey{}
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		c.errorf(at, "is a name, but check %q looks at a BFD session, which is with an address (write the backend's IP address)", check.Name)
		return BFDKey{}
	}
	key := c.bfdKey(peer, wish.local, wish.link, wish.multihop, wish.profile)
	c.session(at, key, wish.profile)
	return key
}

// namePath is where a backend's name was written: it may be its address.
func (c *checker) namePath(backend string) string {
	if at := join(backend, "name"); c.given(at) {
		return at
	}
	return join(backend, "address")
}
