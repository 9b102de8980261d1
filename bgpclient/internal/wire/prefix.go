// Package wire puts routes into the bytes of BGP and back: prefixes and path
// attributes as in an UPDATE (RFC 4271 §4.3). Both GoBGP APIs take and list
// them so, which is why one codec serves both drivers. It knows no messages.
package wire

import (
	"errors"
	"fmt"
	"net/netip"
)

// Address families and the one subsequent family that vipd uses (RFC 4760).
const (
	AFIv4   = 1
	AFIv6   = 2
	Unicast = 1
)

// AFI returns the address family of an address.
func AFI(a netip.Addr) uint16 {
	if a.Is4() {
		return AFIv4
	}
	return AFIv6
}

// AppendPrefix appends a masked prefix: its length in bits, then as many bytes
// as hold them (RFC 4271 §4.3).
func AppendPrefix(b []byte, p netip.Prefix) []byte {
	b = append(b, byte(p.Bits()))
	return append(b, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
}

// ParsePrefix is the reverse, for exactly one prefix of the family.
func ParsePrefix(b []byte, afi uint16) (netip.Prefix, error) {
	if len(b) == 0 {
		return netip.Prefix{}, errors.New("no prefix")
	}
	bits, addr := int(b[0]), b[1:]
	if want := (bits + 7) / 8; len(addr) != want {
		return netip.Prefix{}, fmt.Errorf("prefix length %d with %d bytes", bits, len(addr))
	}
	switch {
	case afi == AFIv4 && bits <= 32:
		var a [4]byte
		copy(a[:], addr)
		return netip.PrefixFrom(netip.AddrFrom4(a), bits).Masked(), nil
	case afi == AFIv6 && bits <= 128:
		var a [16]byte
		copy(a[:], addr)
		return netip.PrefixFrom(netip.AddrFrom16(a), bits).Masked(), nil
	}
	return netip.Prefix{}, fmt.Errorf("prefix length %d in address family %d", bits, afi)
}
