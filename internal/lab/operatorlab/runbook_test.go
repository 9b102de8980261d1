package operatorlab

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A trouble is a reason for a VIP not to be announced, or not to all. At three in
// the morning one command finds it: vipctl explain, or vipctl status.
type trouble struct {
	cause, vip string
	begin, end func(s *stage)
	explain    []string // words of vipctl explain VIP
	status     []string // words of vipctl status
	speaker    string   // only with this one; empty: with any
}

// decisions are troubles that vipd's own decision is for.
func decisions() []trouble {
	return []trouble{
		{"no_healthy_backend", "web4", func(s *stage) { s.n1.Backends[0].Kill() }, func(s *stage) { s.n1.Backends[0].Again() },
			[]string{"0 of 1 backends healthy", "connect 127.0.0.1:8081: connection refused", "vipctl backends"}, []string{"web4", "0 of 1 backends healthy"}, ""},
		{"hold_down", "held", func(s *stage) {
			does(s, s.n1.Vipd, "vip", "add", "held", "198.51.100.2", "--check", "web", "--backend", "127.0.0.1:8081", "--hold-down", "1h")
			s.n1.Backends[0].Kill()
			s.explained("held", "no_healthy_backend")
			s.n1.Backends[0].Again()
		}, func(s *stage) { does(s, s.n1.Vipd, "vip", "rm", "held") },
			[]string{"held down until", "1 of 1 backends healthy", "vipctl advertise held"}, []string{"held", "held down until"}, ""},
		{"override", "web4", func(s *stage) { does(s, s.n1.Vipd, "withdraw", "web4", "--reason", "bad deploy") }, func(s *stage) { does(s, s.n1.Vipd, "auto", "web4") },
			[]string{"override by uid 0 (root): bad deploy", "vipctl auto web4"}, []string{"web4", "override by uid 0 (root): bad deploy"}, ""},
		{"drain", "web6", func(s *stage) { does(s, s.n1.Vipd, "drain", "--reason", "new disks") }, func(s *stage) { does(s, s.n1.Vipd, "undrain") },
			[]string{"draining by uid 0 (root): new disks", "vipctl undrain"}, []string{"drain", "new disks", "by uid 0 (root)"}, ""},
	}
}

// connections are troubles on the way to the routers.
func connections() []trouble {
	cut := func(s *stage) {
		s.n1.NFT("table ip cut {\n chain in {\n type filter hook input priority filter\n udp dport 3784 drop\n }\n}\n")
	}
	return []trouble{
		{"neighbor_down", "web4", func(s *stage) { s.frr.Configure("router bgp 65000", "neighbor 10.0.1.1 shutdown") },
			func(s *stage) { s.frr.Configure("router bgp 65000", "no neighbor 10.0.1.1 shutdown") },
			[]string{"announced to 1 of 2 neighbors", "10.0.1.254", "vipctl neighbors"}, []string{"3 of 4 established", "10.0.1.254"}, ""},
		{"bfd_down", "web4", cut, func(s *stage) {
			s.n1.NFT("delete table ip cut\n")
			s.told([]string{"established->admin down", "admin down->"}, "events", "--kind", "neighbor")
		},
			[]string{"announced to 1 of 2 neighbors", "10.0.1.254", "held by BFD", "vipctl bfd"}, []string{"1 of 2 up", "10.0.1.254", "Control Detection Time Expired"}, ""},
		{"uplinks_down", "web4", func(s *stage) { s.frr.Daemon("bfdd").Freeze() }, func(s *stage) { s.frr.Daemon("bfdd").Thaw() },
			[]string{"uplinks", "vipctl bfd"}, []string{"0 of 2 up", "0 of 2 alive"}, ""},
		{"speaker_unreachable", "web4", func(s *stage) { s.n1.Gobgpd.Kill() }, func(s *stage) { s.n1.Gobgpd.Again() },
			[]string{"gobgp at 127.0.0.1:50051 is not connected", "connection refused", "see that gobgpd runs"}, []string{"127.0.0.1:50051", "not connected", "connection refused"}, ""},
		{"export_filter", "denied", func(s *stage) {
			does(s, s.n1.Vipd, "vip", "add", "denied", "198.51.100.200", "--check", "web", "--backend", "127.0.0.1:8081")
		}, func(s *stage) { does(s, s.n1.Vipd, "vip", "rm", "denied") },
			[]string{"announced to 1 of 2 neighbors", "10.0.1.254", "export policy", "`export` of neighbor 10.0.1.254"}, []string{"denied"}, ""},
		// Only Debian's gobgpd has its command beside it.
		{"foreign_route", "web4", func(s *stage) { s.n1.Run("gobgp", "global", "rib", "add", "192.0.2.10/32", "local-pref", "200") },
			func(s *stage) { s.n1.Run("gobgp", "global", "rib", "del", "192.0.2.10/32", "local-pref", "200") },
			[]string{"somebody else", "gobgp global rib 192.0.2.10/32"}, []string{"somebody else", "192.0.2.10/32"}, "3.10"},
	}
}

func TestRunbook(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]trouble{"decisions": decisions(), "connections": connections()} {
		for _, speaker := range []string{"3.10", "4.8.0"} {
			t.Run(name+", "+speaker, func(t *testing.T) {
				t.Parallel()
				runbook(t, all, speaker)
			})
		}
	}
}

func runbook(t *testing.T, all []trouble, speaker string) {
	t.Helper()
	s := newStage(lab.New(t), lab.RackOptions{Speaker: speaker, BFD: usualBFD(), Uplink: `export: {deny: ["198.51.100.128/25"]}`})
	s.Within(soon, "BFD stands", s.BFDStands)
	for _, x := range all {
		if x.speaker != "" && x.speaker != speaker {
			continue
		}
		began := time.Now()
		x.begin(s)
		e := s.explained(x.vip, x.cause, x.explain...)
		documented(t, e.GetSummary())
		documented(t, "hint: "+e.GetHint())
		s.told(x.status, "status")
		x.end(s)
		s.explained("web4", "announced", "announced to 2 of 2 neighbors")
		s.agree("all is as before", "web4", "web6")
		t.Logf("--- %s is over after %s", x.cause, time.Since(began).Round(time.Millisecond))
	}
}
