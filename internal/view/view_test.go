package view

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
)

func wantMessage[M proto.Message](t *testing.T, got, want M) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("\n     %v\nwant %v", got, want)
	}
}

func status() healthloop.VIPStatus {
	return healthloop.VIPStatus{
		Name:   "web",
		Policy: healthloop.Policy{MinHealthy: healthloop.Threshold{Percent: 50}},
		Intent: healthloop.Intent{
			State: healthloop.Advertised, Rule: healthloop.RuleOverrideAdvertise, Level: 0, GracefulShutdown: true, LinkBandwidth: 1.5,
			Reason: "advertised: test",
		},
		Since:     noon,
		Tally:     healthloop.Tally{Healthy: 1, Unknown: 2, Total: 4, HealthyWeight: 10, UnknownWeight: 20, TotalWeight: 40},
		Override:  healthloop.Override{Word: healthloop.ForceAdvertise, By: "alice", Reason: "test", Since: noon, Until: noon.Add(time.Hour)},
		HoldUntil: noon.Add(time.Minute),
		Backends: []healthloop.BackendStatus{
			{Name: "a", Kind: "http", Weight: 10, Health: healthloop.Up, Since: noon},
			{
				Name: "b", Kind: "tcp", Health: healthloop.Down, Err: errors.New("connection refused"), Reason: healthloop.ReasonRefused,
				Failures: map[healthloop.Reason]uint64{healthloop.ReasonRefused: 3, healthloop.ReasonTimeout: 4},
				Probed:   noon, Took: 1500 * time.Millisecond, Recent: []time.Duration{time.Second, -2 * time.Second},
			},
		},
	}
}

func TestAVIPIsShownWithWhatLedToIt(t *testing.T) {
	def := Def{
		Prefix: netip.MustParsePrefix("192.0.2.10/32"), Owner: "k8s", Version: 7,
		Addresses: map[string]string{"a": "10.1.0.11:80", "b": "10.1.0.12:80"},
	}
	r := bgpclient.RouteStatus{
		Prefix: def.Prefix, Want: bgpclient.Want{State: bgpclient.Present}, Confirmed: true, Installed: true, Foreign: true, Err: "timeout",
	}
	want := &vipdv1.Vip{
		Name: "web", Prefix: "192.0.2.10/32", Owner: "k8s", Version: 7,
		State: "advertised", Rule: "override_advertise", Reason: "advertised: test", Since: atNoon,
		Tally:      &vipdv1.Tally{Healthy: 1, Unknown: 2, Total: 4, HealthyWeight: 10, TotalWeight: 40},
		MinHealthy: "50%", Degraded: true, GracefulShutdown: true, LinkBandwidth: 1.5,
		Override: &vipdv1.Override{
			Word: "advertise", By: "alice", Reason: "test", Since: atNoon, Until: timestamppb.New(noon.Add(time.Hour)),
		},
		HoldUntil: timestamppb.New(noon.Add(time.Minute)),
		Route:     &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true, Foreign: true, Error: "timeout", Attributes: "med 5"},
		Backends: []*vipdv1.Backend{
			{Name: "a", Address: "10.1.0.11:80", Weight: 10, Kind: "http", Health: "up", Since: atNoon},
			{Name: "b", Address: "10.1.0.12:80", Kind: "tcp", Health: "down", Error: "connection refused", Failure: "refused"},
		},
	}
	v := VIP(status(), def, r, "med 5")
	wantMessage(t, v, want)

	for range 2 { // as often as one likes
		Fresh(v, status())
	}
	b := want.Backends[1]
	b.Probed, b.Latency, b.Latencies, b.Failures = atNoon, 1.5, []float32{1, -2}, 7
	wantMessage(t, v, want)
}

func TestFiguresOfABackendThatIsNewAreNotThereYet(t *testing.T) {
	v := &vipdv1.Vip{Backends: []*vipdv1.Backend{{Name: "new"}}}
	Fresh(v, status())
	wantMessage(t, v, &vipdv1.Vip{Backends: []*vipdv1.Backend{{Name: "new"}}})
}

func TestAVIPThatNobodyDecidedOnIsPlain(t *testing.T) {
	s := healthloop.VIPStatus{Name: "web", Policy: healthloop.Policy{MinHealthy: healthloop.Threshold{Count: 1}}}
	wantMessage(t, VIP(s, Def{Prefix: netip.MustParsePrefix("192.0.2.10/32")}, bgpclient.RouteStatus{}, ""),
		&vipdv1.Vip{Name: "web", Prefix: "192.0.2.10/32", State: "undecided", Tally: &vipdv1.Tally{}, MinHealthy: "1"})
}

func TestAWithdrawalIsNotDegraded(t *testing.T) {
	s := healthloop.VIPStatus{
		Intent:   healthloop.Intent{State: healthloop.Withdrawn, Rule: healthloop.RuleOverrideWithdraw, Level: -1},
		Override: healthloop.Override{Word: healthloop.ForceWithdraw},
	}
	v := VIP(s, Def{Prefix: netip.MustParsePrefix("192.0.2.10/32")}, bgpclient.RouteStatus{Prefix: netip.MustParsePrefix("192.0.2.10/32")}, "")
	if v.GetState() != "withdrawn" || v.GetDegraded() || v.GetOverride().GetWord() != "withdraw" || v.GetRoute() == nil || v.GetRoute().GetWanted() {
		t.Error(v)
	}
}

func TestANeighborIsShownWithItsHold(t *testing.T) {
	n := bgpclient.NeighborState{
		Neighbor: bgpclient.Neighbor{Address: netip.MustParseAddr("10.0.0.254"), ASN: 65000, Description: "tor", Password: "secret", IPv4: true, IPv6: true},
		State:    bgpclient.Active, AdminDown: true, Accepted: 5, Since: noon,
		Received: bgpclient.MessageCounts{Update: 6}, Sent: bgpclient.MessageCounts{Update: 7},
	}
	h := &bgpclient.HoldStatus{Hold: bgpclient.Hold{Disable: true, Reason: "BFD session down"}, InForce: true, Err: "timeout"}
	wantMessage(t, Neighbor(n, h, true, "down"), &vipdv1.Neighbor{
		Address: "10.0.0.254", Description: "tor", Asn: 65000, State: "active", Since: atNoon, AdminDown: true,
		Hold:    &vipdv1.Hold{Disable: true, Reason: "BFD session down", InForce: true, Error: "timeout"},
		Managed: true, PrefixesReceived: 5, UpdatesSent: 7, UpdatesReceived: 6, Bfd: "down", Families: []string{"ipv4", "ipv6"},
	})
	for _, tt := range []struct {
		name string
		h    *bgpclient.HoldStatus
		want *vipdv1.Hold
	}{
		{"never held", nil, nil},
		{"let go", &bgpclient.HoldStatus{InForce: true}, nil},
		{"withheld", &bgpclient.HoldStatus{Hold: bgpclient.Hold{Withhold: true, Reason: "why"}}, &vipdv1.Hold{Withhold: true, Reason: "why"}},
		{"still ours to enable", &bgpclient.HoldStatus{Ours: true, Err: "timeout"}, &vipdv1.Hold{Reason: "being enabled again", InForce: true, Error: "timeout"}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantMessage(t, Neighbor(n, tt.h, false, "").GetHold(), tt.want) })
	}
}

func TestASpeakerIsShownWithItsLink(t *testing.T) {
	l := bgpclient.Link{
		Connected: true, API: "v4", Since: noon, Problem: "other AS",
		Global: bgpclient.Global{ASN: 65001, RouterID: netip.MustParseAddr("10.0.0.1")},
	}
	wantMessage(t, Speaker("gobgp", "127.0.0.1:50051", l, 3, 2, 1, 4), &vipdv1.Speaker{
		Kind: "gobgp", Address: "127.0.0.1:50051", Connected: true, Api: "v4", Since: atNoon, Problem: "other AS",
		Asn: 65001, RouterId: "10.0.0.1", RoutesWanted: 3, RoutesInstalled: 2, RoutesForeign: 1, Drift: 4,
	})
	wantMessage(t, Speaker("embedded", "", bgpclient.Link{}, 0, 0, 0, 0), &vipdv1.Speaker{Kind: "embedded"})
}

func TestASessionIsShownWithItsTransitionsIfAsked(t *testing.T) {
	s := bfdengine.Snapshot{
		Spec: bfdengine.Spec{
			Key: bfdengine.Key{
				Peer: netip.MustParseAddr("10.0.0.254"), Local: netip.MustParseAddr("10.0.0.1"), Interface: "eth0", Multihop: true, Echo: true,
			},
			Params: bfdengine.Params{DetectMult: 3},
		},
		View: session.View{
			State: packet.Down, Diag: packet.ControlDetectionTimeExpired, RemoteState: packet.AdminDown, RemoteDiag: packet.AdministrativelyDown,
			Discr: 1, RemoteDiscr: 2, Since: noon, TxInterval: time.Second, RxInterval: 2 * time.Second, Detection: 3 * time.Second,
			MaxGap: 4 * time.Second, Counts: session.Counts{Received: 5, Sent: 99},
		},
		Problem: "no route to host", Out: 6, Dropped: 7, Seq: 8,
		Transitions: []session.Event{{
			From: packet.Up, To: packet.Down, Diag: packet.PathDown, RemoteState: packet.Init, RemoteDiag: packet.NoDiagnostic, At: noon,
		}},
	}
	want := &vipdv1.BfdSession{
		Id: "10.0.0.254 (multihop) (echo) from 10.0.0.1 on eth0", Peer: "10.0.0.254", Local: "10.0.0.1", Interface: "eth0",
		Multihop: true, Echo: true, State: "down", Diag: "Control Detection Time Expired", Since: atNoon, Problem: "no route to host",
		Discriminator: 1, RemoteDiscriminator: 2, RemoteState: "admindown", RemoteDiag: "Administratively Down",
		TxInterval: durationpb.New(time.Second), RxInterval: durationpb.New(2 * time.Second), Detection: durationpb.New(3 * time.Second),
		Multiplier: 3, MaxGap: durationpb.New(4 * time.Second), Sent: 6, Received: 5, Dropped: 7, Changes: 8, Owner: "k8s",
	}
	wantMessage(t, Session(s, "k8s", false), want)
	want.Transitions = []*vipdv1.BfdTransition{{
		At: atNoon, From: "up", To: "down", Diag: "Path Down", RemoteState: "init", RemoteDiag: "No Diagnostic",
	}}
	wantMessage(t, Session(s, "k8s", true), want)

	s.Source = netip.MustParseAddrPort("10.0.0.2:49152")
	if got := Session(s, "", false).GetLocal(); got != "10.0.0.2" {
		t.Errorf("local %q: the kernel's choice is not shown", got)
	}
}

func TestSentToTellsOfEachNeighborInTheirOrder(t *testing.T) {
	neighbors := []*vipdv1.Neighbor{
		{Address: "10.0.0.2", Description: "tor-2", State: "established"},
		{Address: "10.0.0.1", State: "idle"},
		{Address: "fe80::1%eth0", State: "established"},
		{Address: "10.0.0.3", State: "established", Hold: &vipdv1.Hold{Withhold: true}},
	}
	sent := []bgpclient.Sent{
		{Neighbor: netip.MustParseAddr("10.0.0.2"), Filtered: true},
		{Neighbor: netip.MustParseAddr("10.0.0.1"), Sent: true}, // of a session that is over
		{Neighbor: netip.MustParseAddr("10.0.0.3"), Err: "the session carries no routes of this address family"},
		{Neighbor: netip.MustParseAddr("10.0.0.9"), Sent: true},
	}
	want := []*vipdv1.Sent{
		{Neighbor: "10.0.0.2", Description: "tor-2", Session: "established", Cause: "export_filter", Detail: "kept back by the export policy for this neighbor"},
		{Neighbor: "10.0.0.1", Session: "idle", Cause: "neighbor_down", Detail: "BGP session was never up (idle)"},
		{Neighbor: "fe80::1%eth0", Session: "established", Cause: "unknown", Detail: "not known: the speaker did not tell"},
		{Neighbor: "10.0.0.3", Session: "established", Cause: "other", Detail: "the session carries no routes of this address family"},
	}
	got := SentTo(sent, neighbors)
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		wantMessage(t, got[i], want[i])
	}
}

func TestBackendMaySayAnything(t *testing.T) {
	s := healthloop.VIPStatus{Backends: []healthloop.BackendStatus{{Err: errors.New("said \xff")}}}
	if _, err := proto.Marshal(VIP(s, Def{}, bgpclient.RouteStatus{}, "")); err != nil {
		t.Error(err)
	}
}
