package bfdengine

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T68, all but what is on the wire, for which see TestEchoThroughANeighbor.
func TestEchoComesUpByItsOwnPackets(t *testing.T) {
	r := newEchoRig(t)
	e := r.want(echoSpec("192.0.2.2"))
	r.pass(20 * time.Second)
	sent := r.take()
	if len(sent) < 15 {
		t.Fatalf("%d packets in 20 s", len(sent))
	}
	for i, p := range sent {
		if p.State != packet.Down || i > 0 && p.at.Sub(sent[i-1].at) < time.Second {
			t.Errorf("packet %d: %s, %v after the one before", i, p.State, p.at.Sub(sent[max(i, 1)-1].at))
		}
		if p.by.path.Port != packet.PortEcho || p.by.path.SourcePort != e.port {
			t.Errorf("packet %d: ports %+v", i, p.by.path)
		}
	}
	r.away = nil
	r.reflect(e, 4*time.Second)
	r.wantState(e, packet.Up)
	r.take()
	r.reflect(e, 10*time.Second)
	if n := len(r.take()); n < 100 || n > 134 {
		t.Errorf("%d packets in 10 s of 100 ms", n)
	}
	r.away = nil
	r.pass(300 * time.Millisecond)
	r.wantState(e, packet.Down)
	if v := e.session.View(); v.Diag != packet.EchoFunctionFailed {
		t.Errorf("because of %s", v.Diag)
	}
	r.take()
	r.wantDrops(nil)
}

// "Received packets MUST have a TTL or Hop Limit value of 254 …; otherwise, the
// received packets MUST be dropped." (RFC 9747 §2) And whatever else is not a packet
// that left here, after the last one that came back.
func TestOnlyOurOwnPacketsAreEcho(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*sock.Datagram)
		want packet.Reason
	}{
		{"never forwarded", func(d *sock.Datagram) { d.TTL = 255 }, packet.BadTTL},
		{"forwarded twice", func(d *sock.Datagram) { d.TTL = 253 }, packet.BadTTL},
		{"to another address", func(d *sock.Datagram) { d.Local = netip.MustParseAddr("192.0.2.7") }, packet.WrongAddress},
		{"from another port", func(d *sock.Datagram) { d.PeerPort++ }, packet.WrongAddress},
		{"by another link", func(d *sock.Datagram) { d.Interface = 3 }, packet.WrongInterface},
		{"of another session", func(d *sock.Datagram) { d.Payload[7]++ }, packet.EchoRefused},
		{"another state", func(d *sock.Datagram) { d.Payload[1] ^= 0x40 }, packet.AuthBadDigest},
		{"without authentication", func(d *sock.Datagram) {
			d.Payload[1] &^= 4
			d.Payload[3], d.Payload = packet.Len, d.Payload[:packet.Len]
		}, packet.AuthMissing},
		{"cut", func(d *sock.Datagram) { d.Payload = d.Payload[:20] }, packet.EchoRefused},
		{"no datagram at all", func(d *sock.Datagram) { d.Payload, d.Packet = nil, nil }, packet.Truncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newEchoRig(t)
			e := r.upEcho("192.0.2.2")
			n := 0
			for last := e.session.View().Heard; r.clock.Before(last.Add(290 * time.Millisecond)); {
				r.pass(10 * time.Millisecond)
				for _, b := range r.away {
					d := r.returned(e, b)
					tt.edit(&d)
					r.step(r.clock, []sock.Datagram{d})
					n++
				}
				r.away = nil
			}
			r.wantState(e, packet.Up)
			r.wantDrops(map[packet.Reason]uint64{tt.want: uint64(n)})
			r.pass(10 * time.Millisecond)
			r.wantState(e, packet.Down)
			r.take()
			if n == 0 {
				t.Error("nothing left")
			}
		})
	}
}

func TestEchoCantBeReplayed(t *testing.T) {
	r := newEchoRig(t)
	e := r.want(echoSpec("192.0.2.2"))
	var recorded []sock.Datagram
	for range 300 {
		r.pass(10 * time.Millisecond)
		for _, b := range r.away {
			recorded = append(recorded, r.returned(e, b))
			r.step(r.clock, recorded[len(recorded)-1:])
		}
		r.away = nil
	}
	r.wantState(e, packet.Up)
	r.pass(time.Minute) // far beyond what a peer's sequence number is remembered
	r.wantState(e, packet.Down)
	r.step(r.clock, recorded)
	r.wantState(e, packet.Down)
	r.wantDrops(map[packet.Reason]uint64{packet.AuthBadSequence: uint64(len(recorded))})
	r.take()
}

// The discriminator is no secret: port 3784 is another door.
func TestControlPacketsReachNoEchoSession(t *testing.T) {
	r := newEchoRig(t)
	e := r.upEcho("192.0.2.2")
	r.receiveAll(r.from(e, packet.Down))
	r.wantState(e, packet.Up)
	r.wantDrops(map[packet.Reason]uint64{packet.UnknownDiscriminator: 1})
	r.take()
}

// Packets that we send late come back late. T33's rule holds for echo too.
func TestOurOwnStallIsNoLostEcho(t *testing.T) {
	r := newEchoRig(t)
	e := r.upEcho("192.0.2.2")
	r.away = nil
	r.clock = r.clock.Add(time.Second)
	r.stall = time.Second
	r.step(r.clock, nil)
	r.stall = 0
	r.wantState(e, packet.Up)
	if len(r.away) != 1 {
		t.Fatalf("%d packets left", len(r.away))
	}
	r.reflect(e, 5*time.Second)
	r.wantState(e, packet.Up)
	if len(r.changes()) > 0 {
		t.Error("it changed")
	}
	r.take()
}

// "Consequently, the AdminDown state is not utilized" (RFC 9747 §2).
func TestARemovedEchoSessionSaysNothing(t *testing.T) {
	r := newEchoRig(t)
	e := r.upEcho("192.0.2.2")
	r.leave(e, r.clock)
	r.flush()
	if r.table.len() != 0 || !e.closed || len(r.take()) > 0 {
		t.Error("it is still there, or said something")
	}
	if err := new(Engine).SetAdmin(t.Context(), e.spec.Key, true, packet.AdministrativelyDown); err == nil || !strings.Contains(err.Error(), "remove the session") {
		t.Errorf("AdminDown: %v", err)
	}
}

func TestTapsAreOpenWhileTheyAreNeeded(t *testing.T) {
	r := newEchoRig(t)
	wantOpen := func(want ...string) {
		t.Helper()
		if !slices.Equal(r.open, want) {
			t.Errorf("%q, want %q", r.open, want)
		}
		r.open = nil
	}
	remove := func(e *entry) {
		r.dismiss(e)
		r.flush()
	}
	plain := r.want(hundred("192.0.2.9"))
	wantOpen()
	a, b := r.want(echoSpec("192.0.2.2")), r.want(echoSpec("192.0.2.3"))
	wantOpen("open 4")
	c := r.want(echoSpec("2001:db8::2"))
	wantOpen("open 6")
	remove(a)
	remove(c)
	wantOpen("close 6")
	asks := plain.spec
	asks.RequiredMinEchoRx = 50 * time.Millisecond
	for range 2 {
		if err := r.update(asks); err != nil {
			t.Fatal(err)
		}
	}
	remove(b)
	wantOpen()
	asks.RequiredMinEchoRx = 0
	if err := r.update(asks); err != nil {
		t.Fatal(err)
	}
	wantOpen("close 4")
	r.take()
}

func TestEchoWithoutItsCapabilityLeavesNothingBehind(t *testing.T) {
	r := newEchoRig(t)
	r.refuse = unix.EPERM
	plain := r.want(hundred("192.0.2.9"))
	loop := hundred("192.0.2.8")
	loop.RequiredMinEchoRx = 50 * time.Millisecond
	for _, s := range []Spec{echoSpec("192.0.2.2"), loop} {
		s, _ := s.normal()
		if err := r.add(s); err == nil || !strings.Contains(err.Error(), "echo needs CAP_NET_RAW") {
			t.Errorf("%s: %v", s.Key, err)
		}
	}
	changed := plain.spec
	changed.RequiredMinEchoRx, changed.DetectMult = 50*time.Millisecond, 9
	if err := r.update(changed); err == nil || !strings.Contains(err.Error(), "echo needs CAP_NET_RAW") {
		t.Errorf("update: %v", err)
	}
	if r.table.len() != 1 || plain.spec.DetectMult != 3 || r.taps.users != [2]int{} {
		t.Errorf("left behind: %d sessions, users %d", r.table.len(), r.taps.users)
	}
	r.take()
}

// T78 "… the Echo function MUST NOT be used over multiple hops." (RFC 5883 §3)
func TestEchoIsForNeighbors(t *testing.T) {
	const hops = "echo is for neighbors: over several hops the first would send the packets back (RFC 5883 §3)"
	for _, tt := range []struct {
		edit func(*Spec)
		want string
	}{
		{func(s *Spec) { s.Multihop = true }, "session 192.0.2.2 (multihop) (echo): " + hops},
		{func(s *Spec) { s.Multihop, s.Echo, s.RequiredMinEchoRx = true, false, time.Second }, "session 192.0.2.2 (multihop): " + hops},
		{func(s *Spec) { s.Passive = true }, "session 192.0.2.2 (echo): an echo session begins by itself: there is no peer that could (must not be passive)"},
		{func(s *Spec) { s.RequiredMinEchoRx = time.Second }, "session 192.0.2.2 (echo): a neighbor without BFD sends no echo packets to send back (leave its interval out)"},
		{func(s *Spec) { s.Echo, s.RequiredMinEchoRx = false, time.Millisecond }, "session 192.0.2.2: echo interval 1ms (must be 10ms to 1h11m0s, or 0 for none)"},
		{func(s *Spec) { s.Auth = Auth{packet.KeyedSHA1, []packet.Key{{ID: 1, Secret: []byte("x")}}} }, "session 192.0.2.2 (echo): an echo session has a key of its own, which nobody else needs (must have no authentication)"},
		{func(s *Spec) { s.EchoSource = netip.MustParseAddr("2001:db8::1") }, "session 192.0.2.2 (echo): echo source 2001:db8::1 (must be an address of this system, of the peer's family and not link-local)"},
		{func(s *Spec) { s.Echo, s.EchoSource = false, netip.MustParseAddr("192.0.2.7") }, "session 192.0.2.2: an echo source without echo"},
		{func(s *Spec) { s.Peer = netip.MustParseAddr("fe80::2%eth0") }, "session fe80::2%eth0 (echo): no neighbor forwards what is for a link-local address (give a local address that is none)"},
	} {
		s := echoSpec("192.0.2.2")
		tt.edit(&s)
		if _, err := s.normal(); err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// T75 for what comes by a tap: whoever is on the link may send anything, and moves
// no session that he has no key of.
func FuzzEcho(f *testing.F) {
	c := packet.Control{State: packet.Down, DetectMult: 3, MyDiscr: 7}
	f.Add(c.Append(nil), uint8(254), true)
	f.Add(append(c.Append(nil), make([]byte, 28)...), uint8(255), false)
	f.Fuzz(func(t *testing.T, payload []byte, ttl uint8, named bool) {
		r := newEchoRig(t)
		e := r.upEcho("192.0.2.2")
		if len(payload) >= packet.Len && named {
			binary.BigEndian.PutUint32(payload[4:], e.discr)
			binary.BigEndian.PutUint32(payload[8:], e.discr)
		}
		d := r.returned(e, payload)
		d.TTL, d.Packet = int(ttl), slices.Concat(make([]byte, 28), payload)
		before := e.session
		r.step(r.clock, []sock.Datagram{d})
		if e.session != before || len(r.back) > 0 {
			t.Error("a forged packet did something")
		}
		r.take()
	})
}

func TestAnEchoPacketAllocatesNothing(t *testing.T) {
	r := newEchoRig(t)
	e := r.upEcho("192.0.2.2")
	var out [packet.MaxLen]byte
	n := 0
	d := make([]sock.Datagram, 1)
	e.link = keepLink{e.link, &out, &n}
	step := func() {
		r.clock = r.clock.Add(100 * time.Millisecond)
		r.step(r.clock, nil)
		d[0] = r.returned(e, out[:n])
		r.step(r.clock, d)
	}
	step()
	if allocs := testing.AllocsPerRun(100, step); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
	r.wantState(e, packet.Up)
	r.wantDrops(nil)
}

type keepLink struct {
	link
	out *[packet.MaxLen]byte
	n   *int
}

func (l keepLink) Send(b []byte) unix.Errno { *l.n = copy(l.out[:], b); return 0 }

// echoSpecs are sessions that need a capability.
func echoSpecs() map[string]Spec {
	loop := spec("127.0.3.1", "127.0.3.2")
	loop.Local, loop.RequiredMinEchoRx = netip.Addr{}, 50*time.Millisecond
	return map[string]Spec{"echo": echoSpec("127.0.3.2"), "loop": loop}
}

// addAlone gives the error of adding s to an engine that has nothing else.
func addAlone(ctx context.Context, s Spec) error {
	e, err := New(on("127.0.3.1"))
	if err != nil {
		return err
	}
	if err := e.Listen(); err != nil {
		return err
	}
	go e.Run(ctx) // until the process ends
	return e.Add(ctx, s)
}
