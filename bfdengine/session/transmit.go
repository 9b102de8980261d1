package session

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// Packet returns what to send now: with final the answer to a poll, without it
// the packet that Effects.Send asked for.
func (s *Session) Packet(final bool) packet.Control {
	if s.cfg.Echo {
		return s.echoPacket()
	}
	return packet.Control{
		Diag:                    s.diag,
		State:                   s.state,
		Poll:                    s.poll == asking && !final,
		Final:                   final,
		ControlPlaneIndependent: s.cfg.ControlPlaneIndependent,
		DetectMult:              s.cfg.DetectMult,
		MyDiscr:                 s.discr,
		YourDiscr:               s.remote.MyDiscr,
		DesiredMinTx:            s.adv.tx,
		RequiredMinRx:           s.adv.rx,
		RequiredMinEchoRx:       s.cfg.RequiredMinEchoRx,
	}
}

// silent reports whether nothing may be sent but answers to polls. "A system
// MUST NOT transmit BFD Control packets if bfd.RemoteDiscr is zero and the
// system is taking the Passive role." (§6.8.7)
func (s *Session) silent() bool {
	return s.stopped || s.cfg.Passive && !s.known()
}

// interval is the one between periodic packets before jitter, or 0 for none:
// §6.8.7 forbids them "if bfd.RemoteMinRxInterval is zero", and "if Demand mode
// is active on the remote system … and a Poll Sequence is not being transmitted".
func (s *Session) interval() time.Duration {
	if s.silent() || s.remote.RequiredMinRx == 0 || s.demanded() && s.poll != asking {
		return 0
	}
	return max(s.use.tx, s.remote.RequiredMinRx)
}

// pace keeps the schedule to the interval, from the last packet on: a shorter one
// is honored at once, "the local system cannot wait longer than the new interval
// between the previous packet transmission and the next one" (§6.8.3).
func (s *Session) pace(now time.Duration) {
	if i := s.interval(); i != s.paced {
		s.paced = i
		s.due = max(now, s.sent+s.jitter(i))
	}
}

func (s *Session) current() report { return report{s.state, s.diag} }

// early reports whether a packet is to leave before its time. It SHOULD if it
// "would differ from that in the previously transmitted packet (other than the
// Poll and Final bits) in order to more rapidly communicate a change in state"
// (§6.8.7). Other changes wait for the schedule, as a poll for them must (§6.5).
func (s *Session) early() bool {
	return s.current() != s.told && !s.silent() && !s.cfg.Echo
}

// transmit notes that a packet leaves now, and schedules the next one.
func (s *Session) transmit(now time.Duration) {
	s.told = s.current()
	s.sent = now
	s.counts.Sent++
	if s.paced != 0 {
		// After a late call the schedule stays, but packets that were not sent
		// are not made up for: never two closer than jitter may bring them.
		least := s.paced - s.paced/4
		s.due = max(min(s.due, now)+s.jitter(s.paced), now+least)
	}
	if s.poll == asking && !s.asked {
		s.asked, s.askedAt = true, now
	}
	if !s.demanded() {
		s.news = false // and if this packet is lost, the next one tells
	}
}

// jitter shortens an interval. "The periodic transmission of BFD Control packets
// MUST be jittered on a per-packet basis by up to 25% … If bfd.DetectMult is
// equal to 1, the interval … MUST be no more than 90% of the negotiated
// transmission interval, and MUST be no less than 75%" (§6.8.7)
func (s *Session) jitter(interval time.Duration) time.Duration {
	least := interval - interval/4
	most := interval
	if s.cfg.DetectMult == 1 {
		most = interval * 9 / 10
	}
	return least + time.Duration(s.rand.Int64N(int64(most-least)+1))
}
