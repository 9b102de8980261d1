// Package board is where the present state of this vipd hangs for all to read:
// each VIP, neighbor and BFD session as it is, and the last events. It does not
// know where what it is given comes from.
//
// Who puts never waits for who reads. A reader holds a cursor and nothing else:
// all of them read the same bounded rings, and one that fell behind is told so
// and begins with a snapshot again.
//
//	Put*, Remove* ──▶ objects (as they are now)   ──▶ VIP, VIPs, Counts, snapshots
//	         └──────▶ ring of changes ──┐
//	Note ───────────▶ ring of changes ──┼──▶ any number of Readers
//	         └──────▶ ring of events  ──┘
//
// Changes and events share one sequence, which starts at 1.
package board

import (
	"cmp"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Options bound a Board; the zero value is the defaults.
type Options struct {
	Changes int // kept for readers; 0: 8192
	Events  int // kept; 0: 4096
	// Bytes is about how much memory the changes that are kept may take: those
	// of VIPs with many backends are long. 0: 32 MiB.
	Bytes int
	// Now dates changes and events; nil: time.Now.
	Now func() time.Time
}

// A Board's methods may be called by any goroutine. Messages that are put
// belong to it: nobody changes them any more, and readers share them.
type Board struct {
	instance string
	now      func() time.Time

	// mu guards all below. There is no owner goroutine: who puts must go on at
	// once, also while nobody runs the Board, and nothing waits while it is held.
	mu        sync.Mutex
	sequence  uint64 // of the last change or event
	node      *vipdv1.Node
	vips      shelf[*vipdv1.Vip]
	neighbors shelf[*vipdv1.Neighbor]
	sessions  shelf[*vipdv1.BfdSession]
	counts    *vipdv1.Counts
	trouble   queue
	changes   ring // each sequence has one
	events    ring // those of changes that are events
}

// New returns an empty Board. instance names this life of the program, so that
// a cursor of another one is not taken for one of this.
func New(instance string, o Options) *Board {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Board{
		instance:  instance,
		now:       o.Now,
		vips:      shelf[*vipdv1.Vip]{compare: cmp.Compare[string]},
		neighbors: shelf[*vipdv1.Neighbor]{compare: byAddress},
		sessions:  shelf[*vipdv1.BfdSession]{compare: byAddress},
		counts:    &vipdv1.Counts{},
		trouble:   newQueue(),
		changes:   newRing(cmp.Or(o.Changes, 8192), cmp.Or(o.Bytes, 32<<20)),
		events:    newRing(cmp.Or(o.Events, 4096), cmp.Or(o.Bytes, 32<<20)),
	}
}

// PutNode shows the node as it is now. Here and below, what is shown already
// is no change.
func (b *Board) PutNode(n *vipdv1.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if same(b.node, n) {
		return
	}
	b.node = n
	b.add(&vipdv1.Change{Object: &vipdv1.Change_Node{Node: n}})
}

// PutVIP shows a VIP, by its name.
func (b *Board) PutVIP(v *vipdv1.Vip) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, news := b.vips.put(v.GetName(), v)
	if !news {
		return
	}
	b.countVIP(old, v)
	b.trouble.set(v.GetName(), troubled(v))
	b.add(&vipdv1.Change{Object: &vipdv1.Change_Vip{Vip: v}})
}

// PutNeighbor shows a neighbor, by its address.
func (b *Board) PutNeighbor(n *vipdv1.Neighbor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, news := b.neighbors.put(n.GetAddress(), n)
	if !news {
		return
	}
	b.countNeighbor(old, n)
	b.add(&vipdv1.Change{Object: &vipdv1.Change_Neighbor{Neighbor: n}})
}

// PutSession shows a BFD session, by its id.
func (b *Board) PutSession(s *vipdv1.BfdSession) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, news := b.sessions.put(s.GetId(), s)
	if !news {
		return
	}
	b.countSession(old, s)
	b.add(&vipdv1.Change{Object: &vipdv1.Change_BfdSession{BfdSession: s}})
}

// RemoveVIP takes a VIP down. Here and below, what is not shown is no change.
func (b *Board) RemoveVIP(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.vips.remove(name)
	if !there {
		return
	}
	b.countVIP(old, nil)
	b.trouble.set(name, false)
	b.add(&vipdv1.Change{Object: &vipdv1.Change_VipRemoved{VipRemoved: name}})
}

// RemoveNeighbor takes a neighbor down.
func (b *Board) RemoveNeighbor(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.neighbors.remove(address)
	if !there {
		return
	}
	b.countNeighbor(old, nil)
	b.add(&vipdv1.Change{Object: &vipdv1.Change_NeighborRemoved{NeighborRemoved: address}})
}

// RemoveSession takes a BFD session down.
func (b *Board) RemoveSession(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.sessions.remove(id)
	if !there {
		return
	}
	b.countSession(old, nil)
	b.add(&vipdv1.Change{Object: &vipdv1.Change_BfdSessionRemoved{BfdSessionRemoved: id}})
}

// Instance is the name of this life, as New was given it.
func (b *Board) Instance() string { return b.instance }

// Note adds an event; its Sequence and, where it is unset, At are the Board's
// to fill in.
func (b *Board) Note(e *vipdv1.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.Sequence = b.sequence + 1
	if e.At == nil {
		e.At = timestamppb.New(b.now())
	}
	b.events.add(b.add(&vipdv1.Change{At: e.At, Object: &vipdv1.Change_Event{Event: e}}))
}

// add gives c the next sequence and shows it to all readers. mu is held.
func (b *Board) add(c *vipdv1.Change) *vipdv1.WatchResponse {
	if c.At == nil {
		c.At = timestamppb.New(b.now())
	}
	b.sequence++
	// Made once for all readers, who only send it on.
	w := &vipdv1.WatchResponse{
		Instance: b.instance, Sequence: b.sequence,
		Body: &vipdv1.WatchResponse_Change{Change: c},
	}
	b.changes.add(w)
	return w
}
