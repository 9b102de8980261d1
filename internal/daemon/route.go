package daemon

import (
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
)

// routeFor makes the route of an advertised VIP: what its level announces, and
// what the intent adds.
func routeFor(v config.VIP, intent healthloop.Intent) bgpclient.Route {
	a := v.Announce
	// A reload may have taken levels away since the intent was decided.
	if intent.Level >= 0 && intent.Level < len(v.Degraded) {
		a = v.Degraded[intent.Level].Announce
	}
	r := bgpclient.Route{
		Prefix:           v.Prefix,
		NextHop:          a.NextHop4,
		Communities:      communities(a.Communities),
		LargeCommunities: largeCommunities(a.LargeCommunities),
		MED:              a.MED,
		LocalPref:        a.LocalPref,
		Prepend:          a.ASPathPrepend,
		LinkBandwidth:    float32(intent.LinkBandwidth),
	}
	if v.Prefix.Addr().Is6() {
		r.NextHop = a.NextHop6
	}
	// A VIP that is gone must not live on for hours in a peer that keeps
	// long-lived stale routes (RFC 9494 §4.3).
	r.Communities = append(r.Communities, bgpclient.NoLLGR)
	if intent.GracefulShutdown {
		// RFC 8326 §4: the community for external neighbors, and the lowest
		// preference, which reaches internal ones only.
		least := uint32(0)
		r.Communities = append(r.Communities, bgpclient.GracefulShutdown)
		r.LocalPref = &least
	}
	return r.Normalize()
}

func communities(in []uint32) []bgpclient.Community {
	out := make([]bgpclient.Community, 0, len(in)+2)
	for _, c := range in {
		out = append(out, bgpclient.Community(c))
	}
	return out
}

func largeCommunities(in [][3]uint32) []bgpclient.LargeCommunity {
	out := make([]bgpclient.LargeCommunity, 0, len(in))
	for _, c := range in {
		out = append(out, bgpclient.LargeCommunity{Global: c[0], Local1: c[1], Local2: c[2]})
	}
	return out
}
