package bfdengine

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// asksForEcho finds the session whose peer sends itself a packet by way of us, if
// we told it that it may.
func (w *worker) asksForEcho(d *sock.Datagram) *entry {
	for e := w.table.peers[peerKey{addr: d.Local}]; e != nil; e = e.same {
		if e.spec.RequiredMinEchoRx > 0 && (e.ifindex == 0 || d.Interface == e.ifindex) {
			return e
		}
	}
	return nil
}

// loop sends a peer's echo packet back to where it came from. Nobody else is served,
// nobody from afar, and nobody gets more than he was promised: what we send to
// others at their request must be of no use for an attack.
func (w *worker) loop(e *entry, d *sock.Datagram) packet.Reason {
	switch {
	// "BFD Echo packets MUST NOT be transmitted when bfd.SessionState is not Up"
	// (RFC 5880 §6.8.9). The peer may be Up a little earlier than we are.
	case e.session.View().State < packet.Init || e.life != stays:
		return packet.EchoRefused
	case d.TTL != 255:
		return packet.BadTTL
	case !e.echo.pace(d.At, e.spec.RequiredMinEchoRx):
		return packet.EchoTooFast
	}
	if w.kernelLoops(e, d) {
		return packet.None
	}
	d.Hop()
	if errno := w.sendBack(d); errno != 0 {
		w.stats.sendError(errno)
		e.unsent++
		return packet.None
	}
	w.stats.Sent++
	e.echo.looped++
	return packet.None
}

// pace reports whether a packet may be looped: twice as many as the peer was told,
// and some at once, since a link may hold packets back for a while.
func (e *echo) pace(at time.Time, interval time.Duration) bool {
	const burst = 16
	least := interval / 2
	if begin := at.Add(-burst * least); e.next.Before(begin) {
		e.next = begin
	}
	if e.next.After(at) {
		return false
	}
	e.next = e.next.Add(least)
	return true
}

// kernelLoops reports whether the kernel sends the packet back: it does if it
// forwards, and then the peer would get two.
func (w *worker) kernelLoops(e *entry, d *sock.Datagram) bool {
	const every = time.Second
	if !e.echo.kernelAt.IsZero() && d.At.Sub(e.echo.kernelAt) < every {
		return e.echo.kernel
	}
	e.echo.kernelAt, e.echo.kernel = d.At, w.forwards(d.Interface, d.Local.Is4())
	return e.echo.kernel
}
