package session

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// With Config.Echo a session is that of Unaffiliated BFD Echo (RFC 9747): the
// neighbor sends our own packets back and knows nothing of BFD. The state machine
// is the same, "with the exception that the received state is not derived from BFD
// Control packets originating from the remote system" (§2). So nothing is agreed
// upon and nobody is polled, and the owner keeps Disable to itself: "the AdminDown
// state is not utilized".

// slowEcho is the interval until Up: "The slow transmission rate should be no
// greater than one packet per second" (RFC 9747 §2), and jitter takes up to a
// quarter of it. For the same reason no packet leaves early to tell a new state:
// only we hear of it.
const slowEcho = slow * 4 / 3

// echoTiming is what is provisioned, both ways: what leaves comes back.
func (s *Session) echoTiming() timing {
	tx := s.cfg.DesiredMinTx
	if s.state != packet.Up {
		tx = max(tx, slowEcho)
	}
	return timing{tx: tx, rx: tx}
}

// echoPacket: "It is RECOMMENDED that these fields be set to a value of 1 second
// (1,000,000 microseconds)", and the one for echo "to 0" (RFC 9747 §2).
func (s *Session) echoPacket() packet.Control {
	return packet.Control{
		Diag:          s.diag,
		State:         s.state,
		DetectMult:    s.cfg.DetectMult,
		MyDiscr:       s.discr,
		YourDiscr:     s.remote.MyDiscr,
		DesiredMinTx:  slow,
		RequiredMinRx: slow,
	}
}

// ignoreOwnTiming: "upon receipt, these values MUST be ignored and MUST NOT be used
// in the calculation of the Detection Time" (RFC 9747 §2). That is of the interval
// to the packet that left next, however short Configure, or Up, makes it meanwhile.
func (s *Session) ignoreOwnTiming() {
	s.remote.DesiredMinTx, s.remote.RequiredMinRx = s.use.tx, time.Microsecond
	if s.remote.State != packet.Up {
		s.remote.DesiredMinTx = max(s.use.tx, slowEcho)
	}
	s.remote.RequiredMinEchoRx = 0
	s.remote.DetectMult = s.cfg.DetectMult
	s.remote.Demand, s.remote.Poll, s.remote.Final = false, false, false
}

// silence is the reason of a session that is no longer heard: for echo packets
// EchoFunctionFailed (RFC 5880 §6.8.5).
func (s *Session) silence() packet.Diag {
	if s.cfg.Echo {
		return packet.EchoFunctionFailed
	}
	return packet.ControlDetectionTimeExpired
}
