// Package session is one BFD session (RFC 5880 §6.8). It is told of packets, of
// the time and of its owner's wishes, and says what to send, what changed and
// when to call again. It opens no socket, reads no clock, starts no goroutine
// and takes no lock; it checks no bytes and no authentication.
//
// Every input ends in finish, which settles what follows from it: the timing
// that is told and used (poll.go), the schedule (transmit.go) and the next call.
// What is heard, and what silence means, is in receive.go. What is other where
// the session hears itself is in echo.go.
//
// Where RFC 5880 leaves a choice, or contradicts itself, this is the choice:
//
//   - A poll is answered in AdminDown too. §6.8.6 discards the packet before its
//     P bit is looked at, but §6.8.7 says MUST, "without respect to the session
//     state", and a peer that polls would else poll for ever. It is also taken
//     for a sign of life, so that our packets name the peer.
//   - On the way up LocalDiag is cleared: it is "the reason for the most recent
//     change" (§6.8.1), not for the one before.
//   - AdminDown is told at the rate that was in use, for as long as the peer
//     would wait for a packet, although §6.8.3 asks to advertise a second at
//     least: at that rate one lost packet would be all that the peer gets.
//   - After a Detection Time of silence the peer's timing is forgotten along with
//     its discriminator, so that a peer that wanted no packets, and died, is
//     spoken to again.
//   - P rides on the packet that tells a new state: it is the next scheduled one,
//     sent early. Nobody is polled of whom nothing was heard.
package session

import (
	"math/rand/v2"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A Config is what the owner wants of a session. All of it may change while the
// session is Up, by Configure.
type Config struct {
	DesiredMinTx            time.Duration // 1 µs to 2^32-1 µs; a second at least while not Up
	RequiredMinRx           time.Duration // 1 µs to 2^32-1 µs
	RequiredMinEchoRx       time.Duration // only told to the peer; 0: no echo
	DetectMult              uint8         // 1 to 255
	Passive                 bool          // stay silent until the peer is heard
	ControlPlaneIndependent bool          // the C bit
	Echo                    bool          // see echo.go; DesiredMinTx is the only interval then, and Passive nothing
}

// Effects is what a Session asks of its owner after one input. The owner does
// all of it before the next input.
type Effects struct {
	Final  bool      // send Packet(true) now, the answer to a poll
	Send   bool      // send Packet(false) now: it is due, or tells a new state
	Forget bool      // the peer's authentication sequence is no longer known (§6.8.1)
	Event  Event     // the change of state, if From and To differ
	Next   time.Time // call Advance then or earlier (it may be now); never zero
}

// An Event is one change of state with its reason. A session is lost to those
// who rely on it if From is Up; see RFC 5882 §3.2 and §4.2 on RemoteAdmin.
type Event struct {
	From, To    packet.State
	Diag        packet.Diag  // ours: why
	RemoteState packet.State // what the peer said last
	RemoteDiag  packet.Diag
	RemoteAdmin bool // down because the peer is AdminDown: its wish, not a failure
	At          time.Time
}

// A Session is one session's state variables (RFC 5880 §6.8.1). It belongs to
// one owner, who serializes the calls. Make one with New.
type Session struct {
	rand  *rand.Rand
	born  time.Time // instants below are durations since then: a third of the bytes
	since time.Time // the last change of state

	cfg      Config
	adv, use timing         // what is told, and what is in use until the peer confirms
	remote   packet.Control // the peer's last packet; nobody if none is known

	heard    time.Duration // when the last packet came
	forget   time.Duration // when to forget the authentication sequence
	sent     time.Duration // when the last packet left, answers to polls aside
	due      time.Duration // when the next one has to
	paced    time.Duration // the interval that due was made for; 0: no next one
	askedAt  time.Duration // when the first P left; settling: until when answers may come
	lastWord time.Duration // until when AdminDown is told

	discr   uint32
	state   packet.State
	diag    packet.Diag
	told    report // what the peer was told last of state and diag
	poll    pollPhase
	asked   bool // a packet with P has left in this poll sequence
	news    bool // contents changed of which no packet, or poll sequence, told yet
	stopped bool // AdminDown was told for long enough

	counts Counts
	maxGap time.Duration
}

type report struct {
	state packet.State
	diag  packet.Diag
}

// never is far enough to be no day of any machine, and near enough to be added
// to a time.
const never = 100 * 365 * 24 * time.Hour

// nobody is what is known of a peer that was not heard: the initial values of
// §6.8.1.
func nobody() packet.Control {
	return packet.Control{State: packet.Down, RequiredMinRx: time.Microsecond}
}

// New returns a session that is Down, with discr as its nonzero discriminator.
// Call Advance at once for its first packet. Its packets are jittered by r.
func New(discr uint32, c Config, r *rand.Rand, now time.Time) Session {
	s := Session{
		rand: r, born: now, since: now,
		cfg: c, discr: discr, state: packet.Down, remote: nobody(),
		forget: never,
	}
	s.settle()
	return s
}

// Configure changes the parameters. The state stays; what the peer must know
// first is used once it has confirmed it (§6.8.3).
func (s *Session) Configure(now time.Time, c Config) Effects {
	if c != s.cfg {
		s.cfg = c
		s.news = true
		s.paced = 0 // the jitter depends on the multiplier: schedule anew
	}
	return s.finish(now, Effects{}, false)
}

// Disable takes the session to AdminDown (§6.8.16), with d as the reason:
// AdministrativelyDown, or PathDown. The peer is told for as long as it would
// wait for a packet; then Stopped is true.
func (s *Session) Disable(now time.Time, d packet.Diag) Effects {
	var fx Effects
	if s.state == packet.AdminDown && s.diag == d {
		return s.finish(now, fx, false)
	}
	s.stopped = false
	s.lastWord = now.Sub(s.born)
	if !s.silent() {
		s.lastWord += time.Duration(s.cfg.DetectMult) * max(s.adv.tx, s.remote.RequiredMinRx)
	}
	s.enter(now, packet.AdminDown, d, &fx)
	return s.finish(now, fx, false)
}

// Enable takes the session from AdminDown to Down, from where it comes up as a
// new one does.
func (s *Session) Enable(now time.Time) Effects {
	var fx Effects
	if s.state == packet.AdminDown {
		s.stopped = false
		s.enter(now, packet.Down, packet.NoDiagnostic, &fx)
	}
	return s.finish(now, fx, false)
}

// Fail takes the session Down for a reason that packets don't show:
// ForwardingPlaneReset (§6.8.15) or EchoFunctionFailed (§6.8.5). If it is Down
// already only the reason changes; AdminDown stays.
func (s *Session) Fail(now time.Time, d packet.Diag) Effects {
	var fx Effects
	if s.state != packet.AdminDown {
		s.enter(now, packet.Down, d, &fx)
	}
	return s.finish(now, fx, false)
}

// Stopped reports whether the session is AdminDown and the peer was told for
// long enough: it may be removed.
func (s *Session) Stopped() bool { return s.stopped }

// enter is the only place that writes state and diag. An Event that carried one
// without the other would let a reader act on the reason of last time.
func (s *Session) enter(now time.Time, to packet.State, d packet.Diag, fx *Effects) {
	from := s.state
	s.state, s.diag = to, d
	s.news = true
	if from == to {
		return
	}
	s.since = now
	s.newPoll()
	switch packet.Up {
	case to:
		s.counts.Ups++
		s.maxGap = 0
	case from:
		s.counts.Downs++
	}
	fx.Event = Event{
		From: from, To: to, Diag: d, At: now,
		RemoteState: s.remote.State, RemoteDiag: s.remote.Diag,
	}
}

// finish is the end of every input. The periodic packet leaves only by an Advance,
// though it may be due: after a stall of the owner every packet that it finds in
// its socket is an input, with a time of its own in the past, and would bring one.
func (s *Session) finish(at time.Time, fx Effects, periodic bool) Effects {
	now := at.Sub(s.born)
	s.settle()
	s.pace(now)
	if fx.Final {
		s.told = s.current()
	}
	if s.early() || periodic && s.paced != 0 && now >= s.due {
		fx.Send = true
		s.transmit(now)
	}
	// §6.8.16: "transmitted for at least a Detection Time after transitioning to
	// AdminDown": the last packet leaves when it has passed, not before.
	if s.state == packet.AdminDown && now >= s.lastWord && (fx.Send || s.paced == 0) {
		s.stopped = true
	}
	fx.Next = s.born.Add(s.next())
	return fx
}

func (s *Session) next() time.Duration {
	next := s.forget
	if s.known() {
		next = min(next, s.heard+s.detection())
	}
	switch {
	case s.stopped:
	case s.paced != 0:
		next = min(next, s.due)
	case s.state == packet.AdminDown:
		next = min(next, s.lastWord)
	}
	return next
}
