package gobgpv3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"

	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A daemon answers as told and remembers what would change its table.
type daemon struct {
	api.UnimplementedGobgpApiServer
	asn uint32

	mu      sync.Mutex
	deletes []*api.DeletePathRequest
	adds    []*api.Path // by AddPath and AddPathStream
}

func (d *daemon) GetBgp(context.Context, *api.GetBgpRequest) (*api.GetBgpResponse, error) {
	return &api.GetBgpResponse{Global: &api.Global{Asn: d.asn}}, nil
}

func (d *daemon) AddPath(_ context.Context, r *api.AddPathRequest) (*api.AddPathResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.adds = append(d.adds, r.Path)
	return &api.AddPathResponse{}, nil
}

func (d *daemon) DeletePath(_ context.Context, r *api.DeletePathRequest) (*emptypb.Empty, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deletes = append(d.deletes, r)
	return &emptypb.Empty{}, nil
}

func (d *daemon) AddPathStream(s api.GobgpApi_AddPathStreamServer) error {
	for {
		r, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(&emptypb.Empty{})
		}
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.adds = append(d.adds, r.Paths...)
		d.mu.Unlock()
	}
}

// serve runs the daemon and returns where.
func (d *daemon) serve(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	api.RegisterGobgpApiServer(s, d)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-ended })
	return l.Addr().String()
}

const owner = 7

func dialed(t *testing.T, d *daemon) (bgpclient.Conn, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	c, err := Dial(ctx, bgpclient.DialOptions{Target: d.serve(t), Owner: owner})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// GoBGP takes a DeletePath without one whole path for "all of them". None may
// leave, whatever is asked for.
func TestNothingLeavesButOneWholePath(t *testing.T) {
	d := &daemon{asn: 65001}
	c, err := dialed(t, d)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		ops := make([]bgpclient.Op, rng.IntN(60))
		for i := range ops {
			ops[i] = randomOp(rng)
		}
		_ = c.Apply(t.Context(), ops) // most are refused
		for _, op := range ops {      // and one by one
			_ = c.Apply(t.Context(), []bgpclient.Op{op})
		}
	}
	if len(d.deletes) < 100 || len(d.adds) < 100 {
		t.Fatalf("only %d and %d requests: nothing was tested", len(d.deletes), len(d.adds))
	}
	for _, r := range d.deletes {
		if len(r.Uuid) != 0 || r.VrfId != "" || !r.GetPath().GetIsWithdraw() || !whole(r.Path) || !proto.Equal(r.Family, r.Path.Family) {
			t.Fatalf("DeletePath %v", r)
		}
	}
	for _, p := range d.adds {
		if !whole(p) || p.Age.GetSeconds() == 0 {
			t.Fatalf("path %v", p)
		}
	}
}

func whole(p *api.Path) bool {
	prefix, err := wire.ParsePrefix(p.GetNlriBinary(), afi(p.GetFamily()))
	r, _ := wire.Decode(prefix, p.GetPattrsBinary(), 65001)
	return err == nil && p.Identifier == owner && wire.Check(r) == nil && len(p.PattrsBinary) > 0
}

func randomOp(rng *rand.Rand) bgpclient.Op {
	some := func(list ...string) string { return list[rng.IntN(len(list))] }
	op := bgpclient.Op{Verb: bgpclient.Delete}
	if rng.IntN(4) == 0 {
		op.Verb = bgpclient.Verb(rng.IntN(4))
	}
	op.Route.Prefix, _ = netip.ParsePrefix(some("192.0.2.1/32", "192.0.2.0/24", "2001:db8::1/128", "0.0.0.0/0", "::/0"))
	op.Route = op.Route.Normalize()
	if rng.IntN(50) > 0 {
		return op
	}
	op.Route.Prefix, _ = netip.ParsePrefix(some("", "192.0.2.1/24", "::ffff:1.2.3.4/128"))
	op.Route.NextHop, _ = netip.ParseAddr(some("", "::", "0.0.0.0"))
	return op
}

// A daemon of the other API answers Unimplemented.
func TestDialTellsTheWrongAPI(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	_, err = Dial(t.Context(), bgpclient.DialOptions{Target: l.Addr().String(), Owner: owner})
	if !errors.Is(err, bgpclient.ErrWrongAPI) {
		t.Errorf("%v, want the wrong API", err)
	}
}

// An answer of any form must not crash vipd, nor become a prefix or neighbor
// that is none.
func FuzzAnswers(f *testing.F) {
	nlri, err := anypb.New(&api.IPAddressPrefix{PrefixLen: 32, Prefix: "192.0.2.1"})
	if err != nil {
		f.Fatal(err)
	}
	wrong := &api.Path{Nlri: &anypb.Any{TypeUrl: "type.googleapis.com/apipb.Peer", Value: []byte{1}}, Family: family(wire.AFIv4)}
	path := &api.Path{Nlri: nlri, NlriBinary: []byte{32, 192, 0, 2, 1}, PattrsBinary: [][]byte{{0x40, 1, 1, 0}}, Family: family(wire.AFIv4), NeighborIp: "<nil>"}
	for _, m := range []proto.Message{
		&api.WatchEventResponse{}, &api.Peer{}, path,
		&api.WatchEventResponse{Event: &api.WatchEventResponse_Table{Table: &api.WatchEventResponse_TableEvent{Paths: []*api.Path{path, wrong}}}},
		&api.WatchEventResponse{Event: &api.WatchEventResponse_Peer{Peer: &api.WatchEventResponse_PeerEvent{Peer: peer(bgpclient.Neighbor{Address: netip.IPv6Unspecified(), IPv4: true})}}},
		peer(bgpclient.Neighbor{Address: netip.MustParseAddr("10.0.0.1"), IPv6: true, GracefulRestart: time.Minute, MultihopTTL: 9}),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e api.WatchEventResponse
		if proto.Unmarshal(b, &e) == nil {
			tell(&e, func(c bgpclient.Change) {
				if c.Prefix.IsValid() == c.Neighbor.IsValid() || c.Prefix.IsValid() && c.Prefix != c.Prefix.Masked() {
					t.Errorf("%+v of %v", c, &e)
				}
			})
		}
		var p api.Peer
		if proto.Unmarshal(b, &p) == nil {
			if s := neighborState(&p); s.State > bgpclient.Established || s.HoldTime < 0 {
				t.Errorf("%+v of %v", s, &p)
			}
		}
		var l api.Path
		if proto.Unmarshal(b, &l) == nil {
			_ = fmt.Sprint(listed(&l))
		}
	})
}
