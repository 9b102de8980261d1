package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T74 A socket that can't be read is counted at each try, and tried again at a pace:
// the kernel says at once, and for ever, that there is something to read. Sessions
// fail by their detection time, as by any silence, and not before.
func TestASocketThatCanNotBeReadIsNotSpunOn(t *testing.T) {
	r := newRig(t, Options{})
	s := hundred("192.0.2.2")
	s.RequiredMinRx = time.Hour // of real time, of which little passes
	e := r.want(s)
	r.up(e)
	broken, err := sock.Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	waiter, err := sock.NewWaiter([]*sock.Receiver{broken})
	if err != nil {
		t.Fatal(err)
	}
	name := r.interfaceName
	r.use([]*sock.Receiver{broken}, waiter)
	r.interfaceName = name
	defer waiter.Close()
	broken.Close() // behind its back

	const turns = 20
	began := time.Now()
	for range turns {
		r.turn()
		r.pause()
	}
	if took := time.Since(began); took < turns*defaultWindow {
		t.Errorf("%d turns took %v: it spins", turns, took)
	}
	if n := r.stats.stats().ReceiveErrors; n != turns {
		t.Errorf("%d errors counted in %d turns", n, turns)
	}
	r.wantState(e, packet.Up)
	if c := r.changes(); len(c) > 0 {
		t.Errorf("%+v", c)
	}
	r.clock = r.clock.Add(3*time.Hour + time.Second)
	r.last = r.clock // no stall
	r.turn()
	r.wantState(e, packet.Down)
}

// T74 Whatever the kernel says to a packet, also that a signal came in between: the
// packet counts as unsent, the next is the next that is due, and the session stays.
func TestAnInterruptedSendIsOnePacketLess(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	r.up(e)
	link := r.tapped(e)
	link.errno = unix.EINTR
	for range 100 {
		r.pass(80 * time.Millisecond)
		r.receiveAll(r.from(e, packet.Up))
	}
	r.wantState(e, packet.Up)
	tries := len(link.take())
	s := e.snapshot()
	if most := int(8 * time.Second / (75 * time.Millisecond)); tries < 80 || tries > most {
		t.Errorf("%d tries in 8 s", tries)
	}
	if int(s.Unsent) != tries || r.stats.stats().SendErrors["other"] != s.Unsent || s.Problem != unix.EINTR.Error() {
		t.Errorf("%d tries, %d unsent, %v, %q", tries, s.Unsent, r.stats.stats().SendErrors, s.Problem)
	}
	if len(r.broken) > 0 || link.closed {
		t.Error("this does not ask for another socket")
	}
}
