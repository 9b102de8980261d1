package vipctl

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A fake is a vipd that keeps what it is told in memory.
type fake struct {
	vipdv1.UnimplementedVipServiceServer

	// refuse answers in place of a method, where it has an entry: by its name.
	refuse map[string]error
	// stall holds calls of a method until it is closed or the caller gives up.
	stall map[string]chan struct{}
	// stalled has room for one call that is held.
	stalled chan struct{}
	// pageSize is of lists; 0: all on one page.
	pageSize int

	// mu guards the rest: each call is a goroutine of gRPC's.
	mu        sync.Mutex
	instance  string
	node      *vipdv1.Node
	vips      []*vipdv1.Vip // by name
	neighbors []*vipdv1.Neighbor
	sessions  []*vipdv1.BfdSession
	events    []*vipdv1.Event
	sequence  uint64
	changes   []*vipdv1.WatchResponse
	changed   chan struct{} // closed when there is another change
	forget    uint64        // events up to it are not kept any more
	asked     []proto.Message
	progress  []*vipdv1.DrainProgress // what Drain tells
	unseen    bool                    // the speaker shows nothing
	nameless  bool                    // ListEvents names no instance, as it once did
}

func newFake(instance string) *fake {
	return &fake{instance: instance, changed: make(chan struct{}), refuse: map[string]error{}, stall: map[string]chan struct{}{}, stalled: make(chan struct{}, 1)}
}

// intercept is around every call.
func (f *fake) intercept(ctx context.Context, method string, req any) error {
	name := method[strings.LastIndex(method, "/")+1:]
	if m, ok := req.(proto.Message); ok {
		f.mu.Lock()
		f.asked = append(f.asked, proto.Clone(m))
		f.mu.Unlock()
	}
	if wait := f.stall[name]; wait != nil {
		select {
		case f.stalled <- struct{}{}:
		default:
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return f.refuse[name]
}

// server serves f.
func (f *fake) server(opts ...grpc.ServerOption) *grpc.Server {
	s := grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(64<<20),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := f.intercept(ctx, info.FullMethod, req); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := f.intercept(s.Context(), info.FullMethod, nil); err != nil {
				return err
			}
			return handle(srv, s)
		}))...)
	vipdv1.RegisterVipServiceServer(s, f)
	return s
}

// last returns the last request of its kind.
func last[T proto.Message](t *testing.T, f *fake) T {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range slices.Backward(f.asked) {
		if r, ok := m.(T); ok {
			return r
		}
	}
	var none T
	t.Fatalf("%T was not called", none)
	return none
}

func (f *fake) find(name string) (*vipdv1.Vip, error) {
	for _, v := range f.vips {
		prefix := netip.MustParsePrefix(v.GetPrefix())
		if v.GetName() == name || v.GetPrefix() == name || prefix.Addr().String() == name {
			return v, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no vip is called %q (vipctl vips lists them)", name)
}

func (f *fake) counts() *vipdv1.Counts {
	c := &vipdv1.Counts{Vips: uint32(len(f.vips)), Neighbors: uint32(len(f.neighbors)), BfdSessions: uint32(len(f.sessions))}
	for _, v := range f.vips {
		switch v.GetState() {
		case "advertised":
			c.Advertised++
		case "withdrawn":
			c.Withdrawn++
		default:
			c.Undecided++
		}
		if v.GetOverride() != nil {
			c.Overridden++
		}
		if !v.GetRoute().GetConfirmed() {
			c.Unconfirmed++
		}
		c.Backends += v.GetTally().GetTotal()
		c.BackendsHealthy += v.GetTally().GetHealthy()
	}
	for _, n := range f.neighbors {
		if n.GetState() == "established" {
			c.NeighborsEstablished++
		}
	}
	for _, s := range f.sessions {
		if s.GetState() == "up" {
			c.BfdSessionsUp++
		}
	}
	return c
}

func (f *fake) GetStatus(context.Context, *vipdv1.GetStatusRequest) (*vipdv1.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &vipdv1.Status{Node: f.node, Counts: f.counts(), Neighbors: f.neighbors, BfdSessions: f.sessions, Sequence: f.sequence}
	for _, v := range f.vips {
		if (v.GetState() != "advertised" || !v.GetRoute().GetConfirmed()) && len(s.Troubled) < 100 {
			s.Troubled = append(s.Troubled, stale(v))
		}
	}
	if len(f.vips) <= 100 {
		for _, v := range f.vips {
			s.Vips = append(s.Vips, stale(v))
		}
	}
	s.Events = slices.Clone(f.events[max(0, len(f.events)-20):])
	slices.Reverse(s.Events)
	return s, nil
}

func (f *fake) ListVips(_ context.Context, r *vipdv1.ListVipsRequest) (*vipdv1.ListVipsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	selected := &selection{search: r.GetSearch(), state: r.GetState(), owner: r.GetOwner()}
	var all []*vipdv1.Vip
	for _, v := range f.vips {
		if !selected.matches(v) {
			continue
		}
		all = append(all, v)
	}
	out := &vipdv1.ListVipsResponse{Total: uint32(len(all))}
	i := slices.IndexFunc(all, func(v *vipdv1.Vip) bool { return v.GetName() > r.GetPageToken() })
	if i < 0 {
		i = len(all)
	}
	size := 1000
	if f.pageSize > 0 {
		size = f.pageSize
	}
	out.Vips = slices.Clone(all[i:min(len(all), i+size)])
	if !r.GetFresh() {
		for j, v := range out.Vips {
			out.Vips[j] = stale(v)
		}
	}
	if i+size < len(all) {
		out.NextPageToken = out.Vips[size-1].GetName()
	}
	return out, nil
}

// stale is a VIP without the figures that only some answers have.
func stale(v *vipdv1.Vip) *vipdv1.Vip {
	v = proto.CloneOf(v)
	v.Sent, v.Spec = nil, nil
	for _, b := range v.Backends {
		b.Probed, b.Latency, b.Latencies, b.Failures = nil, 0, nil, 0
	}
	return v
}

func (f *fake) GetVip(_ context.Context, r *vipdv1.GetVipRequest) (*vipdv1.Vip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(r.GetVip())
}

func (f *fake) ListNeighbors(context.Context, *vipdv1.ListNeighborsRequest) (*vipdv1.ListNeighborsResponse, error) {
	return &vipdv1.ListNeighborsResponse{Neighbors: f.neighbors}, nil
}

func (f *fake) ListBfdSessions(context.Context, *vipdv1.ListBfdSessionsRequest) (*vipdv1.ListBfdSessionsResponse, error) {
	return &vipdv1.ListBfdSessionsResponse{BfdSessions: f.sessions}, nil
}

func (f *fake) ListEvents(_ context.Context, r *vipdv1.ListEventsRequest) (*vipdv1.ListEventsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &vipdv1.ListEventsResponse{Sequence: f.sequence, Instance: f.instance, Missed: r.GetAfterSequence() < f.forget}
	for _, e := range f.events {
		if e.GetSequence() > max(r.GetAfterSequence(), f.forget) &&
			(r.GetKind() == "" || r.GetKind() == e.GetKind()) && (r.GetSubject() == "" || r.GetSubject() == e.GetSubject()) {
			out.Events = append(out.Events, e)
		}
	}
	if f.nameless {
		out.Instance = ""
	}
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = 100
	}
	out.Events = out.Events[max(0, len(out.Events)-limit):]
	return out, nil
}

func (f *fake) Explain(_ context.Context, r *vipdv1.ExplainRequest) (*vipdv1.Explanation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := f.find(r.GetVip())
	if err != nil {
		return nil, err
	}
	return explanation(v), nil
}

// tell adds a change that Watch passes on; an event is kept too.
func (f *fake) tell(c *vipdv1.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tellLocked(c)
}

func (f *fake) tellLocked(c *vipdv1.Change) {
	f.sequence++
	if e := c.GetEvent(); e != nil {
		e.Sequence = f.sequence
		f.events = append(f.events, e)
	}
	f.changes = append(f.changes, &vipdv1.WatchResponse{Instance: f.instance, Sequence: f.sequence, Body: &vipdv1.WatchResponse_Change{Change: c}})
	close(f.changed)
	f.changed = make(chan struct{})
}

// put changes a VIP and tells it.
func (f *fake) put(v *vipdv1.Vip) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.putLocked(v)
}

func (f *fake) putLocked(v *vipdv1.Vip) {
	f.vips = slices.DeleteFunc(f.vips, func(x *vipdv1.Vip) bool { return x.GetName() == v.GetName() })
	f.vips = append(f.vips, v)
	slices.SortFunc(f.vips, func(a, b *vipdv1.Vip) int { return strings.Compare(a.GetName(), b.GetName()) })
	f.tellLocked(&vipdv1.Change{At: ago(0), Object: &vipdv1.Change_Vip{Vip: v}})
}

func (f *fake) Watch(r *vipdv1.WatchRequest, s grpc.ServerStreamingServer[vipdv1.WatchResponse]) error {
	f.mu.Lock()
	f.asked = append(f.asked, proto.Clone(r))
	after, known := r.GetAfterSequence(), r.GetInstance() == f.instance && r.GetAfterSequence() >= f.forget
	if r.GetInstance() == "" && r.GetAfterSequence() == 0 {
		after, known = f.sequence, r.GetEventsOnly()
	}
	var first []*vipdv1.WatchResponse
	if !known {
		after = f.sequence
		first = f.snapshot(r)
	}
	f.mu.Unlock()
	if err := s.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for _, m := range first {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	for {
		f.mu.Lock()
		next, changed := slices.Clone(f.changes), f.changed
		f.mu.Unlock()
		for _, m := range next {
			if m.GetSequence() <= after || r.GetEventsOnly() && m.GetChange().GetEvent() == nil {
				continue
			}
			after = m.GetSequence()
			if err := s.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// snapshot is in two parts, as a large one is.
func (f *fake) snapshot(r *vipdv1.WatchRequest) []*vipdv1.WatchResponse {
	missed := r.GetInstance() != ""
	wrap := func(sequence uint64, s *vipdv1.Snapshot) *vipdv1.WatchResponse {
		return &vipdv1.WatchResponse{Instance: f.instance, Sequence: sequence, Body: &vipdv1.WatchResponse_Snapshot{Snapshot: s}}
	}
	if r.GetEventsOnly() {
		return []*vipdv1.WatchResponse{wrap(f.sequence, &vipdv1.Snapshot{First: true, Last: true, Missed: missed})}
	}
	var vips []*vipdv1.Vip
	for _, v := range f.vips {
		vips = append(vips, stale(v))
	}
	half := len(vips) / 2
	return []*vipdv1.WatchResponse{
		wrap(0, &vipdv1.Snapshot{First: true, Missed: missed, Node: f.node, Vips: vips[:half]}),
		wrap(f.sequence, &vipdv1.Snapshot{Last: true, Vips: vips[half:], Neighbors: f.neighbors, BfdSessions: f.sessions}),
	}
}

func (f *fake) SetOverride(_ context.Context, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := f.find(r.GetVip())
	if err != nil {
		return nil, err
	}
	v = proto.CloneOf(v)
	v.Since = ago(0)
	switch word := r.GetWord(); word {
	case "auto":
		v.Override = nil
		decide(v)
	default:
		v.Override = &vipdv1.Override{Word: word, By: "uid 0 (root)", Reason: r.GetReason(), Since: ago(0)}
		if r.GetTtl() != nil {
			v.Override.Until = ago(-r.GetTtl().AsDuration())
		}
		v.State = map[string]string{"advertise": "advertised", "withdraw": "withdrawn"}[word]
		v.Rule = "override_" + word
		v.Reason = v.State + ": override by uid 0 (root)"
		if r.GetReason() != "" {
			v.Reason += ": " + r.GetReason()
		}
	}
	want := v.State == "advertised"
	v.Route = &vipdv1.Route{Wanted: want, Installed: want, Confirmed: true}
	if f.unseen || !r.GetWait() {
		v.Route.Installed, v.Route.Confirmed = !want, false
	}
	f.putLocked(v)
	if f.unseen && r.GetWait() {
		return nil, status.Errorf(codes.DeadlineExceeded, "vip %s: is decided and kept, but the speaker did not show it in time", v.GetName())
	}
	return v, nil
}

// decide is what the checks say.
func decide(v *vipdv1.Vip) {
	t := v.GetTally()
	v.State, v.Rule = "withdrawn", "checks"
	if t.GetHealthy() > 0 {
		v.State = "advertised"
	}
	v.Reason = fmt.Sprintf("%s: %d of %d backends healthy (minimum %s)", v.State, t.GetHealthy(), t.GetTotal(), v.GetMinHealthy())
}

func (f *fake) Drain(r *vipdv1.DrainRequest, s grpc.ServerStreamingServer[vipdv1.DrainProgress]) error {
	f.mu.Lock()
	f.asked = append(f.asked, proto.Clone(r))
	progress := f.progress
	f.mu.Unlock()
	if !r.GetWait() {
		progress = progress[:1]
	}
	for _, p := range progress {
		if p.GetDrain() != nil && r.GetReason() != "" {
			p.Drain.Reason = r.GetReason()
		}
		if err := s.Send(p); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Undrain(context.Context, *vipdv1.UndrainRequest) (*vipdv1.Node, error) {
	return f.node, nil
}

func (f *fake) UpsertVip(_ context.Context, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owner := r.GetOwner()
	if owner == "" {
		owner = "api"
	}
	spec := r.GetVip()
	v := &vipdv1.Vip{Name: spec.GetName(), Prefix: spec.GetPrefix(), Owner: owner, Version: 1, MinHealthy: "1", Since: ago(0), Spec: spec}
	if old, err := f.find(spec.GetName()); err == nil {
		if r.ExpectedVersion != nil && r.GetExpectedVersion() != old.GetVersion() {
			return nil, status.Errorf(codes.Aborted, "vip %s: its version is %d, not %d", spec.GetName(), old.GetVersion(), r.GetExpectedVersion())
		}
		v.Version = old.GetVersion() + 1
	}
	if spec.GetMinHealthy() != "" {
		v.MinHealthy = spec.GetMinHealthy()
	}
	n := uint32(len(spec.GetBackends()))
	v.Tally = &vipdv1.Tally{Unknown: n, Total: n, TotalWeight: n}
	v.State, v.Rule = "undecided", "undecided"
	v.Reason = fmt.Sprintf("undecided: 0 of %d backends healthy, %d unknown (minimum %s)", n, n, v.MinHealthy)
	v.Route = &vipdv1.Route{Confirmed: true}
	f.putLocked(v)
	return v, nil
}

func (f *fake) DeleteVip(_ context.Context, r *vipdv1.DeleteVipRequest) (*vipdv1.DeleteVipResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := f.find(r.GetVip())
	if err != nil {
		return nil, err
	}
	f.vips = slices.DeleteFunc(f.vips, func(x *vipdv1.Vip) bool { return x == v })
	f.tellLocked(&vipdv1.Change{At: ago(0), Object: &vipdv1.Change_VipRemoved{VipRemoved: v.GetName()}})
	return &vipdv1.DeleteVipResponse{}, nil
}

func (f *fake) ReplaceVips(_ context.Context, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error) {
	return &vipdv1.ReplaceVipsResponse{Added: uint32(len(r.GetVips())), Removed: 1, Generation: 4}, nil
}

func (f *fake) AddBfdSession(_ context.Context, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error) {
	return &vipdv1.BfdSession{Id: r.GetPeer(), Peer: r.GetPeer(), Multihop: r.GetMultihop(), State: "down", Owner: "api"}, nil
}

func (f *fake) RemoveBfdSession(context.Context, *vipdv1.RemoveBfdSessionRequest) (*vipdv1.RemoveBfdSessionResponse, error) {
	return &vipdv1.RemoveBfdSessionResponse{}, nil
}

func (f *fake) Reload(context.Context, *vipdv1.ReloadRequest) (*vipdv1.ReloadResponse, error) {
	return &vipdv1.ReloadResponse{Warnings: []string{"vipd.yaml:3:1: bgp.neighbors[0]: no hold_time"}}, nil
}

func (f *fake) CheckConfig(_ context.Context, r *vipdv1.CheckConfigRequest) (*vipdv1.CheckConfigResponse, error) {
	if strings.Contains(string(r.GetContent()), "hold_downn") {
		return &vipdv1.CheckConfigResponse{Problems: []string{
			r.GetFileName() + `:4:5: vips[0].hold_downn: unknown key (did you mean "hold_down"?)`,
			r.GetFileName() + ":5:5: vips[0].backends: is missing (at least one backend)",
		}}, nil
	}
	return &vipdv1.CheckConfigResponse{Ok: true, Description: "vip web 192.0.2.10/32\n  1 backend, minimum 1\n"}, nil
}
