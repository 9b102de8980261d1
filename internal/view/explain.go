package view

import (
	"fmt"
	"net/netip"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// The causes of an Explanation, in the order of the chain: the first that holds
// is the cause, and the steps show the others too.
const (
	causeDrain              = "drain"
	causeOverride           = "override"
	causeUplinksDown        = "uplinks_down"
	causeNoBackends         = "no_backends"
	causeHoldDown           = "hold_down"
	causeUndecided          = "undecided"
	causeNoHealthyBackend   = "no_healthy_backend"
	causeBGPOff             = "bgp_off"
	causeSpeakerUnreachable = "speaker_unreachable"
	causeRouteError         = "route_error"
	causeRoutePending       = "route_pending"
	causeNoNeighbors        = "no_neighbors"
	causeForeignRoute       = "foreign_route"
	causeBFDDown            = "bfd_down"
	causeNeighborDown       = "neighbor_down"
	causeExportFilter       = "export_filter"
	causeAnnounced          = "announced"
)

// The states of a VIP that decide how it is explained.
const (
	advertised = "advertised"
	withdrawn  = "withdrawn"
)

// ExplainInputs is all that an explanation is made of, as of one moment.
type ExplainInputs struct {
	VIP       *vipdv1.Vip
	Node      *vipdv1.Node
	Neighbors []*vipdv1.Neighbor
	Sent      []*vipdv1.Sent // as SentTo makes them
}

// Explain goes from a VIP's backends to each neighbor, and says where it ends.
func Explain(in ExplainInputs) *vipdv1.Explanation {
	e := explainer{ExplainInputs: in, route: in.VIP.GetRoute(), speaker: in.Node.GetSpeaker(), family: familyOf(in.VIP)}
	e.reach()
	out := e.verdict()
	out.Vip, out.Steps = in.VIP, e.steps()
	return out
}

// An explainer is one explanation in the making.
type explainer struct {
	ExplainInputs
	route   *vipdv1.Route   // nil: the speaker was not asked for one
	speaker *vipdv1.Speaker // nil: BGP is off
	family  string          // of the VIP
	ends    []end           // one a neighbor
	meant   int             // neighbors that carry the family
	reached int             // of those: are sent the route
}

// An end is what one neighbor gets.
type end struct {
	neighbor *vipdv1.Neighbor
	sent     *vipdv1.Sent
	meant    bool // it carries the VIP's family
}

// reach counts whom the route is for, and who gets it.
func (e *explainer) reach() {
	by := make(map[string]*vipdv1.Sent, len(e.Sent))
	for _, s := range e.Sent {
		by[s.GetNeighbor()] = s
	}
	for _, n := range e.Neighbors {
		one := end{neighbor: n, sent: by[n.GetAddress()], meant: carries(n, e.family)}
		if one.sent == nil {
			one.sent = sentTo(nil, n)
		}
		e.ends = append(e.ends, one)
		if !one.meant {
			continue
		}
		e.meant++
		if one.sent.GetSent() {
			e.reached++
		}
	}
}

// verdict goes along the chain until it breaks.
func (e *explainer) verdict() *vipdv1.Explanation {
	if e.VIP.GetState() != advertised {
		return e.decision()
	}
	if out := e.atSpeaker(); out != nil {
		return out
	}
	return e.atNeighbors()
}

// familyOf is the family of a VIP's prefix, empty for one that can't be read.
func familyOf(v *vipdv1.Vip) string {
	p, err := netip.ParsePrefix(v.GetPrefix())
	switch {
	case err != nil:
		return ""
	case p.Addr().Is4():
		return familyIPv4
	}
	return familyIPv6
}

// carries reports whether a neighbor's session carries routes of a family; one
// that does not tell is taken to do so.
func carries(n *vipdv1.Neighbor, family string) bool {
	if len(n.GetFamilies()) == 0 || family == "" {
		return true
	}
	for _, f := range n.GetFamilies() {
		if f == family {
			return true
		}
	}
	return false
}

// Carriers are the neighbors that a prefix can be sent to: those whose sessions
// carry its family.
func Carriers(all []*vipdv1.Neighbor, p netip.Prefix) (out []*vipdv1.Neighbor) {
	family := familyOf(&vipdv1.Vip{Prefix: p.String()})
	for _, n := range all {
		if carries(n, family) {
			out = append(out, n)
		}
	}
	return out
}

// familyName is how people write a family.
func familyName(family string) string { return strings.Replace(family, "ip", "IP", 1) }

// called names a neighbor to who is awake since a minute.
func called(n *vipdv1.Neighbor) string {
	if n.GetDescription() == "" {
		return n.GetAddress()
	}
	return fmt.Sprintf("%s (%s)", n.GetAddress(), n.GetDescription())
}

// speakerName says which speaker it is.
func (e *explainer) speakerName() string {
	switch {
	case e.speaker.GetAddress() != "":
		return e.speaker.GetKind() + " at " + e.speaker.GetAddress()
	case e.embedded():
		return "the embedded speaker"
	}
	return "the speaker"
}

// embedded reports whether the speaker is in vipd's own process, where nobody
// else reaches it.
func (e *explainer) embedded() bool { return e.speaker.GetKind() == "embedded" }

// unconnected says why the speaker is not there.
func (e *explainer) unconnected() string {
	s := e.speakerName() + " is not connected"
	if since := e.speaker.GetSince(); since != nil {
		s += " since " + instant(since)
	}
	return s + because(e.speaker.GetProblem())
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}
