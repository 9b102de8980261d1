package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

func TestASpecThatCannotWorkIsRefusedInWords(t *testing.T) {
	const ms = time.Millisecond
	addr := func(s string) netip.Addr {
		if s == "" {
			return netip.Addr{}
		}
		return netip.MustParseAddr(s)
	}
	for _, tt := range []struct {
		peer, local, dev string
		edit             func(*Spec)
		want             string
	}{
		{"192.0.2.2", "", "", func(*Spec) {}, ""},
		{"::ffff:192.0.2.2", "192.0.2.1", "", func(*Spec) {}, ""},
		{"fe80::2%eth0", "", "", func(*Spec) {}, ""},
		{"fe80::2", "fe80::1", "eth0", func(*Spec) {}, ""},
		{"169.254.1.1", "", "", func(*Spec) {}, ""},
		{"", "", "", func(*Spec) {}, "session without a peer: give its address"},
		{"0.0.0.0", "", "", func(*Spec) {}, "session 0.0.0.0: a peer is one system (must be a unicast address)"},
		{"255.255.255.255", "", "", func(*Spec) {}, "session 255.255.255.255: a peer is one system (must be a unicast address)"},
		{"ff02::1", "", "", func(*Spec) {}, "session ff02::1: a peer is one system (must be a unicast address)"},
		{"fe80::2", "", "", func(*Spec) {}, "session fe80::2: a link-local peer needs an interface (fe80::2%eth0)"},
		{"fe80::2%eth0", "", "eth1", func(*Spec) {}, "session fe80::2%eth0: the peer is on eth0, not on eth1"},
		{"2001:db8::2%eth0", "", "", func(*Spec) {}, "session 2001:db8::2%eth0: only a link-local address has a zone: name the interface instead"},
		{"192.0.2.2", "2001:db8::1", "", func(*Spec) {}, "session 192.0.2.2 from 2001:db8::1: one address is IPv4, the other IPv6"},
		{"192.0.2.2", "0.0.0.0", "", func(*Spec) {}, "session 192.0.2.2 from 0.0.0.0: the local address is not one of this system (leave it out for the kernel's choice)"},
		{"fe80::2%eth0", "", "", func(s *Spec) { s.Multihop = true }, "session fe80::2%eth0 (multihop): a link-local peer is not several hops away"},
		{"192.0.2.2", "", "", func(s *Spec) { s.MinTTL = 254 }, "session 192.0.2.2: minimum TTL 254: of a single-hop session it is always 255"},
		{"192.0.2.2", "", "", func(s *Spec) { s.DesiredMinTx = 10*ms - 1 }, "session 192.0.2.2: tx interval 9.999999ms (must be 10ms to 1h11m0s)"},
		{"192.0.2.2", "", "", func(s *Spec) { s.RequiredMinRx = 2 * time.Hour }, "session 192.0.2.2: rx interval 2h0m0s (must be 10ms to 1h11m0s)"},
		{"192.0.2.2", "", "", func(s *Spec) { s.DesiredMinTx = -1 }, "session 192.0.2.2: tx interval -1ns (must be 10ms to 1h11m0s)"},
		{"192.0.2.2", "", "", func(s *Spec) { s.Auth.Type = packet.KeyedSHA1 }, "session 192.0.2.2: sha1 authentication: no keys"},
		{"192.0.2.2", "", "", func(s *Spec) { s.Auth.Keys = []packet.Key{{}} }, "session 192.0.2.2: authentication keys without a type"},
	} {
		s := Spec{Key: Key{Peer: addr(tt.peer), Local: addr(tt.local), Interface: tt.dev}}
		tt.edit(&s)
		_, err := s.normal()
		if got := ""; err != nil {
			if got = err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("accepted: want %s", tt.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, multihop := range []bool{false, true} {
		s, err := Spec{Key: Key{Peer: netip.MustParseAddr("192.0.2.2"), Multihop: multihop}}.normal()
		ttl := map[bool]uint8{false: 255, true: 254}[multihop]
		if err != nil || s.DesiredMinTx != 300*time.Millisecond || s.RequiredMinRx != 300*time.Millisecond || s.DetectMult != 3 || s.MinTTL != ttl {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestOneSessionHasOneKey(t *testing.T) {
	want := Key{Peer: netip.MustParseAddr("fe80::2%eth0"), Interface: "eth0"}
	for _, k := range []Key{
		{Peer: netip.MustParseAddr("fe80::2%eth0")},
		{Peer: netip.MustParseAddr("fe80::2"), Interface: "eth0"},
		want,
	} {
		if got, err := k.normal(); err != nil || got != want {
			t.Errorf("%+v is %+v, %v", k, got, err)
		}
	}
}

// RFC 7419 §3, T69.
func TestCommonIntervalsAreRoundedUp(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ asked, want time.Duration }{
		{10 * ms, 10 * ms}, {11 * ms, 20 * ms}, {30 * ms, 50 * ms}, {50 * ms, 50 * ms}, {51 * ms, 100 * ms},
		{300 * ms, time.Second}, {time.Second, time.Second}, {2 * time.Second, 10 * time.Second}, {time.Minute, time.Minute},
	} {
		s := hundred("192.0.2.2")
		s.DesiredMinTx, s.CommonIntervals = tt.asked, true
		r := newRig(t, Options{})
		e := r.want(s)
		if got := e.snapshot(); got.Spec.DesiredMinTx != tt.want || got.Spec.RequiredMinRx != 100*ms {
			t.Errorf("%v became %v, rx %v", tt.asked, got.Spec.DesiredMinTx, got.Spec.RequiredMinRx)
		}
	}
}

// T65: RFC 5880 §4.1.
func TestTheCBitIsClearUnlessToldSo(t *testing.T) {
	for _, c := range []bool{false, true} {
		r := newRig(t, Options{})
		s := hundred("192.0.2.2")
		s.ControlPlaneIndependent = c
		r.want(s)
		if sent := r.take(); len(sent) != 1 || sent[0].ControlPlaneIndependent != c {
			t.Errorf("%+v", sent)
		}
	}
}

func TestASnapshotHoldsNoSecret(t *testing.T) {
	r := newRig(t, Options{})
	s := hundred("192.0.2.2")
	s.Auth = Auth{packet.KeyedSHA1, []packet.Key{{ID: 1, Secret: []byte("secret")}}}
	if got := r.want(s).snapshot(); got.Auth.Keys != nil || got.Auth.Type != packet.KeyedSHA1 {
		t.Errorf("%+v", got.Auth)
	}
}
