package publish

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/board"
)

// A room is what there is to publish. mu guards it: the publisher reads while
// the test writes.
type room struct {
	mu        sync.Mutex
	vips      map[string]string // state by name
	neighbors map[string]string
	sessions  []string
	sent      uint64 // by each of them
	interval  time.Duration
	looks     int
	broken    bool
	turned    []string
}

func (r *room) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *room) sources() Sources {
	return Sources{
		Look: func(_ context.Context, names []string) (out []healthloop.VIPStatus, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.looks += len(names)
			if r.broken {
				return nil, errors.New("no answer")
			}
			for _, name := range names {
				if _, ok := r.vips[name]; ok {
					out = append(out, healthloop.VIPStatus{Name: name})
				}
			}
			return out, nil
		},
		VIP: func(s healthloop.VIPStatus) *vipdv1.Vip {
			r.mu.Lock()
			defer r.mu.Unlock()
			return &vipdv1.Vip{Name: s.Name, State: r.vips[s.Name]}
		},
		Name: func(netip.Prefix) (string, bool) { return "a", true },
		Neighbors: func() (out []*vipdv1.Neighbor) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for address, state := range r.neighbors {
				out = append(out, &vipdv1.Neighbor{Address: address, State: state})
			}
			return out
		},
		Turned: func(was, is *vipdv1.Neighbor) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.turned = append(r.turned, was.GetState()+">"+is.GetState())
		},
		Sessions: func(context.Context) (out []*vipdv1.BfdSession) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, id := range r.sessions {
				out = append(out, &vipdv1.BfdSession{Id: id, Sent: r.sent, TxInterval: durationpb.New(r.interval)})
			}
			return out
		},
		Node: func() *vipdv1.Node { return &vipdv1.Node{Name: "n"} },
	}
}

// rig runs a publisher until the test ends.
func rig(t *testing.T, r *room) (*Publisher, *board.Board) {
	t.Helper()
	b := board.New("test", board.Options{})
	p := New(b, r.sources())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t)
	})
	return p, b
}

func sync1(t *testing.T, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSyncShowsWhatWasToldBefore(t *testing.T) {
	r := &room{vips: map[string]string{"a": "withdrawn", "b": "withdrawn"}, neighbors: map[string]string{"10.0.0.1": "idle"}, sessions: []string{"s"}}
	p, b := rig(t, r)
	p.VIP("a")
	p.Neighbors()
	p.Sessions()
	p.Node()
	sync1(t, p)
	if b.VIP("a").GetState() != "withdrawn" || len(b.Neighbors()) != 1 || len(b.Sessions()) != 1 || b.Node().GetName() != "n" {
		t.Errorf("the board has %v, %v, %v, %v", b.VIP("a"), b.Neighbors(), b.Sessions(), b.Node())
	}
	if b.VIP("b") != nil {
		t.Error("b was read, and nobody said that it changed")
	}
	r.change(func() { r.vips["a"], r.neighbors["10.0.0.1"] = "advertised", "established" })
	p.Prefix(netip.MustParsePrefix("192.0.2.1/32")) // a's
	p.Neighbors()
	sync1(t, p)
	if b.VIP("a").GetState() != "advertised" {
		t.Error("a prefix is not taken for its VIP's")
	}
	r.change(func() {
		if len(r.turned) != 2 || r.turned[1] != "idle>established" {
			t.Errorf("turned %q", r.turned)
		}
		delete(r.vips, "a")
		r.neighbors, r.sessions = nil, nil
	})
	p.VIP("a")
	p.Neighbors()
	p.Sessions()
	sync1(t, p)
	if b.VIP("a") != nil || len(b.Neighbors())+len(b.Sessions()) > 0 {
		t.Errorf("what is gone is shown still: %v, %v, %v", b.VIP("a"), b.Neighbors(), b.Sessions())
	}
}

// What can't be read now is read with the next change.
func TestWhatCanNotBeReadStaysStale(t *testing.T) {
	r := &room{vips: map[string]string{"a": "advertised"}, broken: true}
	p, b := rig(t, r)
	p.VIP("a")
	sync1(t, p)
	r.change(func() { r.broken = false })
	sync1(t, p)
	if b.VIP("a").GetState() != "advertised" {
		t.Error("it is forgotten")
	}
}

// What a session sends is no news; how often it does is.
func TestCountersOfSessionsAreNoNews(t *testing.T) {
	r := &room{sessions: []string{"s"}, interval: time.Second}
	p, b := rig(t, r)
	p.Sessions()
	sync1(t, p)
	_, before, _ := b.Events(board.EventQuery{})
	r.change(func() { r.sent = 7 })
	p.Sessions()
	sync1(t, p)
	if _, now, _ := b.Events(board.EventQuery{}); now != before {
		t.Error("every packet is told")
	}
	r.change(func() { r.interval = time.Millisecond })
	p.Sessions()
	sync1(t, p)
	if s := b.Sessions()[0]; s.GetTxInterval().AsDuration() != time.Millisecond || s.GetSent() != 7 {
		t.Errorf("the board has %v", s)
	}
}

// Who changed something while all ends is not kept waiting.
func TestSyncEndsWithThePublisher(t *testing.T) {
	p := New(board.New("test", board.Options{}), (&room{}).sources())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(over); err != nil {
		t.Fatal(err)
	}
	sync1(t, p)
}

// Nothing is read of a VIP that nobody mentioned, however many there are.
func TestOneChangeCostsOneLook(t *testing.T) {
	r := &room{vips: map[string]string{"a": "advertised"}}
	p, _ := rig(t, r)
	for range 1000 {
		p.VIP("a")
	}
	sync1(t, p)
	r.change(func() {
		if r.looks > 100 {
			t.Errorf("%d looks for 1000 changes of one VIP in a row", r.looks)
		}
	})
}
