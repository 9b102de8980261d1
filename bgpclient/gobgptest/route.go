package gobgptest

import (
	"math"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bgpclient"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// A Route is one path of a prefix as a router has received it.
type Route struct {
	Prefix           netip.Prefix
	ID               uint32 // path identifier, with AddPaths only (RFC 7911)
	NextHop          netip.Addr
	ASPath           []uint32
	MED, LocalPref   *uint32
	Communities      []bgpclient.Community
	LargeCommunities []bgpclient.LargeCommunity
	LinkBandwidth    float32 // bytes per second, non-transitive (RFC 10005); 0: none
}

// An Update is what one UPDATE message said, or that an address family is
// complete (RFC 4724 §2).
type Update struct {
	At        time.Time // received
	Peer      netip.Addr
	Announced []Route
	Withdrawn []netip.Prefix
	EndOfRIB  bool
}

// update takes in one UPDATE message.
func (r *Router) update(paths []*apiutil.Path, at time.Time) {
	u := Update{At: at}
	for _, p := range paths {
		ip, ok := p.Nlri.(*bgp.IPAddrPrefix)
		if !ok {
			continue
		}
		u.Peer = p.PeerAddress
		if p.Withdrawal {
			u.Withdrawn = append(u.Withdrawn, ip.Prefix)
			r.withdrawn(u.Peer, ip.Prefix, p.RemoteID)
			continue
		}
		route := Route{Prefix: ip.Prefix, ID: p.RemoteID}
		for _, a := range p.Attrs {
			route.attribute(a)
		}
		u.Announced = append(u.Announced, route)
		r.announced(u.Peer, route)
	}
	r.note(u)
}

func (r *Router) endOfRIB(p *apiutil.Path, at time.Time) {
	r.note(Update{At: at, Peer: p.PeerAddress, EndOfRIB: true})
}

func (r *Route) attribute(a bgp.PathAttributeInterface) {
	switch a := a.(type) {
	case *bgp.PathAttributeNextHop:
		r.NextHop = a.Value
	case *bgp.PathAttributeMpReachNLRI:
		r.NextHop = a.Nexthop
	case *bgp.PathAttributeAsPath:
		for _, segment := range a.Value {
			r.ASPath = append(r.ASPath, segment.GetAS()...)
		}
	case *bgp.PathAttributeMultiExitDisc:
		r.MED = &a.Value
	case *bgp.PathAttributeLocalPref:
		r.LocalPref = &a.Value
	case *bgp.PathAttributeCommunities:
		for _, c := range a.Value {
			r.Communities = append(r.Communities, bgpclient.Community(c))
		}
	case *bgp.PathAttributeLargeCommunities:
		for _, c := range a.Values {
			r.LargeCommunities = append(r.LargeCommunities, bgpclient.LargeCommunity{Global: c.ASN, Local1: c.LocalData1, Local2: c.LocalData2})
		}
	case *bgp.PathAttributeExtendedCommunities:
		for _, c := range a.Value {
			if l, ok := c.(*bgp.LinkBandwidthExtended); ok && !math.IsNaN(float64(l.Bandwidth)) {
				r.LinkBandwidth = l.Bandwidth
			}
		}
	}
}
