// Package uplink decides what BFD's word on a router means for the BGP session
// with it and for our VIPs (RFC 5882). It runs no session and calls no speaker:
// it is told what they say, and says what is wanted.
//
// What is wanted follows from a failure, and a failure from one fact only: a
// session went from Up to Down, and not because either side is AdminDown. A
// session that is coming up has nothing to say about the path (§3.3), nor has
// one that was taken down on purpose (§3.2, §4.2). A failure acts at once and
// lasts until the session is up again and stayed so for the hold-up, which
// grows with each flap, or until it is void, because
//
//   - one side is AdminDown: then a BGP session MUST be allowed (§4.1);
//   - the session is up again before anything was done about the failure;
//   - a BGP session was established after the failure, before anything was done
//     about it. It is another session than the one that the failure was about,
//     and it came up over the path as it is now: without strict mode BGP need
//     not wait for BFD (§4.1).
//
// Once a failure was acted on, a BGP session that is there nevertheless proves
// nothing but that the speaker was restarted: then it is shut down again.
//
// A neighbor that a former life of vipd disabled begins with a failure, since
// its session begins with Down and would never report one.
package uplink

import (
	"fmt"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A Reaction is what a failure does to its neighbor; each counts as an uplink.
type Reaction uint8

// Nothing but to count, no BGP session, no routes.
const (
	Ignore Reaction = iota
	Disable
	Withdraw
)

// Config is how a neighbor follows its session.
type Config struct {
	Session string // tells it from others with the neighbor
	OnDown  Reaction
	// HoldUp is how long a session must be up again until the neighbor is used.
	// Each flap doubles it, up to HoldUpMax.
	HoldUp, HoldUpMax time.Duration
	// Strict is for how long at most the neighbor is disabled until its session
	// is up for the first time; 0: it is not.
	Strict time.Duration
}

// A Change is one transition of a session.
type Change struct {
	Life        uint32 // tells one session with the neighbor from the next
	Seq, Missed uint64 // counts the life's transitions from 1; those lost before this
	From, To    packet.State
	Diag        packet.Diag
	RemoteAdmin bool // Down because the peer is AdminDown
	At          time.Time
}

// A Peer is a session as it is, with what it knows of the other side.
type Peer struct {
	Life  uint32
	Seq   uint64 // of its last transition
	Up    bool
	Since time.Time // of its last transition
	Heard bool      // the peer sends packets
	Admin bool      // they say AdminDown
}

// A BGP is the speaker's view of the neighbor.
type BGP struct {
	Established bool
	Since       time.Time // of Established
	Held        bool      // what the Verdict wants is in force
}

// A Verdict is what is wanted for a neighbor.
type Verdict struct {
	Disable bool
	// SpareAfter exempts a BGP session that was established later from Disable;
	// the zero value exempts none.
	SpareAfter time.Time
	Withhold   bool   // of our routes
	Reason     string // of either
	Alive      bool   // as an uplink: no failure is known
}

// introduction is how long an unknown peer gets to show that it wants BFD:
// three times the interval that a session sends in until it is up, or more
// often (RFC 5880 §6.8.3).
const introduction = 3 * time.Second

// anySession as a SpareAfter spares every established session.
func anySession() time.Time { return time.Unix(0, 0) }

// A neighbor is what is known of one. Make it with newNeighbor.
type neighbor struct {
	cfg          Config
	life, former uint32
	seq          uint64
	state        packet.State
	born         time.Time // of the session; zero, so long ago, once it was up
	heard, admin bool      // the peer wants BFD; it said AdminDown last
	failure      failure
	damping      damping
}

// A failure is a session's way from Up to Down. The zero value is none.
type failure struct {
	on       bool
	why      string
	since    time.Time // zero: in a former life
	acted    bool      // the speaker did what was wanted
	upAgain  time.Time // zero: not yet
	restored bool      // upAgain is set
}

// newNeighbor begins with a session that is Down. With remembered, a former
// life disabled the neighbor.
func newNeighbor(cfg Config, remembered bool, now time.Time) neighbor {
	n := neighbor{cfg: cfg, state: packet.Down, born: now}
	if remembered && cfg.OnDown == Disable {
		n.failure = failure{on: true, why: "BFD session down before vipd started"}
	}
	return n
}

// Change takes in a transition. Those of a session come in order; what is told
// twice counts once.
func (n *neighbor) Change(c Change) {
	from, news := n.follow(c)
	if !news {
		return
	}
	n.settle(c.At)
	n.state = c.To
	switch {
	case c.To == packet.AdminDown:
		// "a system SHOULD NOT indicate a connectivity failure to a client if
		// either the local session state or the remote session state (if known)
		// transitions to AdminDown" (RFC 5882 §3.2)
		n.failure = failure{}
	case c.RemoteAdmin:
		n.admin, n.heard = true, true
		n.failure = failure{}
	case c.To == packet.Up:
		n.up(c.At)
	case from == packet.Up:
		n.fail(c)
	}
}

// follow keeps account of lives and numbers, and tells what the session was
// before c, as far as that matters.
func (n *neighbor) follow(c Change) (from packet.State, news bool) {
	switch {
	case c.Life == n.former && n.former != n.life:
		return 0, false // the session that this one took the place of
	case c.Life != n.life:
		n.begin(c.Life, c.At)
	case c.Seq <= n.seq:
		return 0, false
	}
	from = c.From
	if c.Missed > 0 && n.state == packet.Up {
		// It was up and went down unseen. Whether it came up since is what c
		// tells.
		from = packet.Up
	}
	n.seq = c.Seq
	return from, true
}

// begin follows another session with the neighbor. That the last one is gone is
// no failure: "The BFD state machine transitions that occur in the process of
// bringing up a BFD session in such situations SHOULD NOT cause a connectivity
// failure notification to the clients" (RFC 5882 §3.3). Nor is it a recovery.
func (n *neighbor) begin(life uint32, at time.Time) {
	if n.life != 0 {
		n.born = at
	}
	n.former, n.life, n.seq = n.life, life, 0
	n.state, n.heard, n.admin = packet.Down, false, false
	n.failure.restored = false
}

// Configure changes how the neighbor follows its session, and perhaps which:
// whatever comes later is the new one's.
func (n *neighbor) Configure(cfg Config, now time.Time) {
	if cfg.Session != n.cfg.Session {
		n.begin(0, now)
		n.former = 0
	}
	n.cfg = cfg
}

func (n *neighbor) up(at time.Time) {
	n.heard, n.admin, n.born = true, false, time.Time{}
	f := &n.failure
	switch {
	case !f.on:
	case !f.acted && n.cfg.OnDown != Ignore && !f.since.IsZero():
		n.failure = failure{} // nothing was done yet: what is up is not shut down
	default:
		f.upAgain, f.restored = at, true
	}
}

func (n *neighbor) fail(c Change) {
	n.damping.flap(c.At, n.cfg)
	n.failure = failure{
		on: true, since: c.At, acted: n.failure.acted,
		why: "BFD session down: " + c.Diag.String(),
	}
}

// settle ends a failure whose hold-up is over.
func (n *neighbor) settle(now time.Time) {
	if !n.failing(now) {
		n.failure = failure{}
	}
}

func (n *neighbor) failing(now time.Time) bool {
	return n.failure.on && (!n.failure.restored || now.Before(n.release()))
}

// release is when the hold-up ends.
func (n *neighbor) release() time.Time { return n.failure.upAgain.Add(n.damping.hold(n.cfg)) }

// Peer takes in what a session knows of the other side, which is more than its
// transitions tell, and those that came before the neighbor was followed.
func (n *neighbor) Peer(p Peer) {
	if n.life == 0 {
		n.life = p.Life
	}
	if p.Life == n.life && n.seq == 0 && p.Up {
		// It was there for somebody else before. What it did until it came up is
		// over, so nothing that is still to be told of that matters.
		n.seq, n.state = p.Seq, packet.Up
		n.up(p.Since)
	}
	if p.Life != n.life || !p.Heard {
		return // one that is silent has not changed its mind
	}
	n.heard, n.admin = true, p.Admin
	if p.Admin {
		n.failure = failure{}
	}
}

// Speaker takes in the speaker's view. One whose clock was set back shows a
// session of times to come, which may well be the one that the failure is about.
func (n *neighbor) Speaker(b BGP, now time.Time) {
	f := &n.failure
	switch {
	case !f.on:
	case b.Held:
		f.acted = true
	case f.acted || !b.Established:
	case f.since.IsZero(), b.Since.After(f.since) && !b.Since.After(now):
		n.failure = failure{}
	}
}

// Asking reports whether there is more to know of the session than its
// transitions tell: one that is up, and was seen to come up, has told all.
func (n *neighbor) Asking() bool { return n.state != packet.Up }

func (n *neighbor) spareAfter() time.Time {
	switch {
	case n.failure.acted:
		return time.Time{}
	case n.failure.since.IsZero():
		return anySession()
	}
	return n.failure.since
}

// Verdict tells what is wanted now, and when that could change without another
// input; zero: never.
func (n *neighbor) Verdict(now time.Time) (v Verdict, next time.Time) {
	if n.failing(now) {
		v = Verdict{Disable: n.cfg.OnDown == Disable, Withhold: n.cfg.OnDown == Withdraw, Reason: n.failure.why}
		if v.Disable {
			v.SpareAfter = n.spareAfter()
		}
		if n.failure.restored {
			next = n.release()
			v.Reason = fmt.Sprintf("BFD session up again, held until %s", instant(next))
		}
		return v, next
	}
	v.Alive = true
	if end := n.strictUntil(); now.Before(end) {
		v.Disable, v.SpareAfter = true, anySession()
		v.Reason = fmt.Sprintf("BFD session not up yet, waiting until %s", instant(end))
		next = end
	}
	return v, next
}

// strictUntil is when a neighbor whose session was never up is given up waiting
// for; zero: it is not waited for. An established BGP session is spared.
//
// "If the session state on either the local or remote system (if known) is
// AdminDown, BFD has been administratively disabled, and the establishment of a
// control protocol adjacency MUST be allowed" (RFC 5882 §4.1). It SHOULD be
// blocked if both systems are willing and the session does not come up, and
// SHOULD NOT be if it appears that the other one does not do BFD.
func (n *neighbor) strictUntil() time.Time {
	switch {
	case n.cfg.Strict == 0, n.state == packet.AdminDown, n.admin:
		return time.Time{}
	case n.heard:
		return n.born.Add(n.cfg.Strict)
	}
	return n.born.Add(min(n.cfg.Strict, introduction))
}

// instant names a time in a reason: the end and not what is left, so that the
// reason is the same until something happens.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
