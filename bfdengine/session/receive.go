package session

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// Receive takes a packet that was parsed, authenticated and found to be ours,
// and the time when the machine received it. It follows §6.8.6 in its order.
func (s *Session) Receive(now time.Time, p packet.Control) Effects {
	var fx Effects
	if !s.ours(&p) {
		return s.finish(now, fx, false)
	}
	t := now.Sub(s.born)
	s.learn(t, &p)
	s.answered(t, p.Final)
	if to, why := onReceived(s.state, p.State); to != s.state {
		s.enter(now, to, why, &fx)
		fx.Event.RemoteAdmin = p.State == packet.AdminDown
	}
	// "… without respect to the transmission timer or any other transmission
	// limitations, without respect to the session state, and without respect to
	// whether Demand mode is active" (§6.8.7)
	fx.Final = s.remote.Poll
	return s.finish(now, fx, false)
}

// ours repeats two rules of §6.8.6 that the owner keeps already: Up is promised
// here, and without our discriminator in it no packet is the peer's consent.
func (s *Session) ours(p *packet.Control) bool {
	return p.YourDiscr == s.discr || p.YourDiscr == 0 && p.State <= packet.Down
}

// learn takes over what the peer says. A packet may have waited longer in the
// machine than one that was handed over before it: time doesn't go back.
func (s *Session) learn(now time.Duration, p *packet.Control) {
	if s.state == packet.Up {
		s.maxGap = max(s.maxGap, now-s.heard)
	}
	if p.MyDiscr != s.remote.MyDiscr {
		s.news = true // our packets say it back
	}
	s.remote = *p
	if s.cfg.Echo {
		s.ignoreOwnTiming()
	}
	s.heard = max(s.heard, now)
	s.forget = never
	s.counts.Received++
}

// onReceived is the state machine of §6.2, as §6.8.6 has it: the new state, or
// the old one, and the new reason.
func onReceived(local, remote packet.State) (packet.State, packet.Diag) {
	switch {
	case local == packet.AdminDown:
		return local, packet.NoDiagnostic
	case remote == packet.AdminDown:
		return packet.Down, packet.NeighborSignaledSessionDown
	case local == packet.Down && remote == packet.Down:
		return packet.Init, packet.NoDiagnostic
	case local == packet.Down && remote == packet.Init:
		return packet.Up, packet.NoDiagnostic
	case local == packet.Init && remote >= packet.Init:
		return packet.Up, packet.NoDiagnostic
	case local == packet.Up && remote == packet.Down:
		return packet.Down, packet.NeighborSignaledSessionDown
	}
	return local, packet.NoDiagnostic
}

// Advance does what is due by now: to send, to give a silent peer up, to end
// AdminDown. All that the machine received until now must have been handed over
// before: only here silence is taken for a failure.
func (s *Session) Advance(now time.Time) Effects {
	var fx Effects
	t := now.Sub(s.born)
	if s.known() && t >= s.heard+s.detection() {
		s.giveUp(now, &fx)
	}
	if t >= s.forget {
		fx.Forget = true
		s.forget = never
	}
	return s.finish(now, fx, true)
}

// giveUp is for a Detection Time without a packet. "… and bfd.SessionState is
// Init or Up, the session has gone down" (§6.8.4); in any state bfd.RemoteDiscr
// "MUST be set to zero" (§6.8.1), and bfd.AuthSeqKnown after "at least twice the
// Detection Time".
func (s *Session) giveUp(now time.Time, fx *Effects) {
	s.forget = s.heard + 2*s.detection()
	if s.state == packet.Init || s.state == packet.Up {
		s.enter(now, packet.Down, s.silence(), fx)
	}
	s.remote = nobody()
	s.poll = quiet
}

// detection is the Detection Time in Asynchronous mode (§6.8.4): Demand mode is
// never ours, and the peer's leaves it sending.
func (s *Session) detection() time.Duration {
	return time.Duration(s.remote.DetectMult) * max(s.use.rx, s.remote.DesiredMinTx)
}

// known reports whether the peer was heard within a Detection Time.
func (s *Session) known() bool { return s.remote.MyDiscr != 0 }
