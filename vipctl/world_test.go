package vipctl

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// noon is when all tests run.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon().Add(-d)) }

// small is a node where something is wrong of each kind.
func small() *fake {
	f := newFake("one")
	f.node = &vipdv1.Node{
		Name: "lb-1", Version: "v1.4.0", Started: ago(76 * time.Hour),
		Speaker: &vipdv1.Speaker{Kind: "gobgp", Address: "127.0.0.1:50051", Connected: true, Api: "v4", Since: ago(3 * time.Hour), Asn: 65001,
			RouterId: "10.0.0.1", RoutesWanted: 2, RoutesInstalled: 2},
		LastReload: &vipdv1.Reload{Ok: true, At: ago(2 * time.Hour)},
		Uplinks:    &vipdv1.Uplinks{Alive: 1, Total: 2},
	}
	f.vips = []*vipdv1.Vip{apiVIP(), dnsVIP(), mailVIP(), webVIP()}
	f.neighbors = []*vipdv1.Neighbor{
		{Address: "10.0.0.253", Description: "ToR B", Asn: 65000, State: "idle", Since: ago(12 * time.Minute), AdminDown: true, Managed: true, Bfd: "down",
			Hold: &vipdv1.Hold{Disable: true, Reason: "BFD: Control Detection Time Expired", InForce: true}, UpdatesSent: 12, UpdatesReceived: 3},
		{Address: "10.0.0.254", Description: "ToR A", Asn: 65000, State: "established", Since: ago(3 * time.Hour), Managed: true, Bfd: "up",
			PrefixesReceived: 1, UpdatesSent: 17, UpdatesReceived: 4},
	}
	f.sessions = []*vipdv1.BfdSession{
		{Id: "10.0.0.253@eth1", Peer: "10.0.0.253", Local: "10.0.0.1", Interface: "eth1", State: "down", Diag: "Control Detection Time Expired", Since: ago(12 * time.Minute),
			Discriminator: 7, TxInterval: durationpb.New(time.Second), RxInterval: durationpb.New(time.Second), Detection: durationpb.New(3 * time.Second), Multiplier: 3,
			RemoteState: "down", Sent: 900, Received: 180, Changes: 3,
			Transitions: []*vipdv1.BfdTransition{{At: ago(12 * time.Minute), From: "up", To: "down", Diag: "Control Detection Time Expired", RemoteState: "up"}}},
		{Id: "10.0.0.254@eth0", Peer: "10.0.0.254", Local: "10.0.0.1", Interface: "eth0", State: "up", Since: ago(3 * time.Hour), Discriminator: 8, RemoteDiscriminator: 1021,
			TxInterval: durationpb.New(100 * time.Millisecond), RxInterval: durationpb.New(100 * time.Millisecond), Detection: durationpb.New(300 * time.Millisecond),
			Multiplier: 3, RemoteState: "up", MaxGap: durationpb.New(104 * time.Millisecond), Sent: 108000, Received: 107990, Changes: 1},
		{Id: "198.51.100.7", Peer: "198.51.100.7", Multihop: true, State: "up", Since: ago(time.Hour), Discriminator: 9, RemoteDiscriminator: 4,
			TxInterval: durationpb.New(time.Second), RxInterval: durationpb.New(time.Second), Detection: durationpb.New(3 * time.Second), Multiplier: 3,
			RemoteState: "up", Sent: 3600, Received: 3600, Changes: 1, Owner: "api"},
	}
	f.events = []*vipdv1.Event{
		{Sequence: 31, At: ago(26 * time.Hour), Kind: "definition", Subject: "api", To: "defined", Reason: "prefix 192.0.2.12/32, owner fiberlb, version 3", By: "CN=fiberlb"},
		{Sequence: 38, At: ago(12 * time.Minute), Kind: "bfd", Subject: "10.0.0.253@eth1", From: "up", To: "down", Reason: "Control Detection Time Expired"},
		{Sequence: 39, At: ago(12 * time.Minute), Kind: "neighbor", Subject: "10.0.0.253", From: "established", To: "idle", Reason: "disabled: BFD: Control Detection Time Expired"},
		{Sequence: 44, At: ago(4*time.Minute + 14*time.Second), Kind: "backend", Subject: "dns", From: "up", To: "down",
			Reason: "connect 10.1.0.21:53: connection refused", Inputs: map[string]string{"backend": "10.1.0.21:53"}},
		{Sequence: 45, At: ago(4*time.Minute + 12*time.Second), Kind: "vip", Subject: "dns", From: "advertised", To: "withdrawn",
			Reason: "withdrawn: 0 of 2 backends healthy (minimum 1)", Inputs: map[string]string{"rule": "checks", "tally": "0 of 2"}},
		{Sequence: 48, At: ago(2 * time.Minute), Kind: "override", Subject: "api", From: "auto", To: "withdraw", Reason: "bad deploy", By: "uid 1000 (alice)"},
	}
	f.sequence = 48
	f.progress = []*vipdv1.DrainProgress{
		{Drain: &vipdv1.Drain{Phase: "withdrawing", By: "uid 0 (root)", Since: ago(0), Connections: 35, Measured: "sockets"}, RoutesLeft: 2},
		{Drain: &vipdv1.Drain{Phase: "withdrawn", By: "uid 0 (root)", Since: ago(0), Connections: 35, Measured: "sockets"}},
		{Drain: &vipdv1.Drain{Phase: "drained", By: "uid 0 (root)", Since: ago(0), Measured: "sockets"}, Done: true, Outcome: "confirmed"},
	}
	return f
}

func webVIP() *vipdv1.Vip {
	return &vipdv1.Vip{
		Name: "web", Prefix: "192.0.2.10/32", State: "advertised", Rule: "checks", Reason: "advertised: 2 of 3 backends healthy (minimum 1)",
		Since: ago(76 * time.Hour), Tally: &vipdv1.Tally{Healthy: 2, Total: 3, HealthyWeight: 2, TotalWeight: 4}, MinHealthy: "1",
		Route: &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true, Attributes: "communities [65001:100]"},
		Backends: []*vipdv1.Backend{
			{Name: "a", Address: "10.1.0.11:8080", Weight: 1, Kind: "http", Health: "up", Since: ago(76 * time.Hour), Probed: ago(400 * time.Millisecond), Latency: 0.00183, Latencies: []float32{0.5, -0.25, 0.125}},
			{Name: "b", Address: "10.1.0.12:8080", Weight: 1, Kind: "http", Health: "up", Since: ago(5 * time.Hour), Probed: ago(700 * time.Millisecond), Latency: 0.002},
			{Name: "c", Address: "10.1.0.13:8080", Weight: 2, Kind: "http", Health: "down", Since: ago(9 * time.Minute), Failure: "status", Error: "GET /healthz: status 503, not 200-299",
				Probed: ago(100 * time.Millisecond), Latency: 0.0011, Failures: 541},
		},
		Sent: []*vipdv1.Sent{
			{Neighbor: "10.0.0.253", Description: "ToR B", Session: "idle", Detail: "the session is down"},
			{Neighbor: "10.0.0.254", Description: "ToR A", Session: "established", Sent: true},
		},
	}
}

func dnsVIP() *vipdv1.Vip {
	return &vipdv1.Vip{
		Name: "dns", Prefix: "192.0.2.11/32", State: "withdrawn", Rule: "checks", Reason: "withdrawn: 0 of 2 backends healthy (minimum 1)",
		Since: ago(4*time.Minute + 12*time.Second), Tally: &vipdv1.Tally{Total: 2, TotalWeight: 2}, MinHealthy: "1",
		Route: &vipdv1.Route{Confirmed: true},
		Backends: []*vipdv1.Backend{
			{Name: "10.1.0.21:53", Address: "10.1.0.21:53", Weight: 1, Kind: "tcp", Health: "down", Since: ago(4*time.Minute + 14*time.Second), Failure: "refused", Error: "connect 10.1.0.21:53: connection refused", Failures: 260},
			{Name: "10.1.0.22:53", Address: "10.1.0.22:53", Weight: 1, Kind: "tcp", Health: "down", Since: ago(2 * time.Hour), Failure: "timeout", Error: "no answer within 500ms", Failures: 7203},
		},
	}
}

func apiVIP() *vipdv1.Vip {
	return &vipdv1.Vip{
		Name: "api", Prefix: "192.0.2.12/32", Owner: "fiberlb", Version: 3, State: "withdrawn", Rule: "override_withdraw",
		Reason: "withdrawn: override by uid 1000 (alice): bad deploy (until 2026-03-01T12:28:00Z)",
		Since:  ago(2 * time.Minute), Tally: &vipdv1.Tally{Healthy: 1, Total: 1, HealthyWeight: 1, TotalWeight: 1}, MinHealthy: "50%",
		Override: &vipdv1.Override{Word: "withdraw", By: "uid 1000 (alice)", Reason: "bad deploy", Since: ago(2 * time.Minute), Until: ago(-28 * time.Minute)},
		Route:    &vipdv1.Route{Confirmed: true},
		Backends: []*vipdv1.Backend{{Name: "a", Address: "10.1.0.31:443", Weight: 1, Kind: "https", Health: "up", Since: ago(25 * time.Hour)}},
		Spec: &vipdv1.VipSpec{Name: "api", Prefix: "192.0.2.12/32", MinHealthy: "50%", Check: "web", HoldDown: durationpb.New(300 * time.Millisecond),
			Backends: []*vipdv1.BackendSpec{{Name: "a", Address: "10.1.0.31:443", Weight: proto.Uint32(1)}}},
	}
}

func mailVIP() *vipdv1.Vip {
	return &vipdv1.Vip{
		Name: "mail", Prefix: "2001:db8::25/128", State: "advertised", Rule: "checks", Reason: "advertised: 2 of 2 backends healthy (minimum 1)",
		Since: ago(40 * time.Second), Tally: &vipdv1.Tally{Healthy: 2, Total: 2, HealthyWeight: 2, TotalWeight: 2}, MinHealthy: "1", Degraded: true,
		Route: &vipdv1.Route{Wanted: true, Installed: true, Error: "rpc AddPath: deadline exceeded"},
		Backends: []*vipdv1.Backend{
			{Name: "a", Address: "[2001:db8:1::1]:25", Weight: 1, Kind: "tcp", Health: "up", Since: ago(50 * time.Second)},
			{Name: "b", Address: "[2001:db8:1::2]:25", Weight: 1, Kind: "tcp", Health: "up", Since: ago(50 * time.Second)},
		},
	}
}

// explanation is what a vipd would say of the VIPs of small.
func explanation(v *vipdv1.Vip) *vipdv1.Explanation {
	e := &vipdv1.Explanation{Vip: stale(v)}
	step := func(stage, subject string, ok bool, text string) {
		e.Steps = append(e.Steps, &vipdv1.Step{Stage: stage, Subject: subject, Ok: ok, Text: text})
	}
	for _, b := range v.GetBackends() {
		text := b.GetKind() + " " + b.GetAddress() + " is " + b.GetHealth() + " since " + b.GetSince().AsTime().Format(time.RFC3339)
		if b.GetError() != "" {
			text += ": " + b.GetError()
		}
		step("backend", b.GetName(), b.GetHealth() == "up", text)
	}
	ok := v.GetState() == "advertised"
	step("tally", v.GetName(), v.GetTally().GetHealthy() > 0, strings.TrimPrefix(v.GetReason(), v.GetState()+": "))
	step("rule", v.GetRule(), ok, v.GetReason())
	if !ok {
		e.Cause = "no_healthy_backend"
		e.Summary = v.GetName() + " is " + v.GetReason() + "; 10.1.0.21:53: connect 10.1.0.21:53: connection refused"
		e.Hint = "see `vipctl backends` for the error of each"
		step("route", v.GetPrefix(), true, "gobgp at 127.0.0.1:50051 has no route of vipd")
		return e
	}
	e.Cause = "announced"
	e.Summary = v.GetName() + " is announced to 1 of 2 neighbors: 10.0.0.253 (ToR B): is disabled: BFD: Control Detection Time Expired"
	e.Hint = "see `vipctl bfd` for the session"
	step("route", v.GetPrefix(), true, "gobgp at 127.0.0.1:50051 has it as wanted: communities [65001:100]")
	step("neighbor", "10.0.0.253 (ToR B)", false, "is disabled: BFD: Control Detection Time Expired")
	step("neighbor", "10.0.0.254 (ToR A)", true, "is sent the route")
	return e
}
