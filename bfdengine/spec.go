package bfdengine

import (
	"cmp"
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
}

// String gives the peer, and the rest as far as it is set.
func (k Key) String() string {
	s := k.Peer.String()
	if k.Multihop {
		s += " (multihop)"
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
	return Spec{Key: key, Params: params}, nil
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

func (p Params) session() session.Config {
	return session.Config{
		DesiredMinTx: p.DesiredMinTx, RequiredMinRx: p.RequiredMinRx, DetectMult: p.DetectMult,
		Passive: p.Passive, ControlPlaneIndependent: p.ControlPlaneIndependent,
	}
}

// frrEpoch is before any time at which this runs.
const frrEpoch = 1_700_000_000

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
