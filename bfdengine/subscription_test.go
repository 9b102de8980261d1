package bfdengine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// A ledger is what the reader of a subscription may rely on.
type ledger struct {
	last map[uint32]Change // by discriminator
	told int
}

// book checks that changes follow on those before: the order of each session, no
// gap that is not owned up to, and no transition that could have been kept missing.
func (l *ledger) book(changes []Change) error {
	for _, c := range changes {
		before, known := l.last[c.Discr]
		if c.Seq != before.Seq+c.Missed+1 {
			return fmt.Errorf("session %d: %d after %d, and %d missed", c.Discr, c.Seq, before.Seq, c.Missed)
		}
		if known && c.Missed == 0 && c.From != before.To {
			return fmt.Errorf("session %d: %d is from %s, the one before was to %s", c.Discr, c.Seq, c.From, before.To)
		}
		l.last[c.Discr] = c
		l.told++
	}
	return nil
}

// A flapper makes random transitions of n sessions.
type flapper struct {
	*rand.Rand
	hub    *hub
	all    []*history
	state  []packet.State
	events int
}

func newFlapper(seed uint64, n int) *flapper {
	f := &flapper{Rand: rand.New(rand.NewPCG(seed, 7)), hub: newHub(), state: make([]packet.State, n)}
	for i := range n {
		key := Key{Peer: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
		f.all = append(f.all, &history{key: key, discr: uint32(i + 1)})
		f.state[i] = packet.Down
	}
	return f
}

func (f *flapper) flap() {
	i := f.IntN(len(f.all))
	to := (f.state[i] + 1 + packet.State(f.IntN(3))) % 4
	f.hub.pending = append(f.hub.pending, transition{f.all[i], session.Event{From: f.state[i], To: to}})
	f.state[i], f.events = to, f.events+1
}

// settled fails unless the reader knows how each session ended.
func (f *flapper) settled(l ledger) error {
	for i, h := range f.all {
		if c := l.last[h.discr]; h.seq > 0 && (c.Seq != h.seq || c.To != f.state[i]) {
			return fmt.Errorf("session %d ended as %s by transition %d: told %+v", h.discr, f.state[i], h.seq, c)
		}
	}
	return nil
}

func TestNoTransitionIsLostWhateverTheReaderDoes(t *testing.T) {
	for seed := range uint64(200) {
		f := newFlapper(seed, 1+int(seed%7))
		e := &Engine{hub: f.hub}
		sub, l := e.Subscribe(), ledger{last: map[uint32]Change{}}
		most := 0 // transitions of one session between two reads
		for range 400 {
			switch f.IntN(8) {
			case 0:
				changes, _ := sub.take()
				if err := l.book(changes); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			case 1:
				f.hub.publish()
			default:
				f.flap()
			}
			for _, h := range f.all {
				most = max(most, int(h.seq-l.last[h.discr].Seq))
			}
		}
		f.hub.publish()
		for range 2 {
			changes, _ := sub.take()
			if err := errors.Join(l.book(changes)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err := f.settled(l); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if most <= historyLen && l.told != f.events {
			t.Fatalf("seed %d: %d of %d told, though never more than %d waited", seed, l.told, f.events, most)
		}
	}
}

// Readers come, read at their own pace and go, while the worker never waits.
func TestReadersAndWorkerAtOnce(t *testing.T) {
	f := newFlapper(1, 50)
	e := &Engine{hub: f.hub}
	var readers sync.WaitGroup
	for range 4 {
		sub := e.Subscribe()
		readers.Go(func() {
			l := ledger{last: map[uint32]Change{}}
			for {
				changes, err := sub.Next(t.Context())
				if errors.Is(err, ErrStopped) {
					if err := f.settled(l); err != nil {
						t.Error(err)
					}
					return
				}
				if err := errors.Join(err, l.book(changes)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	quitter := e.Subscribe()
	for range 20_000 {
		f.flap()
		f.hub.publish()
	}
	quitter.Close()
	f.hub.end()
	readers.Wait()
	if changes, err := quitter.Next(t.Context()); err != ErrStopped || changes != nil {
		t.Errorf("after Close: %v, %v", changes, err)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlapper(1, 1)
		sub := (&Engine{hub: f.hub}).Subscribe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(time.Minute, func() { f.flap(); f.hub.publish() })
		if changes, err := sub.Next(t.Context()); err != nil || len(changes) != 1 {
			t.Errorf("got %v, %v", changes, err)
		}
		time.AfterFunc(time.Minute, sub.Close)
		if _, err := sub.Next(t.Context()); err != ErrStopped {
			t.Errorf("got %v", err)
		}
	})
}

// A reader in the middle of reading does not hold up the worker.
func TestTheWorkerNeverWaitsForAReader(t *testing.T) {
	f := newFlapper(1, 1)
	sub := (&Engine{hub: f.hub}).Subscribe()
	f.hub.mu.Lock()
	f.flap()
	if f.hub.publish() {
		t.Error("published over a reader")
	}
	f.hub.mu.Unlock()
	f.flap()
	if !f.hub.publish() {
		t.Error("not published")
	}
	if changes, _ := sub.take(); len(changes) != 2 {
		t.Errorf("told %d of 2", len(changes))
	}
}
