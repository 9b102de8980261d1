package daemon

import (
	"net/netip"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/view"
)

// The kinds of events, as the API has them.
const (
	kindVIP        = "vip"
	kindBackend    = "backend"
	kindOverride   = "override"
	kindDrain      = "drain"
	kindDefinition = "definition"
	kindReload     = "reload"
	kindSpeaker    = "speaker"
	kindNeighbor   = "neighbor"
	kindBFD        = "bfd"
	kindState      = "state"
	kindHook       = "hook"
)

// vipEvent tells of a decision on a VIP.
func vipEvent(name string, prefix netip.Prefix, was, is healthloop.Intent) *vipdv1.Event {
	from := ""
	if was.Reason != "" { // else it is new
		from = was.State.String()
	}
	return &vipdv1.Event{
		Kind: kindVIP, Subject: name, From: from, To: is.State.String(), Reason: is.Reason,
		Inputs: map[string]string{"prefix": prefix.String(), "rule": string(is.Rule)},
	}
}

// bfdEvent tells of a session's transition.
func bfdEvent(c bfdengine.Change) *vipdv1.Event {
	e := &vipdv1.Event{
		Kind: kindBFD, Subject: view.SessionID(c.Key), From: c.From.String(), To: c.To.String(), Reason: c.Diag.String(),
		Inputs: map[string]string{"remote_diag": c.RemoteDiag.String()},
	}
	if c.RemoteAdmin {
		e.Reason = "the peer is administratively down"
	}
	return e
}

// worthTelling leaves out a session's way from Down to Init, which a peer may
// have it go to and fro as often as it likes.
func worthTelling(c bfdengine.Change) bool { return c.From == packet.Up || c.To == packet.Up }
