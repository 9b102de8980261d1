package bgpclient

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Community is a BGP community (RFC 1997), the AS in its upper half.
type Community uint32

// Well-known communities that vipd sets itself.
const (
	GracefulShutdown Community = 0xFFFF0000 // RFC 8326: peers prefer any other path
	NoLLGR           Community = 0xFFFF0007 // RFC 9494: never keep this route as long-lived stale
)

// String gives the field's notation, as in 65001:100.
func (c Community) String() string { return fmt.Sprintf("%d:%d", uint32(c)>>16, uint32(c)&0xFFFF) }

// A LargeCommunity is a large BGP community (RFC 8092).
type LargeCommunity struct{ Global, Local1, Local2 uint32 }

// String gives the notation of RFC 8092 §4, as in 65001:1:2.
func (l LargeCommunity) String() string {
	return fmt.Sprintf("%d:%d:%d", l.Global, l.Local1, l.Local2)
}

func compareLarge(a, b LargeCommunity) int {
	return cmp.Or(cmp.Compare(a.Global, b.Global), cmp.Compare(a.Local1, b.Local1), cmp.Compare(a.Local2, b.Local2))
}

// A Route is a prefix with the path attributes that vipd sets (RFC 4271 §5).
// Its lists are sorted and without duplicates (see Normalize), and are shared:
// nobody changes them in place.
type Route struct {
	Prefix netip.Prefix // masked
	// NextHop is sent as it is; the unspecified address of the prefix's
	// family asks the speaker to put its own address towards each neighbor.
	NextHop          netip.Addr
	Communities      []Community
	LargeCommunities []LargeCommunity
	MED              *uint32 // nil: not sent
	LocalPref        *uint32 // nil: not sent; reaches internal neighbors only
	// Prepend is how often the speaker's own AS stands in the AS_PATH of the
	// path, besides the once that it adds for an external neighbor.
	Prepend uint8
	// LinkBandwidth is in bytes per second (RFC 10005, non-transitive);
	// 0: not sent.
	LinkBandwidth float32
}

// Normalize returns r as a speaker would list it: prefix masked, lists sorted,
// duplicates gone, a missing next hop as the unspecified address.
func (r Route) Normalize() Route {
	r.Prefix = r.Prefix.Masked()
	r.Communities = sortedSet(r.Communities, cmp.Compare)
	r.LargeCommunities = sortedSet(r.LargeCommunities, compareLarge)
	if !r.NextHop.IsValid() {
		r.NextHop = netip.IPv6Unspecified()
		if r.Prefix.Addr().Is4() {
			r.NextHop = netip.IPv4Unspecified()
		}
	}
	return r
}

func sortedSet[T comparable](in []T, compare func(a, b T) int) []T {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

// Equal reports whether a speaker that holds o would announce r. Both must be
// normalized.
func (r Route) Equal(o Route) bool {
	return r.Prefix == o.Prefix && r.NextHop == o.NextHop && r.Prepend == o.Prepend &&
		r.LinkBandwidth == o.LinkBandwidth && equalValue(r.MED, o.MED) && equalValue(r.LocalPref, o.LocalPref) &&
		slices.Equal(r.Communities, o.Communities) && slices.Equal(r.LargeCommunities, o.LargeCommunities)
}

func equalValue(a, b *uint32) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// String names the route and what is special about it, for logs and vipd check.
func (r Route) String() string {
	var b strings.Builder
	b.WriteString(r.Prefix.String())
	if r.NextHop.IsValid() && !r.NextHop.IsUnspecified() {
		fmt.Fprintf(&b, " next-hop %s", r.NextHop)
	}
	if r.MED != nil {
		fmt.Fprintf(&b, " med %d", *r.MED)
	}
	if r.LocalPref != nil {
		fmt.Fprintf(&b, " local-pref %d", *r.LocalPref)
	}
	if r.Prepend > 0 {
		fmt.Fprintf(&b, " prepend %d", r.Prepend)
	}
	if len(r.Communities) > 0 {
		fmt.Fprintf(&b, " communities %v", r.Communities)
	}
	if len(r.LargeCommunities) > 0 {
		fmt.Fprintf(&b, " large-communities %v", r.LargeCommunities)
	}
	if r.LinkBandwidth > 0 {
		fmt.Fprintf(&b, " link-bandwidth %.0f", r.LinkBandwidth)
	}
	return b.String()
}
