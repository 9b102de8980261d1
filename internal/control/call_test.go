package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Each method asks the node, and its answer is the node's.
func TestMethodsAreTheNodes(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := client(r.inMemory(t, alice)())
	ctx := soon(t)
	by := " uid 1000 (alice)"
	vip := &vipdv1.VipSpec{Name: "web", Prefix: "::1"}
	for _, tt := range []struct {
		want string
		call func() error
	}{
		{"GetVip web", func() error { _, err := c.GetVip(ctx, &vipdv1.GetVipRequest{Vip: "web"}); return err }},
		{"Explain web", func() error { _, err := c.Explain(ctx, &vipdv1.ExplainRequest{Vip: "web"}); return err }},
		{"Sessions", func() error { _, err := c.ListBfdSessions(ctx, &vipdv1.ListBfdSessionsRequest{}); return err }},
		{"SetOverride" + by, func() error {
			_, err := c.SetOverride(ctx, &vipdv1.SetOverrideRequest{Vip: "web", Word: "auto"})
			return err
		}},
		{"Drain" + by, func() error { return drain(ctx, c) }},
		{"Undrain" + by, func() error { _, err := c.Undrain(ctx, &vipdv1.UndrainRequest{}); return err }},
		{"UpsertVip" + by, func() error { _, err := c.UpsertVip(ctx, &vipdv1.UpsertVipRequest{Vip: vip}); return err }},
		{"DeleteVip" + by, func() error { _, err := c.DeleteVip(ctx, &vipdv1.DeleteVipRequest{Vip: "web"}); return err }},
		{"ReplaceVips" + by, func() error { _, err := c.ReplaceVips(ctx, &vipdv1.ReplaceVipsRequest{Owner: "a"}); return err }},
		{"AddBfdSession" + by, func() error { _, err := c.AddBfdSession(ctx, &vipdv1.AddBfdSessionRequest{Peer: "::1"}); return err }},
		{"RemoveBfdSession" + by, func() error {
			_, err := c.RemoveBfdSession(ctx, &vipdv1.RemoveBfdSessionRequest{Id: "s"})
			return err
		}},
		{"Reload" + by, func() error { _, err := c.Reload(ctx, &vipdv1.ReloadRequest{}); return err }},
		{"CheckConfig a.yaml", func() error { _, err := c.CheckConfig(ctx, &vipdv1.CheckConfigRequest{FileName: "a.yaml"}); return err }},
	} {
		before := len(r.node.called())
		r.node.fail(nil)
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
		r.node.fail(Refuse(Conflict, "not now"))
		wantError(t, tt.call(), codes.Aborted, "not now")
		if got := r.node.called()[before:]; !slices.Equal(got, []string{tt.want, tt.want}) {
			t.Errorf("got %q, want %q twice", got, tt.want)
		}
	}
}

func (n *fakeNode) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func drain(ctx context.Context, c vipdv1.VipServiceClient) error {
	stream, err := c.Drain(ctx, &vipdv1.DrainRequest{})
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func TestBadRequestsDoNotReachTheNode(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := client(r.inMemory(t, alice)())
	_, err := c.SetOverride(soon(t), &vipdv1.SetOverrideRequest{Word: "up", Ttl: durationpb.New(-1)})
	wantError(t, err, codes.InvalidArgument, "vip: is missing (write the VIP's name, prefix or address); "+
		`word: is "up" (write one of: advertise, withdraw, auto); ttl: is -1ns, which is negative`)
	details := status.Convert(err).Details()
	if len(details) != 1 || len(details[0].(*errdetails.BadRequest).FieldViolations) != 3 {
		t.Errorf("details %v", details)
	}
	stream, err := c.Drain(soon(t), &vipdv1.DrainRequest{Reason: "\n"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantError(t, err, codes.InvalidArgument, `reason: is "\n", with control characters (write one line of plain text)`)
	if got := r.node.called(); len(got) > 0 {
		t.Errorf("the node was asked: %q", got)
	}
}

// Only the connection tells who calls.
func TestMetadataIsNotTrusted(t *testing.T) {
	r := newRig(Options{ReadWrite: Roles{UIDs: []uint32{7}}}, defaultLimits())
	c := client(r.inMemory(t, alice)())
	ctx := metadata.AppendToOutgoingContext(soon(t), "actor", "uid 7", "uid", "7", "x-forwarded-for", "root", "authorization", "Bearer root", ":authority", "root")
	_, err := c.Undrain(ctx, &vipdv1.UndrainRequest{})
	if got := status.Convert(err); got.Code() != codes.PermissionDenied || !strings.HasPrefix(got.Message(), "uid 1000 (alice) may not") {
		t.Errorf("got %v", err)
	}
}

func TestOneLineForEachMutation(t *testing.T) {
	r := newRig(Options{ReadOnly: Roles{UIDs: []uint32{1000}}}, defaultLimits())
	c := client(r.inMemory(t, alice)())
	override := &vipdv1.SetOverrideRequest{Vip: "web", Word: "withdraw", Reason: "rack 4 moves", Ttl: durationpb.New(time.Minute)}
	lines := func() (all []map[string]any) {
		for _, e := range r.logs.TakeAll() {
			if e.Message != "api call" {
				continue
			}
			if e.Level != zap.InfoLevel {
				t.Errorf("level %v", e.Level)
			}
			m := e.ContextMap()
			delete(m, "took")
			all = append(all, m)
		}
		return all
	}
	want := func(what string, got []map[string]any, want ...map[string]any) {
		t.Helper()
		if !slices.EqualFunc(got, want, maps.Equal) {
			t.Errorf("%s: got  %v\nwant %v", what, got, want)
		}
	}
	line := func(outcome string, more ...string) map[string]any {
		m := map[string]any{"by": "uid 1000 (alice)", "outcome": outcome}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	set := func(outcome string, more ...string) map[string]any {
		m := line(outcome, append(more, "method", "SetOverride", "vip", "web", "word", "withdraw", "reason", "rack 4 moves")...)
		m["ttl"] = time.Minute
		return m
	}
	_, denied := c.SetOverride(soon(t), override)
	want("denied", lines(), set("PermissionDenied", "error", status.Convert(denied).Message()))
	if err := r.Reconfigure(Roles{}, Roles{}, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = c.SetOverride(soon(t), override)
	want("done", lines(), set("OK"))
	r.node.fail(errors.New("no disk"))
	_, _ = c.SetOverride(soon(t), override)
	want("failed", lines(), set("Internal", "error", "no disk"))
	_, _ = c.SetOverride(soon(t), &vipdv1.SetOverrideRequest{Vip: "web"})
	want("bad", lines(), line("InvalidArgument", "method", "SetOverride", "vip", "web", "error", "word: is missing (write one of: advertise, withdraw, auto)"))
	r.node.fail(nil)
	_ = drain(soon(t), c)
	want("drain", lines(), line("OK", "method", "Drain"))
	_, _ = c.DeleteVip(soon(t), &vipdv1.DeleteVipRequest{Vip: "a", Owner: "o"})
	want("delete", lines(), line("OK", "method", "DeleteVip", "vip", "a", "owner", "o"))
	_, _ = c.ReplaceVips(soon(t), &vipdv1.ReplaceVipsRequest{Owner: "o"})
	replaced := line("OK", "method", "ReplaceVips", "owner", "o")
	replaced["vips"] = int64(0)
	want("replace", lines(), replaced)
	_, _ = c.GetVip(soon(t), &vipdv1.GetVipRequest{Vip: "web"})
	_, _ = c.CheckConfig(soon(t), &vipdv1.CheckConfigRequest{FileName: "a.yaml", Content: []byte("password: x")})
	want("reading", lines())
}

func TestMutationsArePaced(t *testing.T) {
	l := defaultLimits()
	l.mutations, l.burst = 0.001, 2
	r := newRig(Options{}, l)
	who := alice()
	connect := r.inMemory(t, func() *caller { c := alice(); c.actor, c.key = who.actor, who.key; return c })
	c := client(connect())
	for range 2 {
		if _, err := c.Undrain(soon(t), &vipdv1.UndrainRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Undrain(soon(t), &vipdv1.UndrainRequest{})
	got := status.Convert(err)
	if got.Code() != codes.ResourceExhausted || !strings.HasPrefix(got.Message(), "uid 1000 (alice) changes too much, more than 0.001 a second: try again in 16m") {
		t.Errorf("got %v", err)
	}
	if d, ok := got.Details()[0].(*errdetails.RetryInfo); !ok || d.RetryDelay.AsDuration() < 16*time.Minute {
		t.Errorf("details %v", got.Details())
	}
	if err := drain(soon(t), c); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a stream: got %v", err)
	}
	if _, err := c.GetStatus(soon(t), &vipdv1.GetStatusRequest{}); err != nil {
		t.Errorf("reading: %v", err)
	}
	who = &caller{actor: "uid 7", key: "uid 7"}
	if _, err := client(connect()).Undrain(soon(t), &vipdv1.UndrainRequest{}); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestPacesAreBounded(t *testing.T) {
	p := newPacer(1, 1)
	now := time.Now()
	for i := range 10 * paced {
		p.wait(fmt.Sprint(i), now)
	}
	if len(p.of) > paced+1 {
		t.Errorf("%d paces are kept", len(p.of))
	}
	if p.wait("somebody", now) == 0 {
		t.Error("who comes too late shares one, which is used up")
	}
	if now = now.Add(time.Hour); p.wait("somebody", now) != 0 || len(p.of) != 1 {
		t.Errorf("later %d are kept: an idle pace is as good as a new one", len(p.of))
	}
}

func TestHealthAndReflection(t *testing.T) {
	r := newRig(Options{ReadWrite: Roles{UIDs: []uint32{7}}, ReadOnly: Roles{UIDs: []uint32{7}}}, defaultLimits())
	c := r.inMemory(t, alice)() // who may nothing else
	for _, name := range []string{"", "vipd.v1.VipService"} {
		h, err := healthv1.NewHealthClient(c).Check(soon(t), &healthv1.HealthCheckRequest{Service: name})
		if err != nil || h.Status != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", name, h, err)
		}
	}
	stream, err := reflectionv1.NewServerReflectionClient(c).ServerReflectionInfo(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || !strings.Contains(answer.String(), "vipd.v1.VipService") {
		t.Errorf("%v, %v", answer, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := defaultLimits()
	l.connections, l.callerConnections = 3, 2
	r := newRig(Options{}, l)
	key := "uid 1"
	connect := r.inMemory(t, func() *caller { return &caller{kind: user, actor: Actor(key), key: key} })
	ask := func(c *grpc.ClientConn) error {
		_, err := client(c).GetStatus(soon(t), &vipdv1.GetStatusRequest{})
		return err
	}
	// One that is refused goes on trying: left open, it would take the place that
	// becomes free below.
	refuse := func(what string) {
		t.Helper()
		c := connect()
		defer c.Close()
		if err := ask(c); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: got %v", what, err)
		}
	}
	var open []*grpc.ClientConn
	for range 2 {
		open = append(open, connect())
		if err := ask(open[len(open)-1]); err != nil {
			t.Fatal(err)
		}
	}
	refuse("a third of one caller")
	refused := r.logs.FilterMessage("connection refused").All()
	if len(refused) == 0 || refused[0].ContextMap()["error"] != "uid 1 has 2 connections already" {
		t.Errorf("the log has %v", refused)
	}
	key = "uid 2"
	if err := ask(connect()); err != nil {
		t.Errorf("another caller: %v", err)
	}
	key = "uid 3"
	refuse("a fourth in all")
	if n := r.logs.FilterMessage("too many connections, new ones are closed").Len(); n != 1 {
		t.Errorf("%d lines say so, want 1", n)
	}
	open[0].Close()
	key = "uid 1"
	last := connect(grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err := ask(last); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

func TestLargeMessages(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := client(r.inMemory(t, alice)())
	req := &vipdv1.ReplaceVipsRequest{Owner: "lb"}
	for i := range 10_000 {
		req.Vips = append(req.Vips, &vipdv1.VipSpec{Name: fmt.Sprint("vip-", i), Prefix: "2001:db8::1", Backends: slices.Repeat([]*vipdv1.BackendSpec{
			{Name: "a-backend", Address: "backend.example:8080"}}, 20)})
	}
	got, err := c.ReplaceVips(soon(t), req)
	if err != nil || got.Added != 10_000 {
		t.Errorf("10,000 VIPs: %v, %v", got.GetAdded(), err)
	}
	_, err = c.CheckConfig(soon(t), &vipdv1.CheckConfigRequest{FileName: "a.yaml", Content: make([]byte, 33<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("33 MiB: got %v", err)
	}
}
