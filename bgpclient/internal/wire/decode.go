package wire

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient"
)

// Decode returns the route of prefix that attrs tell, normalized. It is odd if
// anything is in them that the route does not say.
func Decode(prefix netip.Prefix, attrs [][]byte, asn uint32) (r bgpclient.Route, odd bool) {
	d := decoder{route: bgpclient.Route{Prefix: prefix}, asn: asn}
	seen := map[byte]struct{}{}
	for _, a := range attrs {
		typ, value, ok := split(a)
		if _, twice := seen[typ]; !ok || twice || !d.attribute(typ, value) {
			odd = true
		}
		seen[typ] = struct{}{}
	}
	// A path without one of these is not one that Encode made.
	if _, ok := seen[typeOrigin]; !ok || !d.route.NextHop.IsValid() {
		odd = true
	}
	return d.route.Normalize(), odd
}

// split takes one attribute apart, and fails unless it is exactly one.
func split(b []byte) (typ byte, value []byte, ok bool) {
	if len(b) < 3 {
		return 0, nil, false
	}
	flags, typ := b[0], b[1]
	length, value := int(b[2]), b[3:]
	if flags&extended != 0 {
		if len(b) < 4 {
			return typ, nil, false
		}
		length, value = int(binary.BigEndian.Uint16(b[2:])), b[4:]
	}
	return typ, value, len(value) == length
}

type decoder struct {
	route bgpclient.Route
	asn   uint32 // the speaker's; 0: not known
}

// attribute takes in one attribute and reports whether the route says all of it.
func (d *decoder) attribute(typ byte, v []byte) bool {
	switch typ {
	case typeOrigin:
		return len(v) == 1 && v[0] == originIGP
	case typeASPath:
		return d.asPath(v)
	case typeNextHop:
		return len(v) == 4 && d.nextHop(v)
	case typeMPReach:
		return d.mpReach(v)
	case typeMED:
		return number(v, &d.route.MED)
	case typeLocalPref:
		return number(v, &d.route.LocalPref)
	case typeCommunities:
		for ; len(v) >= 4; v = v[4:] {
			d.route.Communities = append(d.route.Communities, bgpclient.Community(binary.BigEndian.Uint32(v)))
		}
		return len(v) == 0
	case typeExtCommunities:
		return d.linkBandwidth(v)
	case typeLarge:
		for ; len(v) >= 12; v = v[12:] {
			d.route.LargeCommunities = append(d.route.LargeCommunities, bgpclient.LargeCommunity{
				Global: binary.BigEndian.Uint32(v), Local1: binary.BigEndian.Uint32(v[4:]), Local2: binary.BigEndian.Uint32(v[8:]),
			})
		}
		return len(v) == 0
	}
	return false
}

// asPath takes a path of the speaker's own number only: that is a prepend.
func (d *decoder) asPath(v []byte) bool {
	if len(v) == 0 {
		return true
	}
	if len(v) < 2 || v[0] != asSequence || len(v) != 2+4*int(v[1]) {
		return false
	}
	for as := v[2:]; len(as) > 0; as = as[4:] {
		if d.asn == 0 || binary.BigEndian.Uint32(as) != d.asn {
			return false
		}
	}
	d.route.Prepend = v[1]
	return true
}

func (d *decoder) nextHop(v []byte) bool {
	a, ok := netip.AddrFromSlice(v)
	d.route.NextHop = a
	return ok
}

// mpReach takes the next hop; a second, link-local one (RFC 2545) is not ours.
// The prefixes behind it are not looked at: the path itself names its one.
func (d *decoder) mpReach(v []byte) bool {
	const head = 4 // address family, subsequent family, length of the next hop
	if len(v) < head || len(v) < head+int(v[3]) {
		return false
	}
	if binary.BigEndian.Uint16(v) != AFI(d.route.Prefix.Addr()) || v[2] != Unicast {
		return false
	}
	return v[3] == 16 && d.nextHop(v[head:head+16])
}

func (d *decoder) linkBandwidth(v []byte) bool {
	if len(v) != 8 || v[0] != typeLinkBandwidth || v[1] != subtypeLinkBandwidth {
		return false
	}
	d.route.LinkBandwidth = math.Float32frombits(binary.BigEndian.Uint32(v[4:]))
	if !(d.route.LinkBandwidth > 0) || math.IsInf(float64(d.route.LinkBandwidth), 1) {
		d.route.LinkBandwidth = 0
		return false
	}
	return d.asn != 0 && binary.BigEndian.Uint16(v[2:]) == twoByteAS(d.asn)
}

func number(v []byte, to **uint32) bool {
	if len(v) != 4 {
		return false
	}
	n := binary.BigEndian.Uint32(v)
	*to = &n
	return true
}
