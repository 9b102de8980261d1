package bfdengine

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

func TestMain(m *testing.M) {
	if arg, ok := os.LookupEnv(loadPeer); ok {
		os.Exit(runLoadPeer(arg))
	}
	os.Exit(testns.Main(m))
}

// An engine runs until the test ends.
type running struct {
	*Engine
	t    *testing.T
	stop func() // and wait
	sub  *Subscription
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	testns.Need(t)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := &running{Engine: e, t: t, sub: e.Subscribe()}
	go func() { done <- e.Run(ctx) }()
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(func() {
		r.stop()
		goleak.VerifyNone(t)
	})
	return r
}

func on(addrs ...string) Options {
	o := Options{Farewell: -1}
	for _, a := range addrs {
		o.Listen = append(o.Listen, netip.MustParseAddr(a))
	}
	return o
}

func spec(local, peer string) Spec {
	return Spec{
		Key:    Key{Local: netip.MustParseAddr(local), Peer: netip.MustParseAddr(peer)},
		Params: Params{DesiredMinTx: 50 * time.Millisecond, RequiredMinRx: 50 * time.Millisecond},
	}
}

func (r *running) add(s Spec) {
	r.t.Helper()
	if err := r.Add(r.t.Context(), s); err != nil {
		r.t.Fatal(err)
	}
}

// await reads transitions until one is to this state.
func (r *running) await(to packet.State) Change {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	for {
		changes, err := r.sub.Next(ctx)
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", to, err)
		}
		for _, c := range changes {
			if c.To == to {
				return c
			}
		}
	}
}

func TestTwoEnginesComeUpAndTellEachOther(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		edit       func(*Spec)
	}{
		{"ipv4", "127.0.1.1", "127.0.1.2", func(*Spec) {}},
		{"multihop", "127.0.1.1", "127.0.1.2", func(s *Spec) { s.Multihop = true }},
		{"bound to an interface", "127.0.1.1", "127.0.1.2", func(s *Spec) { s.Interface = "lo" }},
		{"authenticated", "127.0.1.1", "127.0.1.2", func(s *Spec) {
			s.Auth = Auth{packet.MeticulousSHA1, []packet.Key{{ID: 1, Secret: []byte("secret")}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := on(tt.a)
			o.Farewell = time.Second
			a, b := start(t, o), start(t, on(tt.b))
			ab, ba := spec(tt.a, tt.b), spec(tt.b, tt.a)
			tt.edit(&ab)
			tt.edit(&ba)
			a.add(ab)
			b.add(ba)
			a.await(packet.Up)
			b.await(packet.Up)

			s, ok := b.Session(ba.Key)
			if !ok || s.State != packet.Up || s.Source.Port() < packet.MinSourcePort || s.Problem != "" {
				t.Errorf("%t %+v", ok, s)
			}
			a.stop()
			c := b.await(packet.Down)
			if c.Diag != packet.NeighborSignaledSessionDown || !c.RemoteAdmin || c.Missed != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestATakenPortIsAClearError(t *testing.T) {
	start(t, on("127.0.1.1"))
	e, err := New(on("127.0.1.1"))
	if err != nil {
		t.Fatal(err)
	}
	err = e.Listen()
	if err == nil || !strings.HasPrefix(err.Error(), "bfd engine: udp 127.0.1.1:3784 is taken (by bfdengine.test") {
		t.Errorf("got %v", err)
	}
}
