package view

import (
	"fmt"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
)

// Why a neighbor is not sent a route, as Sent.cause has it, besides causes of an
// explanation.
const (
	notSentNothing = "nothing" // the speaker has no route
	notSentOther   = "other"   // Sent.detail says it
	notSentUnknown = "unknown" // the speaker did not tell
)

// SentTo joins what neighbors are sent with who they are. Neighbors without a
// session are not sent anything, and were not asked for.
func SentTo(sent []bgpclient.Sent, neighbors []*vipdv1.Neighbor) []*vipdv1.Sent {
	by := make(map[string]*bgpclient.Sent, len(sent))
	for i := range sent {
		by[sent[i].Neighbor.String()] = &sent[i]
	}
	out := make([]*vipdv1.Sent, 0, len(neighbors))
	for _, n := range neighbors {
		s := sentTo(by[n.GetAddress()], n)
		s.Neighbor, s.Description, s.Session = n.GetAddress(), n.GetDescription(), n.GetState()
		out = append(out, s)
	}
	return out
}

func sentTo(s *bgpclient.Sent, n *vipdv1.Neighbor) *vipdv1.Sent {
	h := n.GetHold()
	switch {
	case !Seen(n):
		return notSent(notSentUnknown, down(n))
	case !established(n) && h != nil:
		return notSent(causeBFDDown, "held by BFD: "+holding(h))
	case !established(n):
		return notSent(causeNeighborDown, down(n))
	case s == nil:
		return notSent(notSentUnknown, "not known: the speaker did not tell")
	case s.Sent:
		return &vipdv1.Sent{Sent: true, Detail: "sent (BGP does not tell whether it is accepted)"}
	case s.Filtered && h.GetWithhold():
		return notSent(causeBFDDown, "held by BFD: "+holding(h))
	case s.Filtered:
		return notSent(causeExportFilter, "kept back by the export policy for this neighbor")
	case s.Foreign:
		return notSent(causeForeignRoute, s.Err)
	case s.Err != "":
		return notSent(notSentOther, s.Err)
	}
	return notSent(notSentNothing, "the speaker has no route to send")
}

// unseen is the state of a neighbor whose speaker does not tell.
const unseen = "unknown"

// Seen tells whether the speaker told of a neighbor's session.
func Seen(n *vipdv1.Neighbor) bool { return n.GetState() != unseen }

func notSent(cause, detail string) *vipdv1.Sent { return &vipdv1.Sent{Cause: cause, Detail: detail} }

func established(n *vipdv1.Neighbor) bool { return n.GetState() == bgpclient.Established.String() }

// holding tells why vipd keeps a neighbor from being used, and how far that is.
func holding(h *vipdv1.Hold) string {
	var b strings.Builder
	b.WriteString(h.GetReason())
	if h.GetReason() == "" {
		b.WriteString("no reason is known")
	}
	switch {
	case h.GetDisable() && h.GetInForce():
		b.WriteString(" (shut down)")
	case h.GetWithhold() && h.GetInForce():
		b.WriteString(" (its routes are withheld)")
	case !h.GetInForce():
		b.WriteString(" (not in force yet)")
	}
	if h.GetError() != "" {
		b.WriteString(": " + h.GetError())
	}
	return b.String()
}

// down tells of a session that is not established.
func down(n *vipdv1.Neighbor) string {
	if !Seen(n) {
		return "not known: the speaker is not connected"
	}
	if n.GetAdminDown() {
		return "shut down at the speaker, not by vipd: by hand, or for too many prefixes"
	}
	s := fmt.Sprintf("BGP session was never up (%s)", n.GetState())
	if n.GetSince() != nil {
		s = fmt.Sprintf("BGP session down since %s (%s)", instant(n.GetSince()), n.GetState())
	}
	if n.GetBfd() != "" && n.GetBfd() != "up" {
		s += ", BFD " + n.GetBfd()
	}
	return s
}
