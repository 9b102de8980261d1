package bfdengine

import (
	"context"
	"sync"

	"github.com/fiberlb/vipd/bfdengine/session"
)

const (
	historyLen  = 32  // transitions that are kept of a session
	nextHistory = 256 // sessions of which one Next tells
)

// A Change is one transition of a session.
type Change struct {
	Key   Key
	Discr uint32 // ours: tells one life of a Key from the next
	// Seq counts the transitions of this life from 1; Missed is how many before
	// this one were not told, because more than 32 waited.
	Seq, Missed uint64
	session.Event
}

// A history is the last transitions of a session. The worker writes it, holding
// hub.mu, and may therefore read it without.
type history struct {
	key    Key
	discr  uint32
	seq    uint64 // of the last event
	events []session.Event
}

func (h *history) add(e session.Event) {
	if len(h.events) == historyLen {
		copy(h.events, h.events[1:])
		h.events = h.events[:historyLen-1]
	}
	h.events, h.seq = append(h.events, e), h.seq+1
}

// after gives what came after seq, as far as it is kept.
func (h *history) after(seq uint64, all []Change) []Change {
	first := h.seq - uint64(len(h.events)) + 1 // of those that are kept
	for n := max(first, seq+1); n <= h.seq; n++ {
		all = append(all, Change{Key: h.key, Discr: h.discr, Seq: n, Missed: n - seq - 1, Event: h.events[n-first]})
		seq = n
	}
	return all
}

// A hub carries transitions from the worker to subscriptions. These hold
// sessions, not transitions, so that a slow reader costs no more than there are
// sessions, and the last transition of each reaches him.
type hub struct {
	// mu guards all histories and subscriptions. The worker never waits for it.
	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	pending []transition // the worker's: could not be published yet
	ended   bool
}

type transition struct {
	of *history
	session.Event
}

func newHub() *hub { return &hub{subs: map[*Subscription]struct{}{}} }

// publish gives what is pending to the subscriptions, unless one of them is
// being read at this instant: then it is to be called again soon.
func (h *hub) publish() (done bool) {
	if len(h.pending) == 0 {
		return true
	}
	if !h.mu.TryLock() {
		return false
	}
	defer h.mu.Unlock()
	h.tell()
	return true
}

// tell is publish with mu held.
func (h *hub) tell() {
	for _, t := range h.pending {
		for s := range h.subs {
			s.note(t.of)
		}
		t.of.add(t.Event)
	}
	clear(h.pending)
	h.pending = h.pending[:0]
}

// end is publish for the last time: readers get what is left, then ErrStopped.
func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell()
	h.ended = true
	for s := range h.subs {
		s.poke()
	}
}

// A Subscription tells of each transition of each session since Subscribe.
type Subscription struct {
	hub    *hub
	dirty  []*history          // with something to tell, in order
	unread map[*history]uint64 // of those: the Seq that was told last
	wake   chan struct{}
	closed bool
}

// Subscribe makes a Subscription. To know the present too, ask for Sessions
// after it and then call Next: what is told twice has the same Seq.
func (e *Engine) Subscribe() *Subscription {
	s := &Subscription{hub: e.hub, unread: map[*history]uint64{}, wake: make(chan struct{}, 1)}
	e.hub.mu.Lock()
	defer e.hub.mu.Unlock()
	e.hub.subs[s] = struct{}{}
	return s
}

// note is called before h gets its next event.
func (s *Subscription) note(h *history) {
	if _, ok := s.unread[h]; !ok {
		s.unread[h] = h.seq
		s.dirty = append(s.dirty, h)
		s.poke()
	}
}

func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits until there are transitions, and gives them in the order of each
// session. It loses none, except of a session that made more than 32 meanwhile:
// then Missed says how many, and the last is always there. After the engine's
// end, or Close, and when all was told, it gives ErrStopped.
func (s *Subscription) Next(ctx context.Context) ([]Change, error) {
	for {
		all, ended := s.take()
		if len(all) > 0 {
			return all, nil
		}
		if ended {
			return nil, ErrStopped
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Subscription) take() (all []Change, ended bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	n := min(len(s.dirty), nextHistory)
	for _, h := range s.dirty[:n] {
		all = h.after(s.unread[h], all)
		delete(s.unread, h)
	}
	if s.dirty = s.dirty[n:]; len(s.dirty) == 0 {
		s.dirty = nil // what was told must not be held in memory
	}
	return all, s.hub.ended || s.closed
}

// Close ends the subscription; a Next that waits returns.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
	s.closed = true
	s.dirty, s.unread = nil, map[*history]uint64{}
	s.poke()
}
