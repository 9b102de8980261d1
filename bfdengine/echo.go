package bfdengine

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// There are two kinds of echo packets, both UDP to port 3785, addressed to their own
// sender. Ours are those of sessions with Key.Echo: they leave with TTL 255 and come
// back with 254. Those of peers come with 255 and are sent back, if their session
// says so. All of them come by a tap: one for IPv4 and one for IPv6, each open while
// a session needs it.

// An echo is what an entry has if it needs a tap.
type echo struct {
	refreshed time.Time // its link, if it is ours

	// Of a peer's.
	next     time.Time // if it kept to its interval; see pace
	looped   uint64
	kernel   bool // who forwards does so for echo packets too
	kernelAt time.Time
}

const refreshEvery = time.Second

// stale reports whether e's link must be refreshed though the session is up: the
// neighbor may have another hardware address by now, above all if a packet did not
// come back.
func (e *entry) stale(now time.Time) bool {
	if !e.spec.Echo {
		return false
	}
	v := e.session.View()
	if now.Sub(e.echo.refreshed) < refreshEvery && now.Sub(v.Heard) < v.TxInterval*3/2 {
		return false
	}
	e.echo.refreshed = now
	return true
}

// settleEcho opens the tap that e needs as s, and lets go of one that it no longer
// does.
func (w *worker) settleEcho(e *entry, s *Spec) error {
	need := s.Echo || s.RequiredMinEchoRx > 0
	switch {
	case need == (e.echo != nil):
		return nil
	case !need:
		w.releaseEcho(e)
		return nil
	}
	v4 := s.Peer.Is4()
	if w.taps.users[of(v4)] == 0 {
		if err := w.openTap(v4); err != nil {
			return fmt.Errorf("session %s: %w", s.Key, tapError(err))
		}
	}
	w.taps.users[of(v4)]++
	e.echo = &echo{}
	return nil
}

func (w *worker) releaseEcho(e *entry) {
	if e.echo == nil {
		return
	}
	e.echo = nil
	v4 := e.spec.Peer.Is4()
	if w.taps.users[of(v4)]--; w.taps.users[of(v4)] == 0 {
		w.closeTap(v4)
	}
}

// updateEcho has packets come from another source.
func (w *worker) updateEcho(e *entry, s *Spec) {
	if s.EchoSource != e.spec.EchoSource && e.link != nil {
		e.link.Close()
		e.link, e.spec.EchoSource = nil, s.EchoSource
		w.open(e, w.now)
	}
}

// echoed takes what came by a tap. Whoever is on the link can send it.
func (w *worker) echoed(d *sock.Datagram) {
	if d.Packet == nil {
		w.refuse(nil, packet.Truncated)
		return
	}
	if e := w.asksForEcho(d); e != nil {
		if reason := w.loop(e, d); reason != packet.None {
			w.refuse(e, reason)
		}
		return
	}
	c, e, reason := w.own(d)
	if reason != packet.None {
		w.refuse(e, reason)
		return
	}
	w.accept(e, d, &c)
}

// own finds the session of a packet that was ours when it left. While it names no
// Your Discriminator they are told apart "based on the source IP address or UDP
// source port" (RFC 9747 §2); but My Discriminator is ours too, and always there.
func (w *worker) own(d *sock.Datagram) (packet.Control, *entry, packet.Reason) {
	c, reason := packet.Parse(d.Payload)
	if reason != packet.None { // it never left here
		return c, nil, packet.EchoRefused
	}
	e := w.table.discriminator(c.MyDiscr)
	if e == nil || !e.spec.Echo || e.link == nil {
		return c, nil, packet.EchoRefused
	}
	local, err := e.link.Local()
	switch {
	// "Received packets MUST have a TTL or Hop Limit value of 254 …; otherwise, the
	// received packets MUST be dropped." (RFC 9747 §2)
	case d.TTL != 254:
		return c, e, packet.BadTTL
	case err != nil || d.Local != local.Addr() || d.PeerPort != local.Port():
		return c, e, packet.WrongAddress
	case d.Interface != e.ifindex:
		return c, e, packet.WrongInterface
	}
	return c, e, e.auth.Verify(d.Payload, c, d.At)
}

// taps are the sockets of echo, by family.
type taps struct {
	users  [2]int // entries with an echo
	tap    [2]*sock.Receiver
	lookup *sock.Lookup
}

func of(v4 bool) int {
	if v4 {
		return 0
	}
	return 1
}

// tables are the kernel's, opened for the first who asks.
func (w *worker) tables() (_ *sock.Lookup, err error) {
	if w.taps.lookup == nil {
		w.taps.lookup, err = sock.NewLookup()
	}
	return w.taps.lookup, err
}

func (w *worker) tapOpen(v4 bool) error {
	if _, err := w.tables(); err != nil {
		return err
	}
	r, err := sock.Tap(v4, packet.PortEcho)
	if err != nil {
		return err
	}
	w.taps.tap[of(v4)] = r
	w.receivers = append(w.receivers, r)
	w.waiter.Add(r)
	return nil
}

func (w *worker) tapClose(v4 bool) {
	r := w.taps.tap[of(v4)]
	w.taps.tap[of(v4)] = nil
	w.waiter.Drop(r)
	// Whoever reads the sockets now goes on with the list that he has.
	var others []*sock.Receiver
	for _, o := range w.receivers {
		if o != r {
			others = append(others, o)
		}
	}
	w.receivers = others
	r.Close()
}

func (w *worker) tapDial(p sock.Path, source netip.Addr) (link, int, error) {
	e, err := sock.DialEcho(p, source, w.taps.tap[of(p.Peer.Is4())], w.taps.lookup)
	if err != nil {
		return nil, 0, err
	}
	return e, e.Interface, nil
}

func (w *worker) tapBack(d *sock.Datagram) unix.Errno {
	return w.taps.tap[of(d.Local.Is4())].Back(d)
}

func (w *worker) tapForwards(ifindex int, v4 bool) bool {
	return w.taps.lookup.Forwards(ifindex, v4)
}

// TryEcho is nil if this process may have sessions with echo: else Add refuses
// them, and it says why.
func TryEcho() error {
	r, err := sock.Tap(true, packet.PortEcho)
	if err != nil {
		return tapError(err)
	}
	r.Close()
	return nil
}

func tapError(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("echo needs CAP_NET_RAW, to send and receive what is addressed to its own sender: %w", err)
	}
	return fmt.Errorf("echo: %w", err)
}
