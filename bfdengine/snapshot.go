package bfdengine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/fiberlb/vipd/bfdengine/session"
)

// A Snapshot is a session at one instant.
type Snapshot struct {
	Spec
	session.View
	Source      netip.AddrPort // of our packets; not valid while there is no socket
	Unsolicited bool           // made because the peer asked (RFC 9468)
	Leaving     bool           // removed, and saying AdminDown
	Problem     string         // why packets do not leave; empty: they do
	Out         uint64         // packets that left
	Unsent      uint64         // that could not
	Dropped     uint64         // received for this session, but refused
	Looped      uint64         // echo packets of the peer that were sent back
	// AuthFailures are those of Dropped that were not authenticated as they must be.
	AuthFailures uint64
	// Transitions are the last 32, oldest first; the last of them has this Seq.
	Transitions []session.Event
	Seq         uint64
}

// answerWithin bounds what asks for the present: it is the engine's trouble if
// its thread does not run, and not that of who looks at it.
const answerWithin = 2 * time.Second

// Answers is nil as soon as the thread that runs the sessions has answered. Where
// it does not, in a few seconds at most, neither do they.
func (e *Engine) Answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	return e.calls.do(ctx, func(*worker) {})
}

// snapshots at a time, so that packets need not wait for long.
const snapshotChunk = 32

// Sessions gives all sessions. There are none before Run and after it, and not
// all if the engine does not answer.
func (e *Engine) Sessions() []Snapshot {
	if !e.running.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	var all []Snapshot
	for slot, left := 0, true; left; slot += snapshotChunk {
		err := e.calls.do(ctx, func(w *worker) {
			end := min(slot+snapshotChunk, len(w.table.slots))
			for _, s := range w.table.slots[min(slot, end):end] {
				if s != nil {
					all = append(all, s.snapshot())
				}
			}
			left = end < len(w.table.slots)
		})
		if err != nil {
			return all
		}
	}
	return all
}

// Session gives the session of a key.
func (e *Engine) Session(k Key) (s Snapshot, ok bool) {
	k, err := k.normal()
	if err != nil || !e.running.Load() {
		return Snapshot{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	err = e.calls.do(ctx, func(w *worker) {
		if found := w.table.key(k); found != nil {
			s, ok = found.snapshot(), true
		}
	})
	return s, ok && err == nil
}

// Stats gives the counts; after Run, as they were at its end. They are zero if
// the engine does not answer.
func (e *Engine) Stats() (s Stats) {
	if !e.running.Load() {
		return newCounters().Stats
	}
	read := func(w *worker) {
		s = w.stats.stats()
		s.Sessions = w.table.len()
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	switch err := e.calls.do(ctx, read); {
	case errors.Is(err, ErrStopped):
		read(e.worker) // its thread is no more
	case err != nil:
		return newCounters().Stats
	}
	return s
}

func (e *entry) snapshot() Snapshot {
	s := Snapshot{
		Spec: e.spec, View: e.session.View(), Unsolicited: e.unsolicited, Leaving: e.life != stays,
		Out: e.sent, Unsent: e.unsent, Dropped: e.dropped, AuthFailures: e.unproven,
	}
	s.Auth.Keys = nil // secrets stay here
	if e.problem != nil {
		s.Problem = e.problem.Error()
	}
	if e.echo != nil {
		s.Looped = e.echo.looped
	}
	if e.link != nil {
		s.Source, _ = e.link.Local()
	}
	if e.history != nil {
		s.Transitions, s.Seq = slices.Clone(e.history.events), e.history.seq
	}
	return s
}
