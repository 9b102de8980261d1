package web

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// noon is when everything on these boards is looked at.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon.Add(-d)) }

func newBoard() *board.Board {
	return board.New("life-1", board.Options{Now: func() time.Time { return noon }})
}

// showcase is a node with VIPs in every state, for people to look at as well.
func showcase() *board.Board {
	b := newBoard()
	b.PutNode(node())
	for _, v := range vips() {
		b.PutVIP(v)
	}
	for _, n := range neighbors() {
		b.PutNeighbor(n)
	}
	for _, s := range sessions() {
		b.PutSession(s)
	}
	for _, e := range events() {
		b.Note(e)
	}
	return b
}

func node() *vipdv1.Node {
	return &vipdv1.Node{
		Name: "lb-1", Version: "v1.2.3", Started: before(75 * time.Hour),
		Speaker: &vipdv1.Speaker{
			Kind: "gobgp", Address: "127.0.0.1:50051", Connected: true, Api: "v4", Since: before(75 * time.Hour),
			Asn: 65001, RouterId: "10.0.0.1", RoutesWanted: 3, RoutesInstalled: 3, Drift: 1,
		},
		LastReload: &vipdv1.Reload{Ok: true, At: before(3 * time.Hour)},
		Uplinks:    &vipdv1.Uplinks{Alive: 1, Total: 2},
		Problems:   []string{"state_dir: write /var/lib/vipd/state.json: no space left on device"},
	}
}

func vips() []*vipdv1.Vip {
	return []*vipdv1.Vip{
		vip("web", "192.0.2.10/32", "advertised", "advertised: 3 of 4 backends healthy (minimum 1)", 3, 4),
		with(vip("web-6", "2001:db8::10/128", "advertised", "advertised: 1 of 4 backends healthy, degraded: below 50%", 1, 4), func(v *vipdv1.Vip) {
			v.Degraded = true
		}),
		with(vip("mail", "192.0.2.11/32", "withdrawn", "withdrawn: 0 of 2 backends healthy (minimum 1)", 0, 2), func(v *vipdv1.Vip) {
			v.Since = before(90 * time.Second)
		}),
		with(vip("dns", "192.0.2.12/32", "withdrawn", "withdrawn by alice: kernel update", 2, 2), func(v *vipdv1.Vip) {
			v.Rule = "override_withdraw"
			v.Override = &vipdv1.Override{
				Word: "withdraw", By: "alice", Reason: "kernel update", Since: before(time.Minute), Until: before(-9 * time.Minute),
			}
		}),
		with(vip("shop", "192.0.2.13/32", "advertised", "advertised by bob: the check is wrong", 0, 3), func(v *vipdv1.Vip) {
			v.Rule, v.Owner, v.Version = "override_advertise", "lb-controller", 7
			v.Override = &vipdv1.Override{Word: "advertise", By: "bob", Reason: "the check is wrong", Since: before(time.Hour)}
			v.Route.Confirmed, v.Route.Installed = false, false
			v.Route.Error = "gobgp 127.0.0.1:50051: add path: deadline exceeded"
		}),
		with(vip("api", "192.0.2.14/32", "withdrawn", "held down until 12:00:20", 2, 2), func(v *vipdv1.Vip) {
			v.Rule, v.HoldUntil = "hold_down", before(-20*time.Second)
		}),
		with(vip("new", "192.0.2.15/32", "undecided", "1 of 2 backends not known yet", 1, 2), func(v *vipdv1.Vip) {
			v.Tally.Unknown, v.Since, v.Rule = 1, before(time.Second), "undecided"
		}),
	}
}

func with(v *vipdv1.Vip, change func(*vipdv1.Vip)) *vipdv1.Vip {
	change(v)
	return v
}

func vip(name, prefix, state, reason string, healthy, total uint32) *vipdv1.Vip {
	there := state == "advertised"
	v := &vipdv1.Vip{
		Name: name, Prefix: prefix, State: state, Rule: "checks", Reason: reason, Since: before(26 * time.Hour), MinHealthy: "1",
		Tally: &vipdv1.Tally{Healthy: healthy, Total: total, HealthyWeight: healthy, TotalWeight: total},
		Route: &vipdv1.Route{Wanted: there, Installed: there, Confirmed: true, Attributes: "community 65001:100, med 50"},
	}
	for i := range total {
		b := &vipdv1.Backend{
			Name: fmt.Sprintf("backend-%d", i), Address: fmt.Sprintf("10.1.0.%d:8080", 11+i), Weight: 1, Kind: "http",
			Health: "up", Since: before(26 * time.Hour),
		}
		if i >= healthy {
			b.Health, b.Error, b.Failure = "down", "GET /healthz: status 503, want 200-299", "status"
		}
		v.Backends = append(v.Backends, b)
	}
	return v
}

func neighbors() []*vipdv1.Neighbor {
	return []*vipdv1.Neighbor{{
		Address: "10.0.0.254", Description: "ToR a", Asn: 65000, State: "established", Since: before(75 * time.Hour),
		Managed: true, UpdatesSent: 41, UpdatesReceived: 5, Bfd: "up",
	}, {
		Address: "10.0.0.253", Description: "ToR b", Asn: 65000, State: "idle", Since: before(2 * time.Minute), AdminDown: true,
		Managed: true, UpdatesSent: 40, UpdatesReceived: 5, Bfd: "down",
		Hold: &vipdv1.Hold{Disable: true, InForce: true, Reason: "BFD: Control Detection Time Expired"},
	}}
}

func sessions() []*vipdv1.BfdSession {
	return []*vipdv1.BfdSession{{
		Id: "10.0.0.254", Peer: "10.0.0.254", Local: "10.0.0.1", Interface: "eth0", State: "up", Diag: "No Diagnostic", Since: before(75 * time.Hour),
		RemoteState: "up", RemoteDiag: "No Diagnostic", Discriminator: 7, RemoteDiscriminator: 8, Multiplier: 3,
		TxInterval: durationpb.New(100 * time.Millisecond), RxInterval: durationpb.New(100 * time.Millisecond),
		Detection: durationpb.New(300 * time.Millisecond), MaxGap: durationpb.New(134217 * time.Microsecond), Sent: 2_700_000, Received: 2_700_001, Changes: 2,
	}, {
		Id: "10.0.0.253", Peer: "10.0.0.253", Local: "10.0.0.1", Multihop: true, State: "down", Diag: "Control Detection Time Expired",
		Since: before(2 * time.Minute), RemoteState: "down", RemoteDiag: "No Diagnostic", Multiplier: 3,
		TxInterval: durationpb.New(time.Second), RxInterval: durationpb.New(time.Second), Changes: 5, Problem: "send: network is unreachable",
		Transitions: []*vipdv1.BfdTransition{{
			At: before(2 * time.Minute), From: "up", To: "down", Diag: "Control Detection Time Expired", RemoteState: "up", RemoteDiag: "No Diagnostic",
		}},
	}}
}

func events() []*vipdv1.Event {
	return []*vipdv1.Event{
		{At: before(26 * time.Hour), Kind: "vip", Subject: "web", From: "undecided", To: "advertised", Reason: "advertised: 3 of 4 backends healthy (minimum 1)"},
		{At: before(2 * time.Minute), Kind: "bfd", Subject: "10.0.0.253", From: "up", To: "down", Reason: "Control Detection Time Expired"},
		{At: before(91 * time.Second), Kind: "backend", Subject: "mail", From: "up", To: "down", Reason: "backend-1: connection refused"},
		{
			At: before(90 * time.Second), Kind: "vip", Subject: "mail", From: "advertised", To: "withdrawn", Reason: "withdrawn: 0 of 2 backends healthy (minimum 1)",
			Inputs: map[string]string{"tally": "0 of 2", "rule": "checks"},
		},
		{At: before(time.Minute), Kind: "override", Subject: "dns", To: "withdraw", Reason: "kernel update", By: "alice"},
	}
}

// figures are what Fresh adds.
func figures(b *board.Board) func(context.Context, []string) ([]*vipdv1.Vip, error) {
	return func(_ context.Context, names []string) ([]*vipdv1.Vip, error) {
		var out []*vipdv1.Vip
		for _, name := range names {
			shown := b.VIP(name)
			if shown == nil {
				continue
			}
			v := proto.CloneOf(shown)
			for i, b := range v.Backends {
				b.Probed, b.Latency = before(400*time.Millisecond), .0123
				for k := range 32 {
					b.Latencies = append(b.Latencies, .001*float32(2+(k*(i+3))%9))
				}
				if b.Health == "down" {
					b.Latencies[20], b.Latencies[30], b.Latencies[31] = -.5, -.5, -.5
					b.Failures = 3
				}
			}
			out = append(out, v)
		}
		return out, nil
	}
}

// shown are sources with this board.
func shown(b *board.Board) Sources {
	s := fixedSources()
	s.Board, s.Fresh = b, figures(b)
	s.Sessions = func(context.Context) ([]*vipdv1.BfdSession, error) { return sessions(), nil }
	return s
}

// crowd puts n VIPs with 4 backends each on a board.
func crowd(tb testing.TB, n int) *board.Board {
	tb.Helper()
	b := newBoard()
	b.PutNode(node())
	for i := range n {
		state, reason, healthy := "advertised", "4 of 4 backends healthy", uint32(4)
		if i%500 == 7 {
			state, reason, healthy = "withdrawn", "0 of 4 backends healthy, 1 needed", 0
		}
		b.PutVIP(vip(fmt.Sprintf("vip-%05d", i), fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255), state, reason, healthy, 4))
	}
	for _, n := range neighbors() {
		b.PutNeighbor(n)
	}
	return b
}
