package board

import (
	"context"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// partSize is how many objects one part of a snapshot has at most: some 10,000
// VIPs in one message would be larger than gRPC takes.
const partSize = 256

// A Cursor is how far a reader is: the instance and the sequence of what it read
// last. With Sequence 0 it knows nothing yet.
type Cursor struct {
	Instance string
	Sequence uint64
}

// A Reader reads changes. It is one goroutine's. It needs no end: what is not
// referred to any more is gone.
type Reader struct {
	board      *Board
	ring       *ring
	eventsOnly bool
	told       uint64 // all up to it
	// anew: what comes next is a snapshot. astray: the reader asked to go on and
	// can't.
	anew, astray bool
	snapshot     *snapshot // what is left to tell of one
}

// Read returns a Reader that goes on after c. Where that can't be, because c is
// of another life or too old, it begins with a snapshot.
//
// With eventsOnly there are no objects. Then a c without an Instance begins with
// what comes after this call; and where some events are missed, that is told by a
// Snapshot that is first, last and missed, and the oldest that are kept follow.
func (b *Board) Read(c Cursor, eventsOnly bool) *Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Reader{board: b, ring: &b.changes, eventsOnly: eventsOnly, told: c.Sequence}
	if eventsOnly {
		r.ring = &b.events
	}
	asks := c.Sequence > 0
	ours := c.Instance == b.instance && c.Sequence <= b.sequence
	switch {
	case asks && !ours:
		r.anew, r.astray = true, true
	case asks:
	case !eventsOnly:
		r.anew = true
	case c.Instance == "":
		r.told = b.sequence
	}
	return r
}

// Next waits for what comes next and returns it: up to limit changes, or the
// next part of a snapshot, which alone may have more objects. Its error is ctx's.
//
// The parts of a snapshot have Sequence 0 but for the last one, so that nobody
// goes on from the midst of it.
func (r *Reader) Next(ctx context.Context, limit int) ([]*vipdv1.WatchResponse, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next, more := r.next(max(1, limit))
		if len(next) > 0 {
			return next, nil
		}
		select {
		case token := <-more:
			more <- token // for the next who waits
		case <-ctx.Done():
		}
	}
}

// next is Next without waiting: if there is nothing, more has a token when there
// is.
func (r *Reader) next(limit int) (next []*vipdv1.WatchResponse, more chan struct{}) {
	if r.snapshot != nil {
		return r.part(), nil
	}
	b := r.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.anew || r.ring.missed(r.told) {
		r.begin()
		return r.part(), nil
	}
	next = r.ring.after(r.told, limit)
	if len(next) == 0 {
		return nil, r.ring.wait()
	}
	r.told = next[len(next)-1].GetSequence()
	return next, nil
}

// A snapshot is what is left to tell of all objects as of one sequence.
type snapshot struct {
	begun     bool
	missed    bool
	sequence  uint64
	node      *vipdv1.Node
	vips      []*vipdv1.Vip
	neighbors []*vipdv1.Neighbor
	sessions  []*vipdv1.BfdSession
}

// begin takes a snapshot. The board's mutex is held.
func (r *Reader) begin() {
	b := r.board
	// Whoever is here without having been told to begin anew fell behind.
	s := &snapshot{missed: r.astray || !r.anew}
	if r.eventsOnly {
		s.sequence = b.events.dropped
	} else {
		s.sequence = b.sequence
		s.node, s.vips, s.neighbors, s.sessions = b.node, b.vips.all(), b.neighbors.all(), b.sessions.all()
	}
	r.snapshot, r.anew, r.astray = s, false, false
}

// part is the next one of the snapshot. It needs no mutex: what the snapshot
// holds is the reader's.
func (r *Reader) part() []*vipdv1.WatchResponse {
	s := r.snapshot
	out := &vipdv1.Snapshot{First: !s.begun, Missed: s.missed && !s.begun, Node: s.node}
	room := partSize
	if s.node != nil {
		room--
	}
	out.Neighbors, s.neighbors, room = cut(s.neighbors, room)
	out.BfdSessions, s.sessions, room = cut(s.sessions, room)
	out.Vips, s.vips, _ = cut(s.vips, room)
	s.begun, s.node = true, nil
	w := &vipdv1.WatchResponse{Instance: r.board.instance, Body: &vipdv1.WatchResponse_Snapshot{Snapshot: out}}
	if len(s.vips)+len(s.neighbors)+len(s.sessions) == 0 {
		out.Last = true
		w.Sequence = s.sequence
		r.told, r.snapshot = s.sequence, nil
	}
	return []*vipdv1.WatchResponse{w}
}

// cut takes up to room of list off.
func cut[T any](list []T, room int) (head, rest []T, left int) {
	n := min(room, len(list))
	return list[:n:n], list[n:], room - n
}
