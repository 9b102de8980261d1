package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// RFC 5881 §5 (T57) and RFC 5883 (T59).
func TestPacketsFromAfarReachNoState(t *testing.T) {
	for _, tt := range []struct {
		name     string
		multihop bool
		minTTL   uint8
		ttl      int
		want     packet.Reason
	}{
		{"a neighbor's", false, 0, 255, packet.None},
		{"through one router", false, 0, 254, packet.BadTTL},
		{"of unknown TTL", false, 0, -1, packet.BadTTL},
		{"multihop at the minimum", true, 250, 250, packet.None},
		{"multihop below it", true, 250, 249, packet.BadTTL},
		{"multihop at the default", true, 0, 254, packet.None},
		{"multihop below that", true, 0, 253, packet.BadTTL},
		{"multihop of unknown TTL", true, 0, -1, packet.BadTTL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			s := hundred("192.0.2.2")
			s.Multihop, s.MinTTL = tt.multihop, tt.minTTL
			e := r.want(s)
			before := e.session
			p := r.from(e, packet.Down)
			p.TTL = tt.ttl
			r.receiveAll(p)
			if tt.want == packet.None {
				r.wantState(e, packet.Init)
				r.wantDrops(nil)
				return
			}
			if e.session != before {
				t.Error("the session was touched")
			}
			r.wantDrops(map[packet.Reason]uint64{tt.want: 1})
		})
	}
}

// RFC 5880 §6.8.6, RFC 5881 §3: T38, T39, T63.
func TestOnlyTheSessionsOwnPacketsReachIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(p *wire, a, b *entry)
		want packet.Reason
	}{
		{"its own", func(*wire, *entry, *entry) {}, packet.None},
		{"the first", func(p *wire, _, _ *entry) { p.YourDiscr = 0 }, packet.None},
		{"another session's discriminator", func(p *wire, _, b *entry) { p.YourDiscr = b.discr }, packet.WrongAddress},
		{"nobody's discriminator", func(p *wire, a, _ *entry) { p.YourDiscr = a.discr + 1<<20 }, packet.UnknownDiscriminator},
		{"a discriminator beyond the table", func(p *wire, a, _ *entry) { p.YourDiscr = a.discr ^ 1<<9 }, packet.UnknownDiscriminator},
		{"to the multihop port", func(p *wire, _, _ *entry) { p.Port = packet.PortMultihop }, packet.UnknownDiscriminator},
		{"from a stranger", func(p *wire, _, _ *entry) { p.Peer = netip.MustParseAddr("192.0.2.99") }, packet.WrongAddress},
		{"the first, from a stranger", func(p *wire, _, _ *entry) { p.Peer, p.YourDiscr = netip.MustParseAddr("192.0.2.99"), 0 }, packet.NoSession},
		{"to another address", func(p *wire, _, _ *entry) { p.Local = netip.MustParseAddr("192.0.2.7") }, packet.WrongAddress},
		{"the first, to another address", func(p *wire, _, _ *entry) { p.Local, p.YourDiscr = netip.MustParseAddr("192.0.2.7"), 0 }, packet.WrongAddress},
		{"on another interface", func(p *wire, _, _ *entry) { p.Interface = 3 }, packet.WrongInterface},
		{"the first, on another interface", func(p *wire, _, _ *entry) { p.Interface, p.YourDiscr = 3, 0 }, packet.WrongInterface},
		{"the first, to the multihop port", func(p *wire, _, _ *entry) { p.Port, p.YourDiscr = packet.PortMultihop, 0 }, packet.NoSession},
		{"with authentication", func(p *wire, _, _ *entry) { p.Control.AuthPresent = true }, packet.None}, // Append leaves A to Sign
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			spec := hundred("192.0.2.2")
			spec.Local, spec.Interface = netip.MustParseAddr("192.0.2.1"), "eth0"
			a, b := r.want(spec), r.want(hundred("192.0.2.3"))
			before := b.session
			p := r.from(a, packet.Down)
			tt.edit(&p, a, b)
			r.receiveAll(p)
			want, drops := packet.Down, map[packet.Reason]uint64{tt.want: 1}
			if tt.want == packet.None {
				want, drops = packet.Init, nil
			}
			r.wantState(a, want)
			r.wantDrops(drops)
			if b.session != before {
				t.Error("the other session was touched")
			}
		})
	}
}

// RFC 5881 §3, T61: the same link-local address is another system on each link.
func TestLinkLocalPeersAreToldApartByInterface(t *testing.T) {
	r := newRig(t, Options{})
	a, b := r.want(hundred("fe80::2%eth0")), r.want(hundred("fe80::2%eth1"))
	first := r.from(b, packet.Down)
	first.YourDiscr = 0
	r.receiveAll(first)
	r.wantState(a, packet.Down)
	r.wantState(b, packet.Init)
	r.receiveAll(r.from(a, packet.Down))
	r.wantState(a, packet.Init)
	crossed := r.from(a, packet.Init)
	crossed.Interface = b.ifindex
	r.receiveAll(crossed)
	r.wantState(a, packet.Init)
	r.wantDrops(map[packet.Reason]uint64{packet.WrongInterface: 1})
	for _, p := range r.take() {
		if want := map[uint32]string{a.discr: "eth0", b.discr: "eth1"}[p.MyDiscr]; p.by.path.Interface != want {
			t.Errorf("%08x's packet left by %s, want %s", p.MyDiscr, p.by.path.Interface, want)
		}
	}
}

// Of two sessions with one peer, a first packet is that one's which prescribes
// more of what the packet shows.
func TestAFirstPacketGoesToTheMostExactSession(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		r := newRig(t, Options{})
		specs := []Spec{hundred("192.0.2.2"), hundred("192.0.2.2")}
		specs[1].Local = netip.MustParseAddr("192.0.2.1")
		var entries [2]*entry
		for _, i := range order {
			entries[i] = r.want(specs[i])
		}
		p := r.from(entries[1], packet.Down)
		p.YourDiscr = 0
		r.receiveAll(p)
		r.wantState(entries[0], packet.Down)
		r.wantState(entries[1], packet.Init)
	}
}

// T60: RFC 5881 §4 on ports.
func TestSourcePortsAreUniqueAndStay(t *testing.T) {
	r := newRig(t, Options{})
	seen := map[uint16]bool{}
	for i := range 2000 {
		s := hundred(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		s.Multihop = i%2 == 1
		e := r.want(s)
		p := e.link.(*fakeLink).path
		if p.SourcePort < packet.MinSourcePort || seen[p.SourcePort] {
			t.Fatalf("session %d sends from port %d", i, p.SourcePort)
		}
		seen[p.SourcePort] = true
		if want := map[bool]uint16{false: 3784, true: 4784}[s.Multihop]; p.Port != want {
			t.Fatalf("session %d sends to port %d, want %d", i, p.Port, want)
		}
	}
	links := len(r.links)
	r.pass(5 * time.Second)
	if len(r.links) != links {
		t.Errorf("%d sockets were opened anew", len(r.links)-links)
	}
}

func TestDiscriminatorsAreUniqueAndUnguessable(t *testing.T) {
	r := newRig(t, Options{})
	seen, steps := map[uint32]bool{}, map[uint32]int{}
	last := uint32(0)
	for i := range 1000 {
		e := r.want(hundred(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()))
		if e.discr == 0 || seen[e.discr] {
			t.Fatalf("discriminator %08x", e.discr)
		}
		seen[e.discr] = true
		steps[(e.discr-last)>>14]++
		last = e.discr
	}
	for step, n := range steps {
		if n > 10 {
			t.Errorf("%d times the high bits grew by %d", n, step)
		}
	}
}

func TestThereIsALimitOfSessions(t *testing.T) {
	r := newRig(t, Options{})
	for i := range maxSessions {
		r.want(hundred(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()))
	}
	s, err := hundred("10.1.0.0").normal()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.add(s); err == nil {
		t.Error("one more session than source ports")
	}
	r.dismiss(r.table.slots[7])
	r.flush()
	if err := r.add(s); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}
