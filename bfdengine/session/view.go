package session

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A View is a session as an operator may see it.
type View struct {
	State       packet.State
	Diag        packet.Diag
	RemoteState packet.State // Down if the peer is not heard
	RemoteDiag  packet.Diag
	Discr       uint32
	RemoteDiscr uint32 // 0: the peer is not heard

	DesiredMinTx      time.Duration // as told to the peer; with Echo as provisioned
	RequiredMinRx     time.Duration
	RemoteMinTx       time.Duration
	RemoteMinRx       time.Duration
	RemoteMinEchoRx   time.Duration // 0: the peer takes no echo packets
	RemoteMult        uint8
	RemoteIndependent bool // the peer's C bit

	TxInterval time.Duration // between our packets, before jitter; 0: none are due
	RxInterval time.Duration // between the peer's; 0: it is not heard
	Detection  time.Duration // of silence until the session is Down; 0: it is not heard
	Polling    bool          // a poll sequence of ours is on
	Demand     bool          // the peer wants no periodic packets, and gets none

	Since  time.Time     // the last change of state
	Heard  time.Time     // the last packet; zero if there was none
	MaxGap time.Duration // the longest silence in this Up, or in the last one
	Counts
}

// Counts grow for as long as the session lives.
type Counts struct {
	Received uint64 // packets taken
	Sent     uint64 // packets asked for, answers to polls aside
	Ups      uint32
	Downs    uint32 // from Up, to whatever state
}

// View returns the session as it is.
func (s *Session) View() View {
	v := View{
		State: s.state, Diag: s.diag, RemoteState: s.remote.State, RemoteDiag: s.remote.Diag,
		Discr: s.discr, RemoteDiscr: s.remote.MyDiscr,
		DesiredMinTx: s.adv.tx, RequiredMinRx: s.adv.rx,
		RemoteMinTx: s.remote.DesiredMinTx, RemoteMinRx: s.remote.RequiredMinRx,
		RemoteMinEchoRx: s.remote.RequiredMinEchoRx, RemoteMult: s.remote.DetectMult,
		RemoteIndependent: s.remote.ControlPlaneIndependent,
		TxInterval:        s.interval(),
		Polling:           s.poll == asking, Demand: s.demanded(),
		Since: s.since, MaxGap: s.maxGap, Counts: s.counts,
	}
	if s.counts.Received > 0 {
		v.Heard = s.born.Add(s.heard)
	}
	if s.known() {
		v.RxInterval = max(s.use.rx, s.remote.DesiredMinTx)
		v.Detection = s.detection()
	}
	return v
}
