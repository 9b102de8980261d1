package control

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// patience is how long what must happen may take on a busy machine.
const patience = 20 * time.Second

// A fakeNode notes who asks for what, and answers with err.
type fakeNode struct {
	mu    sync.Mutex
	calls []string
	err   error
	drain func(ctx context.Context, tell func(*vipdv1.DrainProgress) error) error
	// seen, where it is set, looks at each request.
	seen func(req any)
}

func (n *fakeNode) note(what string, by Actor, req any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, strings.TrimSpace(what+" "+string(by)))
	if n.seen != nil {
		n.seen(req)
	}
	return n.err
}

func (n *fakeNode) called() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.calls)
}

func (n *fakeNode) GetVip(_ context.Context, vip string) (*vipdv1.Vip, error) {
	return &vipdv1.Vip{Name: vip}, n.note("GetVip "+vip, "", vip)
}

func (n *fakeNode) Explain(_ context.Context, vip string) (*vipdv1.Explanation, error) {
	return &vipdv1.Explanation{Vip: &vipdv1.Vip{Name: vip}}, n.note("Explain "+vip, "", vip)
}

// Fresh knows no VIP called gone.
func (n *fakeNode) Fresh(_ context.Context, names []string) (vips []*vipdv1.Vip, err error) {
	for _, name := range names {
		if name != "gone" {
			vips = append(vips, &vipdv1.Vip{Name: name, Reason: "fresh"})
		}
	}
	return vips, n.note("Fresh", "", nil)
}

func (n *fakeNode) Sessions(context.Context) ([]*vipdv1.BfdSession, error) {
	return []*vipdv1.BfdSession{{Id: "s"}}, n.note("Sessions", "", nil)
}

func (n *fakeNode) SetOverride(_ context.Context, by Actor, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error) {
	return &vipdv1.Vip{Name: r.Vip}, n.note("SetOverride", by, r)
}

func (n *fakeNode) Drain(ctx context.Context, by Actor, r *vipdv1.DrainRequest, tell func(*vipdv1.DrainProgress) error) error {
	if err := n.note("Drain", by, r); err != nil || n.drain == nil {
		return err
	}
	return n.drain(ctx, tell)
}

func (n *fakeNode) Undrain(_ context.Context, by Actor) (*vipdv1.Node, error) {
	return &vipdv1.Node{}, n.note("Undrain", by, nil)
}

func (n *fakeNode) UpsertVip(_ context.Context, by Actor, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error) {
	return &vipdv1.Vip{Name: r.Vip.Name}, n.note("UpsertVip", by, r)
}

func (n *fakeNode) DeleteVip(_ context.Context, by Actor, r *vipdv1.DeleteVipRequest) error {
	return n.note("DeleteVip", by, r)
}

func (n *fakeNode) ReplaceVips(_ context.Context, by Actor, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error) {
	return &vipdv1.ReplaceVipsResponse{Added: uint32(len(r.Vips))}, n.note("ReplaceVips", by, r)
}

func (n *fakeNode) AddBfdSession(_ context.Context, by Actor, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error) {
	return &vipdv1.BfdSession{Peer: r.Peer}, n.note("AddBfdSession", by, r)
}

func (n *fakeNode) RemoveBfdSession(_ context.Context, by Actor, r *vipdv1.RemoveBfdSessionRequest) error {
	return n.note("RemoveBfdSession", by, r)
}

func (n *fakeNode) Reload(_ context.Context, by Actor) ([]string, error) {
	return []string{"a warning"}, n.note("Reload", by, nil)
}

func (n *fakeNode) CheckConfig(_ context.Context, name string, _ []byte) (*vipdv1.CheckConfigResponse, error) {
	return &vipdv1.CheckConfigResponse{Ok: true}, n.note("CheckConfig "+name, "", nil)
}

// A rig is a server with a node, a board, and a log that can be read.
type rig struct {
	*Server
	node  *fakeNode
	board *board.Board
	logs  *observer.ObservedLogs
}

func newRig(o Options, l limits) *rig {
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{node: &fakeNode{}, board: board.New("life", board.Options{}), logs: logs}
	o.Node, o.Board, o.Log = r.node, r.board, zap.New(core)
	r.Server = newServer(o, l)
	return r
}

// run serves until the test ends, or stop is called.
func (r *rig) run(t testing.TB) (stop func()) {
	t.Helper()
	if r.listeners == nil {
		if err := r.Listen(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// inMemory serves connections that are all who's, and returns how to make one.
func (r *rig) inMemory(t testing.TB, who func() *caller) func(...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	ln := bufconn.Listen(64 << 10)
	l := r.listener("memory")
	l.Listener = ln
	l.identify = func(c *conn) (net.Conn, *caller, error) { return c, who(), nil }
	r.listeners = append(r.listeners, l)
	r.run(t)
	return func(more ...grpc.DialOption) *grpc.ClientConn {
		more = append(more, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }))
		return dial(t, "passthrough:memory", nil, more...)
	}
}

func alice() *caller {
	return &caller{kind: user, actor: "uid 1000 (alice)", key: "uid 1000", uid: 1000, gids: []uint32{100, 1000}}
}

func dial(t testing.TB, target string, c credentials.TransportCredentials, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if c == nil {
		c = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(target, append(more, grpc.WithTransportCredentials(c), grpc.WithNoProxy())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func client(c *grpc.ClientConn) vipdv1.VipServiceClient { return vipdv1.NewVipServiceClient(c) }

// soon is a context for what must not take for ever.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wantError(t testing.TB, err error, code codes.Code, text string) {
	t.Helper()
	if got := status.Convert(err); got.Code() != code || got.Message() != text {
		t.Errorf("got %v %q\nwant %v %q", got.Code(), got.Message(), code, text)
	}
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s: not in %v", what, patience)
		}
	}
}
