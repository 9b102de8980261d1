package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// stranger is a first packet of a peer that nobody told us of.
func (r *rig) stranger(peer string) wire {
	return wire{
		sock.Datagram{
			Peer: netip.MustParseAddr(peer), Local: netip.MustParseAddr("192.0.2.1"), Interface: 2, TTL: 255,
			Port: packet.Port, At: r.clock,
		},
		packet.Control{
			State: packet.Down, DetectMult: 3, MyDiscr: 0xbeef,
			DesiredMinTx: time.Second, RequiredMinRx: 100 * time.Millisecond,
		},
	}
}

func open(edit func(*Unsolicited)) Options {
	u := Unsolicited{Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}, Max: 2}
	edit(&u)
	return Options{Unsolicited: u}
}

// RFC 9468 §2, T67.
func TestWhoMayHaveASessionForTheAsking(t *testing.T) {
	as := func(*Unsolicited) {}
	for _, tt := range []struct {
		name string
		opts Options
		edit func(*wire)
		want packet.Reason
	}{
		{"nobody by default", Options{}, func(*wire) {}, packet.NoSession},
		{"a peer of the prefix", open(as), func(*wire) {}, packet.None},
		{"a link-local peer", open(as), func(p *wire) { p.Peer, p.Local = netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::1") }, packet.None},
		{"a peer of another prefix", open(as), func(p *wire) { p.Peer = netip.MustParseAddr("198.51.100.2") }, packet.UnsolicitedRefused},
		{"on an interface that is named", open(func(u *Unsolicited) { u.Interfaces = []string{"eth0"} }), func(*wire) {}, packet.None},
		{"on another interface", open(func(u *Unsolicited) { u.Interfaces = []string{"eth1"} }), func(*wire) {}, packet.UnsolicitedRefused},
		{"on an interface that has gone", open(as), func(p *wire) { p.Interface = 99 }, packet.UnsolicitedRefused},
		{"from several hops away", open(as), func(p *wire) { p.Port = packet.PortMultihop }, packet.NoSession},
		{"through a router", open(as), func(p *wire) { p.TTL = 254 }, packet.BadTTL},
		{"who says AdminDown", open(as), func(p *wire) { p.State = packet.AdminDown }, packet.NoSession},
		{"who claims to have one", open(as), func(p *wire) { p.YourDiscr, p.State = 77, packet.Init }, packet.UnknownDiscriminator},
		{"without the authentication that is asked for", open(func(u *Unsolicited) {
			u.Params.Auth = Auth{packet.KeyedSHA1, []packet.Key{{ID: 1, Secret: []byte("secret")}}}
		}), func(*wire) {}, packet.AuthMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.opts)
			p := r.stranger("192.0.2.9")
			tt.edit(&p)
			r.receiveAll(p)
			if tt.want != packet.None {
				r.wantDrops(map[packet.Reason]uint64{tt.want: 1})
				if r.table.len() != 0 {
					t.Error("there is a session")
				}
				return
			}
			r.wantDrops(nil)
			if r.table.len() != 1 {
				t.Fatal("there is no session")
			}
			e := r.table.slots[0]
			r.wantState(e, packet.Init)
			if !e.spec.Passive || !e.snapshot().Unsolicited || e.spec.Interface != "eth0" {
				t.Errorf("%+v", e.spec)
			}
		})
	}
}

func TestUnsolicitedSessionsHaveAQuota(t *testing.T) {
	r := newRig(t, open(func(*Unsolicited) {}))
	r.receiveAll(r.stranger("192.0.2.8"), r.stranger("192.0.2.9"), r.stranger("192.0.2.10"))
	if r.table.len() != 2 {
		t.Errorf("%d sessions", r.table.len())
	}
	r.wantDrops(map[packet.Reason]uint64{packet.UnsolicitedQuota: 1})
	r.pass(establishTime) // neither comes up
	if r.table.len() != 0 || r.stats.Unsolicited != 0 {
		t.Fatalf("%d sessions, %d counted", r.table.len(), r.stats.Unsolicited)
	}
	r.receiveAll(r.stranger("192.0.2.10"))
	if r.table.len() != 1 {
		t.Error("the quota was not given back")
	}
}

// "if an established BFD session goes down, the passive side MUST stop sending
// BFD Control packets" (RFC 9468 §2)
func TestAnUnsolicitedSessionEndsWithItsFirstDown(t *testing.T) {
	r := newRig(t, open(func(*Unsolicited) {}))
	r.receiveAll(r.stranger("192.0.2.9"))
	e := r.table.slots[0]
	r.up(e)
	for range 200 { // longer than a session may take to come up
		r.receiveAll(r.from(e, packet.Up))
		r.pass(100 * time.Millisecond)
	}
	r.wantState(e, packet.Up)
	l := e.link.(*fakeLink)
	r.pass(2 * time.Second)
	r.take()
	r.pass(10 * time.Second)
	c := r.changes()
	if len(c) != 1 || c[0].To != packet.Down || r.table.len() != 0 || r.stats.Unsolicited != 0 {
		t.Errorf("%d sessions, %+v", r.table.len(), c)
	}
	if len(r.take()) > 0 || !l.closed {
		t.Error("it was not silent")
	}
}

func TestAConfiguredSessionTakesAnUnsolicitedOnesPlace(t *testing.T) {
	r := newRig(t, open(func(*Unsolicited) {}))
	r.receiveAll(r.stranger("192.0.2.9"))
	e := r.want(hundred("192.0.2.9"))
	if r.table.len() != 1 || e.unsolicited || r.stats.Unsolicited != 0 {
		t.Errorf("%d sessions, %d unsolicited", r.table.len(), r.stats.Unsolicited)
	}
}
