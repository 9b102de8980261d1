package bfdlab

import (
	"fmt"
	"testing"
)

// vipd and another daemon come up, and stay up. Every packet of both is one that
// Wireshark understands, vipd's obey the rules, and nobody says Up before the
// third of the three steps.
func TestInterop(t *testing.T) {
	each(t, kinds(), func(t *testing.T, k kind) {
		for _, s := range []struct {
			name string
			session
		}{
			{"IPv4", session{}}, {"IPv6", session{v6: true}},
			{"IPv4, multihop", session{multihop: true}}, {"IPv6, multihop", session{v6: true, multihop: true}},
		} {
			if k.name == "GoBGP" && s.multihop {
				continue // it can't
			}
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				interop(t, k, s.session)
			})
		}
	})
}

// BIRD knows all types of authentication that RFC 5880 does.
func TestInteropWithAuthentication(t *testing.T) {
	each(t, []kind{birds()}, func(t *testing.T, k kind) {
		for _, auth := range []string{"simple", "md5", "meticulous-md5", "sha1", "meticulous-sha1"} {
			t.Run(auth, func(t *testing.T) {
				t.Parallel()
				interop(t, k, session{auth: auth})
			})
		}
	})
}

func interop(t *testing.T, k kind, s session) {
	t.Helper()
	s.Timers = usual()
	p := newPair(t, k, s)
	p.up()
	p.Within(soon, "the timers are agreed", func() error { return p.detects(p.Detection()) })
	p.For(10*p.Interval, "both stay up", func() error { return p.is(3) })

	all := p.transcript()
	for _, ours := range []bool{true, false} {
		switch got := all.of(ours).states(); got {
		case "Down Up", "Down Init Up", "Init Up":
		default:
			t.Errorf("vipd's %t side said %s", ours, got)
		}
	}
	if n := all.of(true).sources(); n != 1 {
		t.Errorf("vipd sent from %d ports or discriminators (RFC 5881 §4: the same for all of a session)", n)
	}
	if a, b := all.of(true), all.of(false); len(a) < 10 || len(b) < 10 {
		t.Errorf("vipd said %d packets, the other %d", len(a), len(b))
	}
}

// FRR 8.4 knows no authentication. vipd with a key does not come up with it, and
// does with the key taken out.
func TestNoSessionWithoutTheKey(t *testing.T) {
	each(t, []kind{frrs()}, func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: usual(), auth: "meticulous-sha1"})
		p.Within(soon, "vipd refuses packets", func() error {
			if n := p.vipd.Metric("vipd_bfd_packets_dropped_total"); n < 5 {
				return fmt.Errorf("only %v so far", n)
			}
			return nil
		})
		if err := p.is(1); err != nil {
			t.Error(err)
		}
		all := p.transcript()
		if got := all.of(true).states(); got != "Down" {
			t.Errorf("vipd said %s", got)
		}
		p.auth = ""
		p.reload(p.config(p.Timers))
		p.up()
	})
}
