package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A looper is a session that sends echo packets back, each 50 ms.
func newLooper(t *testing.T) (*echoRig, *entry) {
	t.Helper()
	r := newEchoRig(t)
	s := hundred("192.0.2.2")
	s.Interface, s.RequiredMinEchoRx = "eth0", 50*time.Millisecond
	e := r.want(s)
	r.up(e)
	return r, e
}

// theirs is an echo packet of a peer: what is in it is the peer's matter.
func (r *echoRig) theirs(edits ...func(*sock.Datagram)) sock.Datagram {
	b := make([]byte, 20+8+12)
	b[0], b[8] = 0x45, 255
	peer := netip.MustParseAddr("192.0.2.2")
	d := sock.Datagram{
		Peer: peer, Local: peer, Interface: 2, TTL: 255, Port: packet.PortEcho, PeerPort: packet.PortEcho,
		At: r.clock, Payload: b[28:], Packet: b,
	}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

// "… a system may advertise that it is willing to receive (and loop back) Echo
// packets" (RFC 5880 §6.4): who says so does it.
func TestPeersEchoIsSentBack(t *testing.T) {
	r, e := newLooper(t)
	r.pass(time.Second / 10)
	for _, p := range r.take() {
		if p.RequiredMinEchoRx != 50*time.Millisecond {
			t.Errorf("tells the peer %v", p.RequiredMinEchoRx)
		}
	}
	r.step(r.clock, []sock.Datagram{r.theirs()})
	if len(r.back) != 1 || r.back[0].Packet[8] != 254 {
		t.Fatalf("sent back: %+v", r.back)
	}
	if s := e.snapshot(); s.Looped != 1 || s.Received != 1 {
		t.Errorf("%d looped, %d of a session received", s.Looped, s.Received)
	}
	r.wantDrops(nil)
}

func TestNobodyElsesEchoIsSentBack(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.3")
	for _, tt := range []struct {
		name string
		edit func(*sock.Datagram)
		want packet.Reason
	}{
		{"of a session that is not asked for echo", func(d *sock.Datagram) { d.Peer, d.Local = other, other }, packet.EchoRefused},
		{"of a stranger", func(d *sock.Datagram) { d.Local = netip.MustParseAddr("198.51.100.1") }, packet.EchoRefused},
		{"from another link", func(d *sock.Datagram) { d.Interface = 3 }, packet.EchoRefused},
		{"from afar", func(d *sock.Datagram) { d.TTL = 254 }, packet.BadTTL},
	} {
		r, _ := newLooper(t)
		r.want(hundred(other.String()))
		r.step(r.clock, []sock.Datagram{r.theirs(tt.edit)})
		if len(r.back) > 0 {
			t.Errorf("%s: sent back", tt.name)
		}
		r.wantDrops(map[packet.Reason]uint64{tt.want: 1})
		r.take()
	}
}

// "BFD Echo packets MUST NOT be transmitted when bfd.SessionState is not Up." (RFC
// 5880 §6.8.9)
func TestEchoOfASessionThatIsDownIsNotSentBack(t *testing.T) {
	r, e := newLooper(t)
	r.pass(time.Second)
	r.wantState(e, packet.Down)
	r.step(r.clock, []sock.Datagram{r.theirs()})
	if len(r.back) > 0 {
		t.Error("sent back")
	}
	r.wantDrops(map[packet.Reason]uint64{packet.EchoRefused: 1})
	r.take()
}

// "The interval between transmitted BFD Echo packets MUST NOT be less than the value
// advertised" (RFC 5880 §6.8.9), jitter and single packets aside.
func TestEchoIsSentBackNoFasterThanPromised(t *testing.T) {
	r, e := newLooper(t)
	flood := func(d, gap time.Duration) (n int) {
		r.back = nil
		for end := r.clock.Add(d); r.clock.Before(end); r.clock = r.clock.Add(gap) {
			r.step(r.clock, []sock.Datagram{r.theirs()})
			r.receiveAll(r.from(e, packet.Up))
		}
		return len(r.back)
	}
	// As the RFC allows: jitter takes a quarter.
	if n := flood(10*time.Second, 38*time.Millisecond); n != 264 {
		t.Errorf("%d of 264 sent back", n)
	}
	if n := flood(10*time.Second, time.Millisecond); n < 400 || n > 417 {
		t.Errorf("%d of 10000 sent back, want 400 and a few", n)
	}
	r.wantDrops(map[packet.Reason]uint64{packet.EchoTooFast: 10000 - uint64(len(r.back))})
	r.take()
}

// A peer that gets two for one could not tell a link that repeats packets.
func TestWhatTheKernelForwardsIsNotSentTwice(t *testing.T) {
	r, _ := newLooper(t)
	r.routed = true
	r.step(r.clock, []sock.Datagram{r.theirs()})
	if len(r.back) > 0 {
		t.Error("sent back")
	}
	r.routed = false
	r.clock = r.clock.Add(time.Second)
	r.step(r.clock, nil)
	r.take()
}

func TestEchoThatCantBeSentBackIsCounted(t *testing.T) {
	r, e := newLooper(t)
	r.errno = unix.ENETDOWN
	r.step(r.clock, []sock.Datagram{r.theirs()})
	if r.stats.stats().SendErrors[unix.ENETDOWN.Error()] != 1 || e.unsent != 1 || e.echo.looped != 0 {
		t.Errorf("%v", r.stats.stats().SendErrors)
	}
	r.wantState(e, packet.Up)
	r.take()
}
