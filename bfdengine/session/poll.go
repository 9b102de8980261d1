package session

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A timing is bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval.
type timing struct{ tx, rx time.Duration }

// slow is the least interval while the session is not Up (§6.8.3).
const slow = time.Second

// farthest is the longest round trip there is: who answers later lost the first
// polls.
const farthest = 3 * time.Second

// A poll sequence (§6.5) asks the peer to confirm what our packets say. One at a
// time: while it is on its way the timing that is told stays as it is, and a
// further change waits, or nobody could say what a Final confirms.
type pollPhase uint8

const (
	quiet    pollPhase = iota // none; another may start
	asking                    // our periodic packets carry P
	settling                  // F came; see answered
)

// settle lets the timing, and a poll sequence for it, follow state and
// configuration.
func (s *Session) settle() {
	if s.cfg.Echo {
		s.adv = s.echoTiming()
		s.use = s.adv
		return
	}
	want := timing{tx: s.cfg.DesiredMinTx, rx: s.cfg.RequiredMinRx}
	if s.state != packet.Up {
		// "When bfd.SessionState is not Up, the system MUST set
		// bfd.DesiredMinTxInterval to a value of not less than one second" (§6.8.3)
		want.tx = max(want.tx, slow)
	}
	// "If either bfd.DesiredMinTxInterval is changed or bfd.RequiredMinRxInterval
	// is changed, a Poll Sequence MUST be initiated" (§6.8.3). And §6.6 for any
	// other content while the peer hears no periodic packets.
	if mayAsk := !s.outstanding(); mayAsk && (want != s.adv || s.news && s.demanded()) {
		s.adv = want
		s.ask()
	}
	s.use = s.inUse()
}

// inUse is what is told, but for two values that the peer must know first while
// the session is Up (§6.8.3): "the actual transmission interval used MUST NOT
// change" if it grows, and if the required one shrinks "the previous value …
// MUST be used when calculating the Detection Time …, until the Poll Sequence
// … has terminated".
func (s *Session) inUse() timing {
	use := s.adv
	if s.state == packet.Up && s.poll == asking {
		use.rx = max(use.rx, s.use.rx)
		use.tx = min(use.tx, s.use.tx)
	}
	if s.state == packet.AdminDown {
		use.tx = min(use.tx, s.use.tx) // see the package comment
	}
	return use
}

// ask starts a poll sequence, or lets the one whose P has not left yet tell the
// news too.
func (s *Session) ask() {
	if s.known() {
		s.poll, s.asked, s.news = asking, false, false
	}
}

// outstanding reports whether another poll sequence would make a Final
// ambiguous.
func (s *Session) outstanding() bool {
	return s.poll == settling || s.poll == asking && s.asked
}

// newPoll is for a change of state, which is told at once: nothing is used or not
// for what was asked before it, so that no Final of that can do harm.
func (s *Session) newPoll() {
	s.asked = false
	if s.poll == settling {
		s.poll = quiet
	}
}

// answered ends our poll sequence on F. The peer answers every P, and we may have
// sent several: before the next sequence "at least a round trip time since the
// last Poll was transmitted" has to pass, and "an additional BFD Control packet
// with the Final (F) bit *clear* MUST be received". §6.8.3 asks for one of the
// two; but where a round trip takes longer than an interval neither is enough.
func (s *Session) answered(now time.Duration, final bool) {
	switch {
	case s.poll == asking && s.asked && final:
		s.poll = settling
		// The answer is to the first P, or to a later one: it took no longer than
		// this.
		s.askedAt = s.sent + min(now-s.askedAt, farthest)
	case s.poll == settling && !final && now >= s.askedAt:
		s.poll = quiet
	}
}

// demanded reports whether Demand mode is active on the remote system (§6.8.6).
func (s *Session) demanded() bool {
	return s.remote.Demand && s.state == packet.Up && s.remote.State == packet.Up
}
