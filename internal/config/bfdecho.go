package config

import (
	"fmt"
	"time"
)

const quickestBFD = 10 * time.Millisecond

// bfdEcho reads what a profile says of echo packets. A session of nothing else
// agrees with nobody upon anything, so most of the rest means nothing to it.
func (c *checker) bfdEcho(at string, raw *rawProfile) BFDEcho {
	e := BFDEcho{Echo: raw.Echo, EchoSource: raw.EchoSource, EchoRX: raw.EchoRX}
	if c.wholeMicroseconds(join(at, "echo_rx"), e.EchoRX); e.EchoRX > 0 && e.EchoRX < quickestBFD {
		c.errorf(join(at, "echo_rx"), "is %s (write %s or more, or 0s for none)", e.EchoRX, quickestBFD)
	}
	if !e.Echo {
		if e.EchoSource.IsValid() {
			c.errorf(join(at, "echo_source"), "has no effect without echo: true (write that, or remove this)")
		}
		return e
	}
	for _, key := range []string{"rx", "passive", "min_ttl", "echo_rx", "auth"} {
		if c.given(join(at, key)) {
			c.errorf(join(at, key), "has no effect with echo: true, for which the peer needs no BFD (remove one of them)")
		}
	}
	if s := e.EchoSource; s.IsValid() && (s.IsUnspecified() || s.IsMulticast() || s.IsLinkLocalUnicast()) {
		c.errorf(join(at, "echo_source"), "is %s (write an address of this node that is not link-local)", s)
	}
	return e
}

// echoKey refuses sessions whose echo packets could never come back.
func (c *checker) echoKey(at string, k BFDKey, p BFDProfile) bool {
	wrong := ""
	switch {
	case k.Multihop && (p.Echo || p.EchoRX > 0):
		wrong = fmt.Sprintf("is multihop, but profile %q has echo, which the first router would send back (RFC 5883 §3: take a profile without echo and echo_rx)", p.Name)
	case !p.Echo:
	case k.Local.IsLinkLocalUnicast(), k.Peer.IsLinkLocalUnicast() && !k.Local.IsValid():
		wrong = "is by echo from a link-local address, for which nobody forwards packets (write a local address that is none)"
	case p.EchoSource.IsValid() && p.EchoSource.Is4() != k.Peer.Is4():
		wrong = fmt.Sprintf("is with %s, but profile %q has echo_source %s of another family (take another profile)", k.Peer, p.Name, p.EchoSource)
	}
	if wrong != "" {
		c.errorf(at, "the session %s", wrong)
	}
	return wrong == ""
}
