package bfdengine

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T34 "… a packet is considered to have been received, for the purposes of
// Detection Time expiration, only if it has not been "discarded"" (RFC 5880
// §6.8.4), whatever it was discarded for.
func TestRefusedPacketsDoNotKeepASessionUp(t *testing.T) {
	right := Auth{packet.MeticulousSHA1, []packet.Key{{ID: 1, Secret: []byte("secret")}}}
	for _, tt := range []struct {
		name     string
		multihop bool
		auth     Auth // the peer's
		again    bool // the same packet each time
		edit     func(*wire)
		want     packet.Reason
	}{
		{"through a router", false, right, false, func(p *wire) { p.TTL = 254 }, packet.BadTTL},
		{"through too many", true, right, false, func(p *wire) { p.TTL = 249 }, packet.BadTTL},
		{"another session's discriminator", false, right, false, func(p *wire) { p.YourDiscr++ }, packet.UnknownDiscriminator},
		{"no discriminator", false, right, false, func(p *wire) { p.YourDiscr = 0 }, packet.ZeroYourDiscriminator},
		{"from another address", false, right, false, func(p *wire) { p.Peer = netip.MustParseAddr("192.0.2.9") }, packet.WrongAddress},
		{"no authentication", false, Auth{}, false, func(*wire) {}, packet.AuthMissing},
		{"another key", false, Auth{right.Type, []packet.Key{{ID: 1, Secret: []byte("Secret")}}}, false, func(*wire) {}, packet.AuthBadDigest},
		{"a key that is none", false, Auth{right.Type, []packet.Key{{ID: 2, Secret: []byte("secret")}}}, false, func(*wire) {}, packet.AuthBadKey},
		{"another type", false, Auth{packet.KeyedSHA1, right.Keys}, false, func(*wire) {}, packet.AuthBadType},
		{"recorded", false, right, true, func(*wire) {}, packet.AuthBadSequence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			s := hundred("192.0.2.2")
			s.Auth, s.Multihop = right, tt.multihop
			if tt.multihop {
				s.MinTTL = 250
			}
			e := r.want(s)
			good := r.signed(r.from(e, packet.Init), signer(t, right, 100))
			r.step(r.clock, []sock.Datagram{good})
			r.wantState(e, packet.Up)
			heard := r.clock
			const bad = 29
			for range bad {
				r.pass(10 * time.Millisecond)
				d := good
				if d.At = r.clock; !tt.again {
					p := r.from(e, packet.Up)
					tt.edit(&p)
					d = r.signed(p, signer(t, tt.auth, 101)) // the number that is due
				}
				r.step(r.clock, []sock.Datagram{d})
			}
			r.pass(10*time.Millisecond - 1)
			r.wantState(e, packet.Up)
			r.pass(1)
			r.wantState(e, packet.Down)
			r.wantDrops(map[packet.Reason]uint64{tt.want: bad})
			if v := e.session.View(); v.Received != 1 || !v.Heard.Equal(heard) {
				t.Errorf("%d packets count as received, the last after %v", v.Received, v.Heard.Sub(heard))
			}
		})
	}
}

// signer makes what a peer signs with, from a sequence number on; of no
// authentication, nothing.
func signer(t *testing.T, a Auth, seq uint32) *packet.Auth {
	t.Helper()
	if a.Type == 0 {
		return nil
	}
	s, err := packet.NewAuth(a.Type, a.Keys, seq)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed is a peer's packet on the wire.
func (r *rig) signed(w wire, by *packet.Auth) sock.Datagram {
	r.t.Helper()
	b, ok := by.Sign(w.Control.Append(nil), r.clock)
	if !ok {
		r.t.Fatal("the peer has no key")
	}
	d := w.Datagram
	d.Payload = b
	return d
}

// T57 on the wire. "… all received BFD Control packets that are demultiplexed to
// the session MUST be discarded if the received TTL or Hop Limit is not equal to
// 255" (RFC 5881 §5).
func TestOnlyAHopLimitOf255IsANeighbors(t *testing.T) {
	for _, tt := range []struct {
		name, here, peer    string
		level, option, port int
	}{
		{"ipv4", "127.0.1.1", "127.0.1.2", unix.IPPROTO_IP, unix.IP_TTL, packet.Port},
		{"ipv6", "2001:db8::1", "2001:db8::2", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, packet.Port},
		{"ipv6 multihop", "2001:db8::1", "2001:db8::2", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, packet.PortMultihop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testns.Need(t)
			here, peer := netip.MustParseAddr(tt.here), netip.MustParseAddr(tt.peer)
			if here.Is6() {
				for _, a := range []netip.Addr{here, peer} {
					ip(t, "addr add "+a.String()+"/128 dev lo nodad")
					t.Cleanup(func() { ip(t, "addr del "+a.String()+"/128 dev lo") })
				}
			}
			e := start(t, on(tt.here))
			s := spec(tt.here, tt.peer)
			bad, good := 254, 255
			if s.Multihop = tt.port == packet.PortMultihop; s.Multihop {
				s.MinTTL, bad, good = 250, 249, 250
			}
			e.add(s)
			p := packet.Control{State: packet.Down, DetectMult: 3, MyDiscr: 7, DesiredMinTx: time.Second, RequiredMinRx: time.Second}
			// By a new socket each time: one that was connected before the kernel
			// has the route to a new IPv6 address loses all that it sends.
			send := func(hops int) {
				t.Helper()
				// From a port of its own: nobody listens at the peer's 3784.
				c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 50000)),
					net.UDPAddrFromAddrPort(netip.AddrPortFrom(here, uint16(tt.port))))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				raw, err := c.SyscallConn()
				if err == nil {
					err = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), tt.level, tt.option, hops) })
				}
				if err == nil {
					_, err = c.Write(p.Append(nil))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, func() bool { send(bad); return e.Stats().Dropped[packet.BadTTL] > 0 })
			if s, _ := e.Session(s.Key); s.State != packet.Down || s.RemoteDiscr != 0 || s.Received != 0 {
				t.Errorf("a packet with %d was heard: %+v", bad, s.View)
			}
			dropped := e.Stats().Dropped
			send(good)
			e.await(packet.Init)
			if now := e.Stats().Dropped; now != dropped {
				t.Errorf("dropped %v, then %v", dropped, now)
			}
		})
	}
}
