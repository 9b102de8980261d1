package vipctl

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A fake is a vipd that keeps what it is told in memory.
type fake struct {
	vipdv1.UnimplementedVipServiceServer
	stalled chan struct{} // has room for one call that is held

	// mu guards the rest: each call is a goroutine of gRPC's. A test that
	// changes something while vipctl runs takes set.
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
	asked     []proto.Message

	// What a test wants it to do besides. refuse and stall are by method: the
	// answer in its place, and what holds it until it is closed or the caller
	// gives up.
	refuse   map[string]error
	stall    map[string]chan struct{}
	pageSize int                     // of lists; 0: the API's
	forget   uint64                  // events up to it are not kept any more
	progress []*vipdv1.DrainProgress // what Drain tells
	between  chan struct{}           // what is told after the first of it waits for this; nil: nothing waits
	unseen   bool                    // the speaker shows nothing
	astray   bool                    // Watch takes no reader for one that knows where it was
	nameless bool                    // ListEvents names no instance, as it once did
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func newFake(instance string) *fake {
	return &fake{instance: instance, changed: make(chan struct{}), refuse: map[string]error{}, stall: map[string]chan struct{}{}, stalled: make(chan struct{}, 1)}
}

// intercept is around every call.
func (f *fake) intercept(ctx context.Context, method string, req any) error {
	name := method[strings.LastIndex(method, "/")+1:]
	f.mu.Lock()
	if m, ok := req.(proto.Message); ok {
		f.asked = append(f.asked, proto.Clone(m))
	}
	wait, refusal := f.stall[name], f.refuse[name]
	f.mu.Unlock()
	if wait == nil {
		return refusal
	}
	select {
	case f.stalled <- struct{}{}:
	default:
	}
	select {
	case <-wait:
		return refusal
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
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
