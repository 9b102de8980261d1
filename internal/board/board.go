// Package board is where the present state of this vipd hangs for all to read:
// each VIP, neighbor and BFD session as it is, and the last events. It does not
// know where what it is given comes from.
//
// Who puts never waits for who reads. A reader holds a cursor and nothing else:
// all of them read the same bounded ring, and one that it ran away from is told
// so and begins with a snapshot again.
package board

import (
	"context"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Options bound a Board; the zero value is the defaults.
type Options struct {
	Changes int // kept for readers; 0: 8192
	Events  int // kept; 0: 4096
	// Now dates changes and events; nil: time.Now.
	Now func() time.Time
}

// A Board's methods may be called by any goroutine. Messages that are put
// belong to it: nobody changes them any more, and readers share them.
type Board struct{}

// New returns an empty Board. instance names this life of the program, so that
// a cursor of another one is not taken for one of this.
func New(instance string, o Options) *Board { return nil }

// PutNode, PutVIP, PutNeighbor and PutSession show an object as it is now. One
// that is shown already is no change. Sequence is that of the change, or of the
// last one.
func (b *Board) PutNode(n *vipdv1.Node)          {}
func (b *Board) PutVIP(v *vipdv1.Vip)            {}
func (b *Board) PutNeighbor(n *vipdv1.Neighbor)  {}
func (b *Board) PutSession(s *vipdv1.BfdSession) {}

// RemoveVIP, RemoveNeighbor and RemoveSession take an object down.
func (b *Board) RemoveVIP(name string)         {}
func (b *Board) RemoveNeighbor(address string) {}
func (b *Board) RemoveSession(id string)       {}

// Note adds an event; its Sequence and, where it is unset, At are the Board's
// to fill in.
func (b *Board) Note(e *vipdv1.Event) {}

// Node, VIP, Neighbors and Sessions return what is shown; lists are sorted, and
// are the caller's.
func (b *Board) Node() *vipdv1.Node             { return nil }
func (b *Board) VIP(name string) *vipdv1.Vip    { return nil }
func (b *Board) Neighbors() []*vipdv1.Neighbor  { return nil }
func (b *Board) Sessions() []*vipdv1.BfdSession { return nil }

// Counts is kept with every change: it costs no walk.
func (b *Board) Counts() *vipdv1.Counts { return nil }

// Troubled returns up to limit VIPs that are not advertised, or not as wanted,
// those first that are so for longest.
func (b *Board) Troubled(limit int) []*vipdv1.Vip { return nil }

// A Query selects VIPs: empty fields select all.
type Query struct {
	Search string // in name, prefix, owner and reason, whatever the case
	State  string
	Owner  string
	After  string // a name: those that sort behind it
	Limit  int    // 0: no limit
}

// VIPs returns what q selects, by name, whether there are more, and how many
// q selects without After and Limit.
func (b *Board) VIPs(q Query) (vips []*vipdv1.Vip, more bool, total int) { return nil, false, 0 }

// An EventQuery selects events: empty fields select all.
type EventQuery struct {
	Subject, Kind string
	After         uint64 // sequence: later ones only
	Limit         int    // the last so many; 0: no limit
}

// Events returns what q selects, oldest first, the Board's sequence, and
// whether some after q.After are not kept any more.
func (b *Board) Events(q EventQuery) (events []*vipdv1.Event, sequence uint64, missed bool) {
	return nil, 0, false
}

// A Cursor is how far a reader is.
type Cursor struct {
	Instance string
	Sequence uint64
}

// A Reader reads changes. It is one goroutine's.
type Reader struct{}

// Read returns a Reader that goes on after c, or begins with a snapshot where c
// is of another life or too old; eventsOnly leaves objects out, and begins with
// what comes after this call unless c says otherwise.
func (b *Board) Read(c Cursor, eventsOnly bool) *Reader { return nil }

// Next waits for what comes next and returns it: up to limit changes, or the
// next part of a snapshot. Its error is ctx's.
func (r *Reader) Next(ctx context.Context, limit int) ([]*vipdv1.WatchResponse, error) {
	return nil, nil
}
