package view

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	atNoon = timestamppb.New(noon)
)

// A scene is a node on which all is well: a VIP with two backends of whom one is
// up, and two neighbors that are sent it.
type scene struct {
	vip       *vipdv1.Vip
	node      *vipdv1.Node
	neighbors []*vipdv1.Neighbor
	sent      []bgpclient.Sent
}

func well() *scene {
	families := []string{"ipv4"}
	return &scene{
		vip: &vipdv1.Vip{
			Name: "web", Prefix: "192.0.2.10/32", State: "advertised", Rule: "checks", MinHealthy: "1",
			Reason: "advertised: 1 of 2 backends healthy (minimum 1)",
			Tally:  &vipdv1.Tally{Healthy: 1, Total: 2, HealthyWeight: 1, TotalWeight: 2},
			Route:  &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true, Attributes: "med 5"},
			Backends: []*vipdv1.Backend{
				{Name: "a", Address: "10.1.0.11:80", Kind: "http", Weight: 1, Health: "up", Since: atNoon},
				{Name: "b", Address: "10.1.0.12:80", Kind: "http", Weight: 1, Health: "down", Since: atNoon, Error: "connection refused"},
			},
		},
		node: &vipdv1.Node{Speaker: &vipdv1.Speaker{Kind: "gobgp", Address: "127.0.0.1:50051", Connected: true, Since: atNoon}},
		neighbors: []*vipdv1.Neighbor{
			{Address: "10.0.0.253", Description: "tor-1", State: "established", Since: atNoon, Families: families},
			{Address: "10.0.0.254", State: "established", Since: atNoon, Families: families},
		},
		sent: []bgpclient.Sent{
			{Neighbor: netip.MustParseAddr("10.0.0.253"), Sent: true},
			{Neighbor: netip.MustParseAddr("10.0.0.254"), Sent: true},
		},
	}
}

func (s *scene) explain() *vipdv1.Explanation {
	return Explain(ExplainInputs{VIP: s.vip, Node: s.node, Neighbors: s.neighbors, Sent: SentTo(s.sent, s.neighbors)})
}

// withdraw makes the decision another one, and the speaker follow.
func (s *scene) withdraw(rule, reason string) {
	s.vip.State, s.vip.Rule, s.vip.Reason = "withdrawn", rule, "withdrawn: "+reason
	s.vip.Route = &vipdv1.Route{Confirmed: true}
	for i := range s.sent {
		s.sent[i] = bgpclient.Sent{Neighbor: s.sent[i].Neighbor}
	}
}

func (s *scene) undecided() {
	s.vip.State, s.vip.Rule, s.vip.Reason = "undecided", "undecided", "undecided: 0 of 2 backends healthy, 2 unknown (minimum 1)"
	s.vip.Tally = &vipdv1.Tally{Unknown: 2, Total: 2, TotalWeight: 2}
}

// cutOff is a speaker that is gone: nothing is known of what it has.
func (s *scene) cutOff() {
	s.node.Speaker.Connected, s.node.Speaker.Problem = false, "connection refused"
	s.vip.Route = &vipdv1.Route{Wanted: s.vip.Route.Wanted}
	s.neighbors, s.sent = nil, nil
}

// lose takes the session of neighbor i away.
func (s *scene) lose(i int) {
	s.neighbors[i].State = "active"
	s.sent = slices.DeleteFunc(s.sent, func(one bgpclient.Sent) bool { return one.Neighbor.String() == s.neighbors[i].Address })
}

// keepBack has the speaker send a neighbor nothing, for a reason.
func (s *scene) keepBack(i int, why bgpclient.Sent) {
	why.Neighbor = s.sent[i].Neighbor
	s.sent[i] = why
}

func TestEveryCauseHasItsSentenceAndHint(t *testing.T) {
	const foreign = "the speaker prefers a path of somebody else for this prefix"
	for _, tt := range []struct {
		name   string
		change func(s *scene)
		want   string // cause | summary | hint
	}{
		{"all is well", func(*scene) {},
			"announced | web is announced to 2 of 2 neighbors: 1 of 2 backends healthy (minimum 1) | "},
		{"degraded", func(s *scene) {
			s.vip.Reason = "advertised, degraded below 60%: 1 of 2 backends healthy (minimum 1)"
		}, "announced | web is announced to 2 of 2 neighbors: degraded below 60%: 1 of 2 backends healthy (minimum 1) | "},
		{"forced", func(s *scene) {
			s.vip.Rule, s.vip.Reason = "override_advertise", "advertised: override by alice: test"
		}, "announced | web is announced to 2 of 2 neighbors: override by alice: test | `vipctl auto web` leaves it to the checks again"},
		{"prefers others", func(s *scene) {
			s.node.Drain = &vipdv1.Drain{Phase: "prefer_others"}
		}, "announced | web is announced to 2 of 2 neighbors: 1 of 2 backends healthy (minimum 1) | this node is draining: `vipctl undrain` ends it"},
		{"a foreign route that does no harm now", func(s *scene) { s.vip.Route.Foreign = true },
			"announced | web is announced to 2 of 2 neighbors: 1 of 2 backends healthy (minimum 1) | somebody else's route for 192.0.2.10/32 is at the speaker too: see `gobgp global rib 192.0.2.10/32`"},
		{"what a neighbor is sent is not known", func(s *scene) { s.sent = s.sent[1:] },
			"announced | web is announced to 1 of 2 neighbors, and whether to the others is not known (10.0.0.253 (tor-1)): 1 of 2 backends healthy (minimum 1) | "},

		{"neighbors that the VIP is not for are down", func(s *scene) {
			s.lose(0)
			s.neighbors[0].Families = []string{"ipv6"}
		}, "announced | web is announced to 1 of 1 neighbors: 1 of 2 backends healthy (minimum 1) | "},
		{"BFD would take neighbors away, and has not yet", func(s *scene) {
			s.neighbors[0].Hold = &vipdv1.Hold{Disable: true}
			s.neighbors[1].Hold = &vipdv1.Hold{Withhold: true}
		}, "announced | web is announced to 2 of 2 neighbors: 1 of 2 backends healthy (minimum 1) | "},

		{"draining", func(s *scene) { s.withdraw("draining", "draining by bob: kernel update") },
			"drain | web is withdrawn: draining by bob: kernel update | `vipctl undrain` ends it"},
		{"stopping", func(s *scene) {
			s.withdraw("draining", "draining")
			s.node.Drain = &vipdv1.Drain{Stopping: true}
		}, "drain | web is withdrawn: draining | vipd is stopping here: start it again to announce anything"},
		{"withdrawn by an operator", func(s *scene) { s.withdraw("override_withdraw", "override by alice: bad deploy") },
			"override | web is withdrawn: override by alice: bad deploy | `vipctl auto web` ends it"},
		{"no uplink", func(s *scene) { s.withdraw("uplinks_down", "0 of 2 uplinks alive") },
			"uplinks_down | web is withdrawn: 0 of 2 uplinks alive | no router can be reached: see `vipctl bfd`, and the links of this node"},
		{"no backends in the file", func(s *scene) { s.withdraw("no_backends", "no backends"); s.vip.Backends = nil },
			"no_backends | web is withdrawn: no backends | give it a backend with a weight in the configuration, then `vipctl reload`"},
		{"no backends by API", func(s *scene) { s.withdraw("no_backends", "no backends"); s.vip.Owner = "k8s" },
			"no_backends | web is withdrawn: no backends | k8s, who made it, must give it a backend with a weight"},
		{"held down", func(s *scene) {
			s.withdraw("hold_down", "held down until 2026-03-01T12:01:00Z: 1 of 2 backends healthy (minimum 1)")
		},
			"hold_down | web is withdrawn: held down until 2026-03-01T12:01:00Z: 1 of 2 backends healthy (minimum 1) | it ends by itself; `vipctl advertise web` ends it now, and then `vipctl auto web` leaves it to the checks"},
		{"undecided, nothing there", func(s *scene) { s.undecided(); s.vip.Route = &vipdv1.Route{Confirmed: true} },
			"undecided | web is undecided: 0 of 2 backends healthy, 2 unknown (minimum 1); no route is announced meanwhile | wait: the first verdict on a backend takes its `rise` or `fall` probes"},
		{"undecided, of a former life", func(s *scene) { s.undecided(); s.vip.Route = &vipdv1.Route{Confirmed: true, Installed: true} },
			"undecided | web is undecided: 0 of 2 backends healthy, 2 unknown (minimum 1); its route stays announced as it was | wait: the first verdict on a backend takes its `rise` or `fall` probes"},
		{"not decided at all yet", func(s *scene) { s.vip.State, s.vip.Rule, s.vip.Reason, s.vip.Route = "undecided", "", "", nil },
			"undecided | web is undecided | wait: the first verdict on a backend takes its `rise` or `fall` probes"},
		{"not enough healthy", func(s *scene) { s.withdraw("checks", "1 of 2 backends healthy (minimum 2)") },
			"no_healthy_backend | web is withdrawn: 1 of 2 backends healthy (minimum 2); b: connection refused | see `vipctl backends` for the error of each"},
		{"not enough healthy, beside one that is not counted", func(s *scene) {
			s.withdraw("checks", "1 of 1 backends healthy (minimum 2)")
			s.vip.Backends[1].Weight = 0
		}, "no_healthy_backend | web is withdrawn: 1 of 1 backends healthy (minimum 2) | see `vipctl backends` for the error of each"},
		{"withdrawn, and the speaker does not follow", func(s *scene) {
			s.withdraw("checks", "0 of 0 backends healthy (minimum 1)")
			s.vip.Backends, s.vip.Route = nil, &vipdv1.Route{Installed: true, Error: "timeout"}
		}, "no_healthy_backend | web is withdrawn: 0 of 0 backends healthy (minimum 1); the speaker does not show that yet: timeout | see `vipctl backends` for the error of each"},
		{"withdrawn a moment ago", func(s *scene) {
			s.withdraw("draining", "draining")
			s.vip.Route = &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true}
		}, "drain | web is withdrawn: draining; the speaker does not show that yet | `vipctl undrain` ends it"},
		{"withdrawn, and somebody else announces it", func(s *scene) { s.withdraw("draining", "draining"); s.vip.Route.Foreign = true },
			"drain | web is withdrawn: draining; but somebody else's route for 192.0.2.10/32 is at the speaker | `vipctl undrain` ends it"},
		{"withdrawn, and nobody knows", func(s *scene) { s.withdraw("draining", "draining"); s.cutOff() },
			"drain | web is withdrawn: draining; what is announced of it is not known, as gobgp at 127.0.0.1:50051 is not connected since 2026-03-01T12:00:00Z: connection refused | `vipctl undrain` ends it"},

		{"no BGP", func(s *scene) { s.node.Speaker, s.vip.Route, s.neighbors, s.sent = nil, nil, nil, nil },
			"bgp_off | web is to be announced, but BGP is off | set bgp.enabled: true and restart vipd"},
		{"the speaker is gone", func(s *scene) { s.cutOff() },
			"speaker_unreachable | web is to be announced, but gobgp at 127.0.0.1:50051 is not connected since 2026-03-01T12:00:00Z: connection refused | see that gobgpd runs, and that bgp.gobgp_address is its API; vipd connects and announces by itself"},
		{"the embedded speaker does not run", func(s *scene) { s.cutOff(); s.node.Speaker = &vipdv1.Speaker{Kind: "embedded"} },
			"speaker_unreachable | web is to be announced, but the embedded speaker is not connected | see vipd's log; it announces by itself when the speaker is there"},
		{"the speaker refuses", func(s *scene) { s.vip.Route = &vipdv1.Route{Wanted: true, Error: "invalid next hop"} },
			"route_error | web is to be announced, but gobgp at 127.0.0.1:50051 did not take the route: invalid next hop | nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"},
		{"the speaker does not show it yet", func(s *scene) { s.vip.Route = &vipdv1.Route{Wanted: true} },
			"route_pending | web is to be announced, but gobgp at 127.0.0.1:50051 does not show the route yet | nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"},
		{"the speaker has no BGP", func(s *scene) {
			s.vip.Route, s.node.Speaker.Problem = &vipdv1.Route{Wanted: true}, "bgp is not started"
		}, "route_pending | web is to be announced, but gobgp at 127.0.0.1:50051 does not show the route yet: bgp is not started | nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"},
		{"decided a moment ago", func(s *scene) { s.vip.Route = &vipdv1.Route{Confirmed: true} },
			"route_pending | web is to be announced, but gobgp at 127.0.0.1:50051 does not show the route yet | nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"},
		{"the route is not asked for yet", func(s *scene) { s.vip.Route = nil },
			"route_pending | web is to be announced, but gobgp at 127.0.0.1:50051 does not show the route yet | nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"},

		{"nobody to send it to", func(s *scene) { s.neighbors, s.sent = nil, nil },
			"no_neighbors | web is in the table of gobgp at 127.0.0.1:50051, which has no neighbors | add one under bgp.neighbors with bgp.manage: true, or in gobgpd's own configuration"},
		{"nobody of its family", func(s *scene) { s.vip.Prefix = "2001:db8::10/128" },
			"no_neighbors | web is in the table of gobgp at 127.0.0.1:50051, none of whose 2 neighbors carries IPv6 | add one under bgp.neighbors with bgp.manage: true, or in gobgpd's own configuration"},
		{"somebody else's route is preferred", func(s *scene) {
			s.vip.Route.Foreign = true
			s.keepBack(0, bgpclient.Sent{Foreign: true, Err: foreign})
			s.keepBack(1, bgpclient.Sent{Foreign: true, Err: foreign})
		}, "foreign_route | web is announced to 0 of 2 neighbors: 10.0.0.253 (tor-1): the speaker prefers a path of somebody else for this prefix (and 1 more) | see `gobgp global rib 192.0.2.10/32` for whose it is: vipd removes only its own"},
		{"somebody else's IPv6 route is preferred at one neighbor", func(s *scene) {
			s.vip.Prefix, s.neighbors[1].Families = "2001:db8::10/128", []string{"ipv4", "ipv6"}
			s.keepBack(1, bgpclient.Sent{Foreign: true, Err: foreign})
		}, "foreign_route | web is announced to 0 of 1 neighbors: 10.0.0.254: the speaker prefers a path of somebody else for this prefix | see `gobgp global rib -a ipv6 2001:db8::10/128` for whose it is: vipd removes only its own"},
		{"a session is down", func(s *scene) { s.lose(0) },
			"neighbor_down | web is announced to 1 of 2 neighbors: 10.0.0.253 (tor-1): BGP session down since 2026-03-01T12:00:00Z (active) | see `vipctl neighbors`, and the router's own view of the session"},
		{"sessions were never up", func(s *scene) {
			s.lose(0)
			s.lose(1)
			s.neighbors[0].Since, s.neighbors[0].Bfd = nil, "down"
		}, "neighbor_down | web is announced to 0 of 2 neighbors: 10.0.0.253 (tor-1): BGP session was never up (active), BFD down (and 1 more) | see `vipctl neighbors`, and the router's own view of the session"},
		{"a neighbor is shut down", func(s *scene) { s.lose(1); s.neighbors[1].AdminDown = true },
			"neighbor_down | web is announced to 1 of 2 neighbors: 10.0.0.254: shut down at the speaker, not by vipd: by hand, or for too many prefixes | `gobgp neighbor 10.0.0.254 enable`, if nobody wants it down"},
		{"a neighbor of the embedded speaker is shut down", func(s *scene) {
			s.lose(1)
			s.neighbors[1].AdminDown, s.node.Speaker = true, &vipdv1.Speaker{Kind: "embedded", Connected: true}
		}, "neighbor_down | web is announced to 1 of 2 neighbors: 10.0.0.254: shut down at the speaker, not by vipd: by hand, or for too many prefixes | see `vipctl neighbors`, and the router's own view of the session"},
		{"a neighbor is shut down for BFD", func(s *scene) {
			s.lose(0)
			s.neighbors[0].AdminDown = true
			s.neighbors[0].Hold = &vipdv1.Hold{Disable: true, InForce: true, Reason: "BFD session down: Control Detection Time Expired"}
		}, "bfd_down | web is announced to 1 of 2 neighbors: 10.0.0.253 (tor-1): held by BFD: BFD session down: Control Detection Time Expired (shut down) | see `vipctl bfd`: the neighbor is used again once its BFD session has stayed up"},
		{"routes are withheld for BFD", func(s *scene) {
			s.neighbors[1].Hold = &vipdv1.Hold{Withhold: true, InForce: true, Reason: "BFD session up again, held until 2026-03-01T12:00:10Z"}
			s.keepBack(1, bgpclient.Sent{Filtered: true})
		}, "bfd_down | web is announced to 1 of 2 neighbors: 10.0.0.254: held by BFD: BFD session up again, held until 2026-03-01T12:00:10Z (its routes are withheld) | see `vipctl bfd`: the neighbor is used again once its BFD session has stayed up"},
		{"kept back by a policy of ours", func(s *scene) {
			s.neighbors[0].Managed = true
			s.keepBack(0, bgpclient.Sent{Filtered: true})
		}, "export_filter | web is announced to 1 of 2 neighbors: 10.0.0.253 (tor-1): kept back by the export policy for this neighbor | see `export` of neighbor 10.0.0.253 in the configuration, and the policies of gobgpd's own"},
		{"kept back by a policy of gobgpd's", func(s *scene) { s.keepBack(1, bgpclient.Sent{Filtered: true}) },
			"export_filter | web is announced to 1 of 2 neighbors: 10.0.0.254: kept back by the export policy for this neighbor | see the export policy for neighbor 10.0.0.254 in gobgpd: `gobgp global policy`"},
		{"the speaker waits for something", func(s *scene) { s.keepBack(1, bgpclient.Sent{Err: "the speaker was restarted"}) },
			"route_pending | web is announced to 1 of 2 neighbors: 10.0.0.254: the speaker was restarted | see `vipctl neighbors` for what is known of 10.0.0.254"},
		{"not sent yet", func(s *scene) { s.keepBack(1, bgpclient.Sent{}) },
			"route_pending | web is announced to 1 of 2 neighbors: 10.0.0.254: the speaker has no route to send | nothing to do at first: it takes a moment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := well()
			tt.change(s)
			e := s.explain()
			if got := fmt.Sprintf("%s | %s | %s", e.GetCause(), e.GetSummary(), e.GetHint()); got != tt.want {
				t.Errorf("\n     %s\nwant %s", got, tt.want)
			}
			if e.GetVip() != s.vip {
				t.Error("it is not the VIP that it is about")
			}
		})
	}
}

// "One of: announced, no_healthy_backend, …": api/vipd/v1/vipd.proto
func TestOfSeveralCausesTheFirstInTheChainWins(t *testing.T) {
	chain := []struct {
		cause  string
		change func(s *scene)
	}{
		{"announced", func(*scene) {}},
		{"export_filter", func(s *scene) { s.keepBack(1, bgpclient.Sent{Filtered: true}) }},
		{"neighbor_down", func(s *scene) { s.lose(0) }},
		{"foreign_route", func(s *scene) { s.keepBack(len(s.sent)-1, bgpclient.Sent{Foreign: true, Err: "other"}) }},
		{"no_neighbors", func(s *scene) { s.neighbors, s.sent = nil, nil }},
		{"route_pending", func(s *scene) { s.vip.Route.Confirmed = false }},
		{"route_error", func(s *scene) { s.vip.Route.Error = "refused" }},
		{"speaker_unreachable", func(s *scene) { s.cutOff() }},
		{"bgp_off", func(s *scene) { s.node.Speaker = nil }},
		{"no_healthy_backend", func(s *scene) { s.withdraw("checks", "0 of 2 backends healthy (minimum 1)") }},
	}
	s := well()
	for _, link := range chain {
		link.change(s)
		if got := s.explain().GetCause(); got != link.cause {
			t.Errorf("with %s too the cause is %s", link.cause, got)
		}
	}
}
