package bfdengine

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

var errUnsigned = errors.New("no key may be sent now")

// An outgoing packet waits for the end of a step.
type outgoing struct {
	e   *entry
	due time.Time // when it should leave
	up  bool      // so says the packet
	n   int
	b   [packet.MaxLen]byte
}

// apply does what a session asks for.
func (w *worker) apply(e *entry, fx session.Effects, due time.Time) {
	if fx.Forget {
		e.auth.Forget()
	}
	if fx.Final {
		w.emit(e, true, due)
	}
	if fx.Send {
		w.emit(e, false, due)
	}
	next := fx.Next
	if !e.leaveBy.IsZero() && e.leaveBy.Before(next) {
		next = e.leaveBy
	}
	w.wheel.Set(e.slot, next)
	if fx.Event.From != fx.Event.To {
		w.changed(e, fx.Event)
	}
	if e.life == leaving && e.session.Stopped() {
		w.dismiss(e)
	}
}

// changed notes a transition; publish tells of it.
func (w *worker) changed(e *entry, event session.Event) {
	if e.history == nil {
		e.history = &history{key: e.spec.Key, discr: e.discr}
	}
	w.hub.pending = append(w.hub.pending, transition{of: e.history, Event: event})
	w.settleUnsolicited(e, event.To)
}

// emit makes a packet ready to leave at the end of the step.
func (w *worker) emit(e *entry, final bool, due time.Time) {
	c := e.session.Packet(final)
	if len(w.out) < cap(w.out) {
		w.out = w.out[:len(w.out)+1]
	} else {
		w.out = append(w.out, outgoing{})
	}
	o := &w.out[len(w.out)-1]
	o.e, o.due, o.up = e, due, c.State == packet.Up
	b, ok := e.auth.Sign(c.Append(o.b[:0]), w.now)
	if !ok {
		w.stats.Unsigned++
		e.unsent++
		if e.link != nil { // else that is why
			e.problem = errUnsigned
		}
		w.out = w.out[:len(w.out)-1]
		return
	}
	o.n = len(b)
}

// flush sends what is ready. The clock is read once for a few packets: what is
// measured is lateness of a tenth of a millisecond and more.
func (w *worker) flush() {
	const perClock = 16
	var now time.Time
	for i := range w.out {
		if i%perClock == 0 {
			now = w.clock()
		}
		o := &w.out[i]
		w.send(o, now)
		o.e = nil
	}
	w.out = w.out[:0]
	for _, e := range w.dismissed {
		w.remove(e)
	}
	w.dismissed = w.dismissed[:0]
}

func (w *worker) send(o *outgoing, now time.Time) {
	e := o.e
	if e.link == nil {
		e.unsent++
		return
	}
	if !o.up || e.stale(now) {
		e.link.Refresh() // then they are few, and may be lost for want of it
	}
	errno := e.link.Send(o.b[:o.n])
	if errno == 0 {
		w.stats.Sent++
		e.sent++
		e.problem, e.backoff = nil, 0
		w.stats.SendLateness.add(now.Sub(o.due).Seconds())
		return
	}
	// None of these says that the peer is gone: detection decides that.
	w.stats.sendError(errno)
	e.unsent++
	e.problem = errno
	if w.lost(e, errno) {
		w.broke(e, now, errno)
	}
}

// lost reports whether e's socket is of no use any more: its address has gone, or
// its interface has, perhaps to come back as another one of the same name.
func (w *worker) lost(e *entry, errno unix.Errno) bool {
	switch errno {
	case unix.EADDRNOTAVAIL, unix.EINVAL, unix.ENODEV, unix.ENXIO:
		return true
	}
	return e.spec.Interface != "" && !w.current(e)
}

// current reports whether e's interface is still the one of its name.
func (w *worker) current(e *entry) bool {
	name, err := w.interfaceName(e.ifindex)
	return err == nil && name == e.spec.Interface
}

// open opens e's link, or says in e when to try again.
func (w *worker) open(e *entry, now time.Time) {
	const tries = 4 // the range is also that of other programs' short-lived sockets
	dial := w.dial
	if e.spec.Echo {
		dial = func(p sock.Path) (link, int, error) { return w.dialEcho(p, e.spec.EchoSource) }
	}
	l, index, err := dial(e.path())
	for i := 1; i < tries && errors.Is(err, unix.EADDRINUSE); i++ {
		w.table.rebind(e)
		l, index, err = dial(e.path())
	}
	if err == nil {
		e.link, e.ifindex, e.problem = l, index, nil
		return
	}
	if e.spec.Interface != "" {
		e.ifindex = -1
	}
	w.broke(e, now, err)
}

const (
	repairEvery  = 50 * time.Millisecond
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// broke closes e's link and has repair open it again later.
func (w *worker) broke(e *entry, now time.Time, why error) {
	if e.link != nil {
		e.link.Close()
		e.link = nil
	}
	e.problem = why
	e.backoff = min(max(2*e.backoff, firstBackoff), lastBackoff)
	e.retry = now.Add(e.backoff)
	if !e.broken {
		e.broken = true
		w.broken = append(w.broken, e)
	}
}

// repair tries again what could not be opened, a few at a time, so that packets
// need not wait for long.
func (w *worker) repair(now time.Time) {
	const most = 16
	if len(w.broken) == 0 || now.Before(w.repairAt) {
		return
	}
	w.repairAt = now.Add(repairEvery)
	tried := 0
	w.broken = slices.DeleteFunc(w.broken, func(e *entry) bool {
		if !e.closed && tried < most && !now.Before(e.retry) {
			tried++
			w.open(e, now)
		}
		e.broken = !e.closed && e.link == nil
		return !e.broken
	})
}
