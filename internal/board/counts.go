package board

import (
	"container/list"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Counts is kept with every change: it costs no walk. Its backends are those
// with a weight.
func (b *Board) Counts() *vipdv1.Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return proto.CloneOf(b.counts)
}

// countVIP, countNeighbor and countSession take old out of the counts and now
// into them; nil is none. mu is held.
func (b *Board) countVIP(old, now *vipdv1.Vip) {
	if old != nil {
		addVIP(b.counts, old, minusOne)
	}
	if now != nil {
		addVIP(b.counts, now, 1)
	}
}

func (b *Board) countNeighbor(old, now *vipdv1.Neighbor) {
	if old != nil {
		addNeighbor(b.counts, old, minusOne)
	}
	if now != nil {
		addNeighbor(b.counts, now, 1)
	}
}

func (b *Board) countSession(old, now *vipdv1.BfdSession) {
	if old != nil {
		addSession(b.counts, old, minusOne)
	}
	if now != nil {
		addSession(b.counts, now, 1)
	}
}

// minusOne counts down: unsigned numbers wrap around.
const minusOne = ^uint32(0)

func addVIP(c *vipdv1.Counts, v *vipdv1.Vip, n uint32) {
	c.Vips += n
	switch v.GetState() {
	case "advertised":
		c.Advertised += n
	case "withdrawn":
		c.Withdrawn += n
	default:
		c.Undecided += n
	}
	if v.GetOverride() != nil {
		c.Overridden += n
	}
	if unconfirmed(v) {
		c.Unconfirmed += n
	}
	c.Backends += n * v.GetTally().GetTotal()
	c.BackendsHealthy += n * v.GetTally().GetHealthy()
}

func addNeighbor(c *vipdv1.Counts, of *vipdv1.Neighbor, n uint32) {
	c.Neighbors += n
	if of.GetState() == "established" {
		c.NeighborsEstablished += n
	}
}

func addSession(c *vipdv1.Counts, s *vipdv1.BfdSession, n uint32) {
	c.BfdSessions += n
	if s.GetState() == "up" {
		c.BfdSessionsUp += n
	}
}

// unconfirmed reports whether the speaker does not show what is wanted. Without
// BGP there is no route that it could show.
func unconfirmed(v *vipdv1.Vip) bool { return v.GetRoute() != nil && !v.GetRoute().GetConfirmed() }

// troubled reports whether somebody should look at v: it is not advertised,
// its route is not as wanted, or it is not the only one for the prefix.
func troubled(v *vipdv1.Vip) bool {
	r := v.GetRoute()
	return v.GetState() != "advertised" || unconfirmed(v) || r.GetError() != "" || r.GetForeign()
}

// A queue is names in the order in which they came.
type queue struct {
	order *list.List // of string
	at    map[string]*list.Element
}

func newQueue() queue { return queue{list.New(), map[string]*list.Element{}} }

// set puts name at the end, or takes it out. One that is there keeps its place.
func (q *queue) set(name string, in bool) {
	e, there := q.at[name]
	switch {
	case in && !there:
		q.at[name] = q.order.PushBack(name)
	case !in && there:
		q.order.Remove(e)
		delete(q.at, name)
	}
}

// Troubled returns up to limit VIPs that are withdrawn or undecided, or whose
// route is not confirmed, failed, or has a foreign one beside it: those first
// that are so for longest. It costs what it returns.
func (b *Board) Troubled(limit int) []*vipdv1.Vip {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*vipdv1.Vip, 0, max(0, min(limit, b.trouble.order.Len())))
	for e := b.trouble.order.Front(); e != nil && len(out) < limit; e = e.Next() {
		out = append(out, b.vips.get(e.Value.(string)))
	}
	return out
}
