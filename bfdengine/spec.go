package bfdengine

import (
	"cmp"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// What Params holds for fields that are zero, and what it refuses.
const (
	defaultInterval = 300 * time.Millisecond
	defaultMult     = 3
	defaultMinTTL   = 254
	minInterval     = 10 * time.Millisecond // below, a general purpose kernel's scheduling is the fault that is found
	maxInterval     = math.MaxUint32 * time.Microsecond
)

// A Key names a session: there is one for each.
type Key struct {
	Peer      netip.Addr
	Local     netip.Addr // not valid: the kernel's choice
	Interface string     // empty: the route's; of a link-local peer, its zone
	Multihop  bool       // RFC 5883; without, the peer is a neighbor (RFC 5881)
	// Echo is for a neighbor that does no BFD: our own packets go to it, and it
	// sends them back because it forwards IP (RFC 9747, Unaffiliated BFD Echo).
	// RequiredMinRx and ControlPlaneIndependent mean nothing then, and there is no
	// Auth. It needs CAP_NET_RAW.
	Echo bool
}

// String gives the peer, and the rest as far as it is set.
func (k Key) String() string {
	s := k.Peer.String()
	if k.Multihop {
		s += " (multihop)"
	}
	if k.Echo {
		s += " (echo)"
	}
	if k.Local.IsValid() {
		s += " from " + k.Local.String()
	}
	if k.Interface != "" && k.Peer.Zone() == "" {
		s += " on " + k.Interface
	}
	return s
}

// normal is the one way to write k: fe80::1%eth0 on no interface and fe80::1 on
// eth0 are the same session.
func (k Key) normal() (Key, error) {
	k.Peer, k.Local = k.Peer.Unmap(), k.Local.Unmap().WithZone("")
	if k.Peer.IsLinkLocalUnicast() && k.Peer.Is6() {
		if k.Interface == "" {
			k.Interface = k.Peer.Zone()
		}
		if k.Interface == "" {
			return k, fmt.Errorf("session %s: a link-local peer needs an interface (%s%%eth0)", k, k.Peer)
		}
		if zone := k.Peer.Zone(); zone != "" && zone != k.Interface {
			return k, fmt.Errorf("session %s: the peer is on %s, not on %s", k.Peer, zone, k.Interface)
		}
		k.Peer = k.Peer.WithZone(k.Interface)
	}
	switch {
	case !k.Peer.IsValid():
		return k, errors.New("session without a peer: give its address")
	case k.Peer.IsUnspecified() || k.Peer.IsMulticast() || k.Peer == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return k, fmt.Errorf("session %s: a peer is one system (must be a unicast address)", k)
	case k.Peer.Zone() != "" && !k.Peer.IsLinkLocalUnicast():
		return k, fmt.Errorf("session %s: only a link-local address has a zone: name the interface instead", k)
	case k.Local.IsValid() && k.Local.Is4() != k.Peer.Is4():
		return k, fmt.Errorf("session %s: one address is IPv4, the other IPv6", k)
	case k.Local.IsUnspecified() || k.Local.IsMulticast():
		return k, fmt.Errorf("session %s: the local address is not one of this system (leave it out for the kernel's choice)", k)
	case k.Multihop && k.Peer.IsLinkLocalUnicast():
		return k, fmt.Errorf("session %s: a link-local peer is not several hops away", k)
	case k.Echo && k.Multihop:
		return k, fmt.Errorf("session %s: %s", k, noEchoOverHops)
	case k.Echo && (k.Local.IsLinkLocalUnicast() || k.Peer.IsLinkLocalUnicast() && !k.Local.IsValid()):
		return k, fmt.Errorf("session %s: no neighbor forwards what is for a link-local address (give a local address that is none)", k)
	}
	return k, nil
}

// Params are how a session behaves. They may change during its life.
type Params struct {
	DesiredMinTx  time.Duration // between our packets while up; 0: 300 ms
	RequiredMinRx time.Duration // between the peer's; 0: 300 ms
	DetectMult    uint8         // how many of our packets the peer misses until it says Down; 0: 3
	// Passive sends nothing until the peer has (RFC 5880 §6.1). Both ends must
	// not be.
	Passive bool
	// CommonIntervals rounds both intervals up to the next that every
	// implementation should have (RFC 7419).
	CommonIntervals bool
	// ControlPlaneIndependent is the C bit. It is the truth only if this process
	// outlives what it watches paths for.
	ControlPlaneIndependent bool
	// MinTTL of a multihop peer's packets as they arrive; 0: 254. Of a neighbor's
	// it is always 255 (RFC 5881 §5).
	MinTTL uint8
	Auth   Auth
	// RequiredMinEchoRx tells a neighbor that its echo packets are sent back to it
	// as often as that (RFC 5880 §6.8.9); 0: they are not. It needs CAP_NET_RAW.
	RequiredMinEchoRx time.Duration
	// EchoSource is where packets of an Echo session claim to come from, another
	// address of this system; not valid: where they go to. In the neighbor's subnet
	// it lets routers tell us of a shorter way, by ICMP (RFC 5881 §4).
	EchoSource netip.Addr
}

// Auth is a session's authentication; the zero Auth is none.
type Auth struct {
	Type packet.AuthType
	Keys []packet.Key
}

// A Spec is a session that is wanted.
type Spec struct {
	Key
	Params
}

func (s Spec) normal() (Spec, error) {
	key, err := s.Key.normal()
	if err != nil {
		return s, err
	}
	params, err := s.Params.normal()
	if err != nil {
		return s, fmt.Errorf("session %s: %w", key, err)
	}
	if !key.Multihop {
		if s.MinTTL != 0 && s.MinTTL != 255 {
			return s, fmt.Errorf("session %s: minimum TTL %d: of a single-hop session it is always 255", key, s.MinTTL)
		}
		params.MinTTL = 255
	}
	s = Spec{Key: key, Params: params}
	if wrong := s.echoWrong(); wrong != "" {
		return s, fmt.Errorf("session %s: %s", key, wrong)
	}
	return s, nil
}

const noEchoOverHops = "echo is for neighbors: over several hops the first would send the packets back (RFC 5883 §3)"

// echoWrong says what of s does not go together with echo.
func (s *Spec) echoWrong() string {
	source := s.EchoSource
	switch {
	case s.Multihop && s.RequiredMinEchoRx > 0:
		return noEchoOverHops
	case !s.Echo && source.IsValid():
		return "an echo source without echo"
	case source.IsValid() && (source.Is4() != s.Peer.Is4() || source.IsUnspecified() || source.IsMulticast() || source.IsLinkLocalUnicast() || source.Zone() != ""):
		return fmt.Sprintf("echo source %s (must be an address of this system, of the peer's family and not link-local)", source)
	case !s.Echo:
		return ""
	case s.Passive:
		return "an echo session begins by itself: there is no peer that could (must not be passive)"
	case s.Auth.Type != 0:
		return "an echo session has a key of its own, which nobody else needs (must have no authentication)"
	case s.RequiredMinEchoRx > 0:
		return "a neighbor without BFD sends no echo packets to send back (leave its interval out)"
	}
	return ""
}

func (p Params) normal() (Params, error) {
	p.DesiredMinTx = cmp.Or(p.DesiredMinTx, defaultInterval)
	p.RequiredMinRx = cmp.Or(p.RequiredMinRx, defaultInterval)
	p.DetectMult = cmp.Or(p.DetectMult, defaultMult)
	p.MinTTL = cmp.Or(p.MinTTL, defaultMinTTL)
	for _, i := range []struct {
		name string
		d    time.Duration
	}{{"tx", p.DesiredMinTx}, {"rx", p.RequiredMinRx}} {
		if i.d < minInterval || i.d > maxInterval {
			return p, fmt.Errorf("%s interval %v (must be %v to %v)", i.name, i.d, minInterval, maxInterval.Truncate(time.Minute))
		}
	}
	if e := p.RequiredMinEchoRx; e != 0 && (e < minInterval || e > maxInterval) {
		return p, fmt.Errorf("echo interval %v (must be %v to %v, or 0 for none)", e, minInterval, maxInterval.Truncate(time.Minute))
	}
	if p.CommonIntervals {
		p.DesiredMinTx, p.RequiredMinRx = common(p.DesiredMinTx), common(p.RequiredMinRx)
	}
	if p.Auth.Type == 0 && len(p.Auth.Keys) > 0 {
		return p, errors.New("authentication keys without a type")
	}
	_, err := p.Auth.open(time.Time{})
	return p, err
}

// common rounds d up: "a BFD implementation should support all values in the set of
// Common Interval values that are equal to or larger than the fastest (i.e., lowest)
// interval the particular BFD implementation supports" (RFC 7419 §3). We begin at
// 10 ms. Intervals beyond a second are everyone's own, but for the 10 s of the same
// section.
func common(d time.Duration) time.Duration {
	const ms = time.Millisecond
	for _, c := range [...]time.Duration{10 * ms, 20 * ms, 50 * ms, 100 * ms, time.Second, 10 * time.Second} {
		if d <= c {
			return c
		}
	}
	return d
}

func (s *Spec) session() session.Config {
	return session.Config{
		DesiredMinTx: s.DesiredMinTx, RequiredMinRx: s.RequiredMinRx, DetectMult: s.DetectMult,
		Passive: s.Passive, ControlPlaneIndependent: s.ControlPlaneIndependent,
		RequiredMinEchoRx: s.RequiredMinEchoRx, Echo: s.Echo,
	}
}

// frrEpoch is before any time at which this runs.
const frrEpoch = 1_700_000_000

// auth makes the state of a session's authentication.
func (s *Spec) auth(now time.Time) (*packet.Auth, error) {
	if !s.Echo {
		return s.Auth.open(now)
	}
	secret := make([]byte, 20)
	crand.Read(secret) // never fails: it would rather end the program
	return packet.NewOwnAuth(secret, randomUint32())
}

// open makes the state of authentication. FRR may refuse a session that starts with
// a sequence number below that of its former life (see packet.FRRHMACSHA1): there
// the clock is a better start than chance, for as long as fewer than ten packets a
// second leave.
func (a Auth) open(now time.Time) (*packet.Auth, error) {
	if a.Type == 0 {
		return nil, nil
	}
	seq := randomUint32()
	if a.Type == packet.FRRHMACSHA1 || a.Type == packet.FRRHMACMeticulousSHA1 {
		seq = uint32(10 * (now.Unix() - frrEpoch))
	}
	return packet.NewAuth(a.Type, a.Keys, seq)
}
