package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient"
)

// Path attribute types (RFC 4271 §5, RFC 1997, 4360, 4760, 8092).
const (
	typeOrigin         = 1
	typeASPath         = 2
	typeNextHop        = 3
	typeMED            = 4
	typeLocalPref      = 5
	typeCommunities    = 8
	typeMPReach        = 14
	typeExtCommunities = 16
	typeLarge          = 32
)

// Attribute flags (RFC 4271 §4.3).
const (
	optional   = 0x80
	transitive = 0x40
	extended   = 0x10 // the length has two bytes
)

const (
	originIGP  = 0
	asSequence = 2
	asTrans    = 23456 // RFC 6793: stands for an AS that needs four bytes
	// The link bandwidth extended community, non-transitive (RFC 10005).
	typeLinkBandwidth    = 0x40
	subtypeLinkBandwidth = 0x04
)

// Check reports why no speaker could hold exactly r; nil if one can.
func Check(r bgpclient.Route) error {
	switch {
	case !r.Prefix.IsValid() || r.Prefix.Addr().Is4In6():
		return fmt.Errorf("prefix %s: not a prefix of IPv4 or IPv6", r.Prefix)
	case r.Prefix != r.Prefix.Masked():
		return fmt.Errorf("prefix %s: has bits behind its length", r.Prefix)
	case !r.NextHop.IsValid() || r.NextHop.Is4In6() || r.NextHop.Zone() != "":
		return fmt.Errorf("prefix %s: next hop %s: not an address that BGP carries", r.Prefix, r.NextHop)
	case r.Prefix.Addr().Is6() && r.NextHop.Is4():
		return fmt.Errorf("prefix %s: next hop %s: not an IPv6 address", r.Prefix, r.NextHop)
	case !(r.LinkBandwidth >= 0) || math.IsInf(float64(r.LinkBandwidth), 1):
		return fmt.Errorf("prefix %s: link bandwidth %v: not a number of bytes per second", r.Prefix, r.LinkBandwidth)
	}
	return nil
}

// Encode returns the path attributes of a checked route as a speaker with
// number asn originates it, one slice each.
func Encode(r bgpclient.Route, asn uint32) [][]byte {
	attrs := [][]byte{attribute(transitive, typeOrigin, []byte{originIGP})}
	if r.Prepend > 0 {
		path := []byte{asSequence, r.Prepend}
		for range r.Prepend {
			path = binary.BigEndian.AppendUint32(path, asn)
		}
		attrs = append(attrs, attribute(transitive, typeASPath, path))
	}
	attrs = append(attrs, NextHop(r.Prefix, r.NextHop))
	if r.MED != nil {
		attrs = append(attrs, attribute(optional, typeMED, binary.BigEndian.AppendUint32(nil, *r.MED)))
	}
	if r.LocalPref != nil {
		attrs = append(attrs, attribute(transitive, typeLocalPref, binary.BigEndian.AppendUint32(nil, *r.LocalPref)))
	}
	if len(r.Communities) > 0 {
		var b []byte
		for _, c := range r.Communities {
			b = binary.BigEndian.AppendUint32(b, uint32(c))
		}
		attrs = append(attrs, attribute(optional|transitive, typeCommunities, b))
	}
	if r.LinkBandwidth > 0 {
		b := binary.BigEndian.AppendUint16([]byte{typeLinkBandwidth, subtypeLinkBandwidth}, twoByteAS(asn))
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(r.LinkBandwidth))
		attrs = append(attrs, attribute(optional|transitive, typeExtCommunities, b))
	}
	if len(r.LargeCommunities) > 0 {
		var b []byte
		for _, c := range r.LargeCommunities {
			b = binary.BigEndian.AppendUint32(b, c.Global)
			b = binary.BigEndian.AppendUint32(b, c.Local1)
			b = binary.BigEndian.AppendUint32(b, c.Local2)
		}
		attrs = append(attrs, attribute(optional|transitive, typeLarge, b))
	}
	return attrs
}

// NextHop returns the attribute that carries the next hop of one prefix:
// NEXT_HOP for IPv4 over IPv4, else MP_REACH_NLRI (RFC 4760 §3, RFC 8950).
func NextHop(p netip.Prefix, nextHop netip.Addr) []byte {
	if p.Addr().Is4() && nextHop.Is4() {
		return attribute(transitive, typeNextHop, nextHop.AsSlice())
	}
	b := binary.BigEndian.AppendUint16(nil, AFI(p.Addr()))
	b = append(b, Unicast, byte(len(nextHop.AsSlice())))
	b = append(b, nextHop.AsSlice()...)
	b = append(b, 0) // reserved
	return attribute(optional, typeMPReach, AppendPrefix(b, p))
}

func attribute(flags, typ byte, value []byte) []byte {
	if len(value) > 255 {
		b := binary.BigEndian.AppendUint16([]byte{flags | extended, typ}, uint16(len(value)))
		return append(b, value...)
	}
	return append([]byte{flags, typ, byte(len(value))}, value...)
}

func twoByteAS(asn uint32) uint16 {
	if asn > math.MaxUint16 {
		return asTrans
	}
	return uint16(asn)
}
