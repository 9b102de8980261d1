// Package view turns what the rooms know into messages of the API. It has no
// state and no clock, and decides nothing.
package view

import (
	"net/netip"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
)

// A Def is what a VIP is defined as, besides what the health loop knows.
type Def struct {
	Prefix    netip.Prefix
	Owner     string // empty: the configuration file
	Version   uint64
	Addresses map[string]string // of the backends, by name
}

// VIP shows a VIP without the figures of probes; attributes are those of the
// wanted route, for people.
func VIP(s healthloop.VIPStatus, d Def, r bgpclient.RouteStatus, attributes string) *vipdv1.Vip {
	return &vipdv1.Vip{Name: s.Name}
}

// Fresh adds the figures of the last probes to v, which must not be shared.
func Fresh(v *vipdv1.Vip, s healthloop.VIPStatus) {}

// Neighbor shows a BGP peer. h is nil where nothing was ever held of it; bfd is
// the state of the session that watches it, empty: none does.
func Neighbor(n bgpclient.NeighborState, h *bgpclient.HoldStatus, managed bool, bfd string) *vipdv1.Neighbor {
	return &vipdv1.Neighbor{Address: n.Address.String()}
}

// Session shows a BFD session.
func Session(s bfdengine.Snapshot, owner string, transitions bool) *vipdv1.BfdSession {
	return &vipdv1.BfdSession{Id: SessionID(s.Key)}
}

// SessionID names a session, for people and for RemoveBfdSession.
func SessionID(k bfdengine.Key) string { return k.String() }

// Speaker shows the connection to the BGP daemon, and counts of its routes.
func Speaker(kind, address string, l bgpclient.Link, wanted, installed, foreign int, drift uint64) *vipdv1.Speaker {
	return &vipdv1.Speaker{Kind: kind, Address: address, Connected: l.Connected}
}

// ExplainInputs is all that an explanation is made of, as of one moment.
type ExplainInputs struct {
	VIP       *vipdv1.Vip
	Node      *vipdv1.Node
	Neighbors []*vipdv1.Neighbor
	Sent      []*vipdv1.Sent
}

// Explain goes from a VIP's backends to each neighbor, and says where it ends.
func Explain(in ExplainInputs) *vipdv1.Explanation {
	return &vipdv1.Explanation{Vip: in.VIP}
}

// SentTo joins what neighbors are sent with who they are.
func SentTo(sent []bgpclient.Sent, neighbors []*vipdv1.Neighbor) []*vipdv1.Sent { return nil }
