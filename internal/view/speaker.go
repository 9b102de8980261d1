package view

import (
	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
)

const (
	familyIPv4 = "ipv4"
	familyIPv6 = "ipv6"
)

// Speaker shows the connection to the BGP daemon, and the counts of its routes.
// Kind is gobgp or embedded; address is empty for the latter.
func Speaker(kind, address string, l bgpclient.Link, wanted, installed, foreign int, drift uint64) *vipdv1.Speaker {
	s := &vipdv1.Speaker{
		Kind: kind, Address: address, Connected: l.Connected, Api: l.API, Since: stamp(l.Since), Problem: l.Problem,
		Asn: l.Global.ASN, RoutesWanted: uint32(wanted), RoutesInstalled: uint32(installed), RoutesForeign: uint32(foreign), Drift: drift,
	}
	if l.Global.RouterID.IsValid() {
		s.RouterId = l.Global.RouterID.String()
	}
	return s
}

// Neighbor shows a BGP peer. A nil h is that vipd never kept it from being used;
// bfd is the state of the session that watches it, empty: none does.
func Neighbor(n bgpclient.NeighborState, h *bgpclient.HoldStatus, managed bool, bfd string) *vipdv1.Neighbor {
	out := &vipdv1.Neighbor{
		Address: n.Address.String(), Description: n.Description, Asn: n.ASN,
		State: n.State.String(), Since: stamp(n.Since), AdminDown: n.AdminDown, Hold: hold(h), Managed: managed,
		PrefixesReceived: n.Accepted, UpdatesSent: n.Sent.Update, UpdatesReceived: n.Received.Update, Bfd: bfd,
	}
	if n.IPv4 {
		out.Families = append(out.Families, familyIPv4)
	}
	if n.IPv6 {
		out.Families = append(out.Families, familyIPv6)
	}
	return out
}

func hold(h *bgpclient.HoldStatus) *vipdv1.Hold {
	switch {
	case h == nil:
		return nil
	case h.Disable || h.Withhold:
		return &vipdv1.Hold{Disable: h.Disable, Withhold: h.Withhold, Reason: h.Reason, InForce: h.InForce, Error: h.Err}
	case h.Ours: // until the speaker shows it enabled, it still can't be used
		return &vipdv1.Hold{Reason: "being enabled again", InForce: true, Error: h.Err}
	}
	return nil
}
