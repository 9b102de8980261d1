package control

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

type watching = grpc.ServerStreamingClient[vipdv1.WatchResponse]

// watch returns a stream that has begun.
func watch(t testing.TB, c *grpc.ClientConn, r *vipdv1.WatchRequest) watching {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := client(c).Watch(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	return stream
}

func receive(t testing.TB, s watching) *vipdv1.WatchResponse {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func vip(i int, reason string) *vipdv1.Vip {
	return &vipdv1.Vip{Name: fmt.Sprintf("vip-%05d", i), State: "advertised", Reason: reason}
}

func TestWatchGoesOnWhereItEnded(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := r.inMemory(t, alice)()
	r.board.PutVIP(vip(1, ""))
	first := watch(t, c, &vipdv1.WatchRequest{})
	m := receive(t, first)
	if s := m.GetSnapshot(); !s.GetFirst() || !s.GetLast() || len(s.GetVips()) != 1 || m.Sequence != 1 {
		t.Fatalf("got %v, want a snapshot of one VIP", m)
	}
	r.board.PutVIP(vip(2, ""))
	m = receive(t, first)
	if m.GetChange().GetVip().GetName() != "vip-00002" || m.Sequence != 2 {
		t.Fatalf("got %v, want the second VIP", m)
	}
	r.board.RemoveVIP("vip-00001")
	second := watch(t, c, &vipdv1.WatchRequest{Instance: m.Instance, AfterSequence: m.Sequence})
	if m := receive(t, second); m.GetChange().GetVipRemoved() != "vip-00001" || m.Sequence != 3 {
		t.Errorf("got %v, want what changed meanwhile", m)
	}
	astray := watch(t, c, &vipdv1.WatchRequest{Instance: "another life", AfterSequence: 2})
	if m := receive(t, astray); !m.GetSnapshot().GetMissed() {
		t.Errorf("got %v, want a snapshot that says so", m)
	}
	events := watch(t, c, &vipdv1.WatchRequest{EventsOnly: true})
	r.board.Note(&vipdv1.Event{Kind: "vip", Subject: "x"})
	if m := receive(t, events); m.GetChange().GetEvent().GetSubject() != "x" {
		t.Errorf("got %v, want the event", m)
	}
}

// A client that takes nothing costs others nothing, and vipd one window of
// memory.
func TestWatchersDoNotWaitForOneThatIsStuck(t *testing.T) {
	const watchers, changes = 100, 150
	l := defaultLimits()
	l.callerWatches = watchers + 1
	r := newRig(Options{}, l)
	connect := r.inMemory(t, alice)
	stuck := watch(t, connect(), &vipdv1.WatchRequest{})
	shared := []*grpc.ClientConn{connect(), connect(), connect()}
	var all sync.WaitGroup
	for i := range watchers {
		stream := watch(t, shared[i%len(shared)], &vipdv1.WatchRequest{})
		all.Go(func() {
			last := uint64(0)
			for last < changes {
				m, err := stream.Recv()
				if err != nil {
					t.Error(err)
					return
				}
				if m.GetSnapshot().GetMissed() || m.GetChange() != nil && m.Sequence != last+1 {
					t.Errorf("got %d after %d", m.Sequence, last)
					return
				}
				last = m.Sequence
			}
		})
	}
	before := heap()
	reason := strings.Repeat("x", 4096)
	for i := range changes {
		r.board.PutVIP(vip(i, reason)) // never waits: this test would end by its timeout
	}
	all.Wait()
	// The board keeps 150 changes of 4 KiB once: were they kept for each reader, it
	// would be 60 MiB. Buffers of both sides' streams are in it, too.
	if grown := heap() - before; grown > 25<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	// What it was sent before is still there.
	if s := receive(t, stuck).GetSnapshot(); !s.GetFirst() {
		t.Errorf("got %v, want a snapshot", s)
	}
}

func TestStreamThatIsNotReadEnds(t *testing.T) {
	l := defaultLimits()
	l.sending = 100 * time.Millisecond
	r := newRig(Options{}, l)
	stuck := watch(t, r.inMemory(t, alice)(), &vipdv1.WatchRequest{})
	const changes = 400
	for i := range changes {
		r.board.PutVIP(vip(i, strings.Repeat("x", 2048)))
	}
	eventually(t, "it ends", func() bool { return r.logs.FilterMessage("stream ended: its client does not read").Len() == 1 })
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = stuck.Recv()
	}
	wantError(t, err, codes.ResourceExhausted, "the stream was not read for 100ms: call Watch again with instance and after_sequence of the last response")
	if n < 2 || n > changes/2 {
		t.Errorf("it was sent %d messages before", n)
	}
}

// heap is what is held: gRPC's pools give up their buffers after two rounds.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that takes none of its answers is not waited for.
func TestWhoReadsNoAnswersIsClosed(t *testing.T) {
	l := defaultLimits()
	l.pending = 1 << 20
	r := newRig(Options{}, l)
	for i := range 1000 {
		r.board.PutVIP(vip(i, strings.Repeat("x", 4096)))
	}
	connect := r.inMemory(t, alice)
	greedy := connect(grpc.WithStaticConnWindowSize(64<<10), grpc.WithStaticStreamWindowSize(64<<10))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desc := &grpc.StreamDesc{ServerStreams: true} // so that nothing is received unasked
	for range 8 {
		stream, err := greedy.NewStream(ctx, desc, vipdv1.VipService_ListVips_FullMethodName)
		if err != nil {
			break // closed already
		}
		if err := stream.SendMsg(&vipdv1.ListVipsRequest{}); err != nil {
			break
		}
		if err := stream.CloseSend(); err != nil {
			break
		}
	}
	eventually(t, "it is closed", func() bool {
		return r.logs.FilterMessage("connection closed: it does not read what it asks for").Len() > 0
	})
	modest := client(connect(grpc.WithDefaultCallOptions(grpc.WaitForReady(true))))
	for range 20 {
		if _, err := modest.ListVips(soon(t), &vipdv1.ListVipsRequest{}); err != nil {
			t.Errorf("who reads: %v", err)
		}
	}
}

// An answer may be on its way before it is counted, and more is written than
// answers.
func TestWhatIsUnreadIsCountedInAnyOrder(t *testing.T) {
	var c conn
	for range 1000 {
		c.add(-3 << 20)
		c.add(3 << 20)
	}
	if n := c.pending.Load(); n != 0 {
		t.Errorf("%d bytes are taken for unread", n)
	}
	for range 1000 {
		c.add(-3 << 20)
	}
	if n := c.pending.Load(); n != -credit {
		t.Errorf("%d bytes of credit, want %d", -n, credit)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	l := defaultLimits()
	l.watches, l.callerWatches = 3, 2
	r := newRig(Options{}, l)
	key := "uid 1"
	connect := r.inMemory(t, func() *caller { return &caller{kind: user, actor: Actor(key), key: key} })
	refused := func(c *grpc.ClientConn) {
		t.Helper()
		stream, err := client(c).Watch(soon(t), &vipdv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		wantError(t, err, codes.ResourceExhausted, "too many Watch streams: vipd serves 3, and 2 of one caller")
	}
	one := connect()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	brief, err := client(one).Watch(ctx, &vipdv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, brief)
	watch(t, one, &vipdv1.WatchRequest{})
	refused(one)
	key = "uid 2"
	two := connect()
	watch(t, two, &vipdv1.WatchRequest{})
	refused(two)
	cancel()
	eventually(t, "one that ended makes room", func() bool {
		stream, err := client(two).Watch(soon(t), &vipdv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err == nil
	})
}

// Who loses a role in a reload is told nothing more.
func TestWatchEndsWithTheRole(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	stream := watch(t, r.inMemory(t, alice)(), &vipdv1.WatchRequest{})
	receive(t, stream)
	if err := r.Reconfigure(Roles{UIDs: []uint32{7}}, Roles{UIDs: []uint32{7}}, nil); err != nil {
		t.Fatal(err)
	}
	r.board.PutVIP(vip(1, ""))
	_, err := stream.Recv()
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
}

func TestStopEndsStreamsAndCalls(t *testing.T) {
	l := defaultLimits()
	l.stop = 50 * time.Millisecond
	r := newRig(Options{}, l)
	begun := make(chan bool)
	r.node.drain = func(ctx context.Context, tell func(*vipdv1.DrainProgress) error) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	r.opts.Listen = []string{"127.0.0.1:0"}
	r.opts.InsecureLoopback = true
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	target := r.listeners[0].Addr().String()
	stop := r.run(t)
	stream := watch(t, dial(t, target, nil), &vipdv1.WatchRequest{})
	receive(t, stream)
	drained := make(chan error, 1)
	c := client(dial(t, target, nil))
	go func() { drained <- drain(context.Background(), c) }()
	<-begun
	start := time.Now()
	stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	_, err := stream.Recv()
	wantError(t, err, codes.Unavailable, "vipd stops")
	wantError(t, <-drained, codes.Unavailable, "vipd stops")
}

// What a call under way may take is bounded too.
func TestStopDoesNotWaitForCalls(t *testing.T) {
	l := defaultLimits()
	l.stop = 50 * time.Millisecond
	r := newRig(Options{}, l)
	begun, release := make(chan bool), make(chan bool)
	r.node.seen = func(any) { close(begun); <-release }
	r.opts.Listen, r.opts.InsecureLoopback = []string{"127.0.0.1:0"}, true
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	c := client(dial(t, r.listeners[0].Addr().String(), nil))
	stop := r.run(t)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Undrain(context.Background(), &vipdv1.UndrainRequest{})
		ended <- err
	}()
	<-begun
	time.AfterFunc(200*time.Millisecond, func() { close(release) }) // a node that keeps to ctx would be sooner
	stop()
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestDrainTellsWhatTheNodeTells(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	r.node.drain = func(_ context.Context, tell func(*vipdv1.DrainProgress) error) error {
		for i := range 3 {
			if err := tell(&vipdv1.DrainProgress{RoutesLeft: uint32(2 - i), Done: i == 2}); err != nil {
				return err
			}
		}
		return nil
	}
	stream, err := client(r.inMemory(t, alice)()).Drain(soon(t), &vipdv1.DrainRequest{Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		p, err := stream.Recv()
		if err != nil || p.RoutesLeft != uint32(2-i) || p.Done != (i == 2) {
			t.Errorf("got %v, %v", p, err)
		}
	}
}

// BenchmarkWatch is one change until all of 100 readers have it.
func BenchmarkWatch(b *testing.B) {
	const readers = 100
	l := defaultLimits()
	l.callerWatches = readers
	r := newRig(Options{}, l)
	connect := r.inMemory(b, alice)
	var all sync.WaitGroup
	conns := []*grpc.ClientConn{connect(), connect()}
	ended := make(chan bool)
	for i := range readers {
		stream := watch(b, conns[i%2], &vipdv1.WatchRequest{})
		receive(b, stream)
		go func() {
			for {
				if _, err := stream.Recv(); err != nil {
					ended <- true
					return
				}
				all.Done()
			}
		}()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		all.Add(readers)
		r.board.PutVIP(vip(1, fmt.Sprint("change ", i)))
		all.Wait()
	}
	b.StopTimer()
	for _, c := range conns {
		c.Close()
	}
	for range readers {
		<-ended
	}
}
