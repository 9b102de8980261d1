package bfdengine

import (
	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// receive takes one datagram, and counts it if it is of no use. Whoever can send
// to our port can send anything: nothing here allocates, logs or takes long.
func (w *worker) receive(d *sock.Datagram) {
	w.stats.Received++
	if d.Port == packet.PortEcho {
		w.echoed(d)
		return
	}
	c, reason := w.check(d)
	if reason != packet.None {
		w.refuse(nil, reason)
		return
	}
	e, reason := w.demux(d, &c)
	if reason == packet.None {
		reason = w.admit(e, d, &c)
	}
	if reason != packet.None {
		w.refuse(e, reason)
		return
	}
	w.accept(e, d, &c)
}

// refuse counts a packet that is of no use, for e if that is known.
func (w *worker) refuse(e *entry, reason packet.Reason) {
	w.stats.Dropped[reason]++
	if e != nil {
		e.dropped++
		if reason >= packet.AuthUnexpected && reason <= packet.AuthBadDigest {
			e.unproven++
		}
	}
}

// accept hands a packet to its session.
func (w *worker) accept(e *entry, d *sock.Datagram, c *packet.Control) {
	v := e.session.View()
	switch v.State {
	case packet.Up:
		w.stats.Gaps.add(float64(d.At.Sub(v.Heard)) / float64(v.Detection))
	case packet.AdminDown:
		// It changes no state, which is what the operator wants to know. A poll
		// is answered all the same, see package session.
		w.refuse(e, packet.SessionDisabled)
	}
	e.grace = zeroTime
	w.apply(e, e.session.Receive(d.At, *c), d.At)
}

// check does what needs no session. "… all received BFD Control packets … MUST
// be discarded if the received TTL or Hop Limit is not equal to 255" (RFC 5881
// §5): first of all, so that nobody from afar reaches any state.
func (w *worker) check(d *sock.Datagram) (packet.Control, packet.Reason) {
	if d.Port == w.options.port && d.TTL != 255 {
		return packet.Control{}, packet.BadTTL
	}
	return packet.Parse(d.Payload)
}

// demux finds the packet's session. "If the Your Discriminator field is nonzero,
// it MUST be used to select the session … If no session is found, the packet MUST
// be discarded" (RFC 5880 §6.8.6): the address is no second way. But it must be
// the session's, which the RFC does not ask for: a system that changes its address
// or its link is on another path, and a discriminator that was guessed is not enough.
func (w *worker) demux(d *sock.Datagram, c *packet.Control) (*entry, packet.Reason) {
	multihop := d.Port != w.options.port
	if c.YourDiscr == 0 {
		return w.first(d, c, multihop)
	}
	e := w.table.discriminator(c.YourDiscr)
	if e == nil || e.spec.Multihop != multihop || e.spec.Echo {
		return nil, packet.UnknownDiscriminator
	}
	return e, w.accepts(e, d)
}

// first finds the session of a packet whose sender does not know our
// discriminator yet.
func (w *worker) first(d *sock.Datagram, c *packet.Control, multihop bool) (*entry, packet.Reason) {
	var best *entry
	why := packet.NoSession
	for e := w.table.peers[peerKey{addr: d.Peer, multihop: multihop}]; e != nil; e = e.same {
		switch r := w.accepts(e, d); {
		case r != packet.None:
			why = r
		case best == nil || e.exact() > best.exact():
			best = e
		}
	}
	if best != nil {
		return best, packet.None
	}
	if why == packet.NoSession && !multihop && c.State == packet.Down {
		return w.unsolicited(d, c)
	}
	return nil, why
}

// accepts says whether a packet that came as d may be e's. One by another interface
// may show that e's was made anew, under its old name: a session that is passive, and
// waits for its peer, would hear of that nowhere else.
func (w *worker) accepts(e *entry, d *sock.Datagram) packet.Reason {
	reason := e.accepts(d)
	if reason == packet.WrongInterface && e.link != nil && !w.current(e) {
		w.broke(e, d.At, unix.ENODEV)
	}
	return reason
}

// admit does the checks that are the session's own.
func (w *worker) admit(e *entry, d *sock.Datagram, c *packet.Control) packet.Reason {
	if e.spec.Multihop && d.TTL < int(e.spec.MinTTL) {
		return packet.BadTTL
	}
	return e.auth.Verify(d.Payload, *c, d.At)
}
