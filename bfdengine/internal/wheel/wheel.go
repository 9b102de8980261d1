// Package wheel holds one deadline for each of many small numbers, and tells
// which have passed. It reads no clock. Setting a deadline costs the same however
// many there are: a BFD engine moves one with every packet.
package wheel

import (
	"math/bits"
	"time"
)

// A level has 256 slots. A slot of level 0 is 2^20 ns wide (about a millisecond),
// of a higher level as wide as the whole level below: 0.27 s, 69 s, 4.9 hours.
const (
	levels    = 3
	slotBits  = 8
	slots     = 1 << slotBits
	tickShift = 20
	none      = -1
)

// A Wheel holds deadlines, which are exact: slots only say where to look. Its
// ids index an array, so they should be small. The zero Wheel is not ready: use New.
type Wheel struct {
	base  time.Time
	tick  int64 // that of the slot of level 0 which is being emptied
	heads [levels][slots]int32
	used  [levels][slots / 64]uint64 // a bit for each slot that is not empty
	nodes []node
}

// A node is one id's place in the list of its slot.
type node struct {
	at         int64 // after base
	next, prev int32
	slot       int16 // none: not in the wheel; else level<<slotBits | slot
}

// New makes an empty wheel. No deadline may be before now.
func New(now time.Time) *Wheel {
	w := &Wheel{base: now}
	for l := range w.heads {
		for s := range w.heads[l] {
			w.heads[l][s] = none
		}
	}
	return w
}

// Set gives id a deadline in place of the one that it has.
func (w *Wheel) Set(id int, at time.Time) {
	for len(w.nodes) <= id {
		w.nodes = append(w.nodes, node{slot: none})
	}
	n := &w.nodes[id]
	ns := int64(at.Sub(w.base))
	if n.slot != none {
		if n.at == ns {
			return
		}
		w.unlink(int32(id))
	}
	n.at = ns
	w.link(int32(id))
}

// Clear takes id's deadline away, if it has one.
func (w *Wheel) Clear(id int) {
	if id < len(w.nodes) && w.nodes[id].slot != none {
		w.unlink(int32(id))
	}
}

// Pop takes out an id whose deadline is not after now; ok is false when there is
// none. The order is that of deadlines only to within a slot.
func (w *Wheel) Pop(now time.Time) (id int, at time.Time, ok bool) {
	ns := int64(now.Sub(w.base))
	for {
		for i := w.heads[0][w.tick&(slots-1)]; i != none; i = w.nodes[i].next {
			if w.nodes[i].at <= ns {
				w.unlink(i)
				return int(i), w.base.Add(time.Duration(w.nodes[i].at)), true
			}
		}
		last := ns >> tickShift
		if w.tick >= last {
			return 0, time.Time{}, false
		}
		w.turn(last)
	}
}

// turn goes on to the next slot in which there is something, but not beyond last.
// Where a level comes round, what the level above has for this turn of it is
// spread over its slots.
func (w *Wheel) turn(last int64) {
	next := min(last, (w.tick|(slots-1))+1)
	if used, found := w.first(0, w.tick+1); found {
		next = min(next, used)
	}
	w.tick = next
	for l := 1; l < levels && w.tick&(1<<(slotBits*l)-1) == 0; l++ {
		s := w.tick >> (slotBits * l) & (slots - 1)
		for i := w.heads[l][s]; i != none; {
			next := w.nodes[i].next
			w.unlink(i)
			w.link(i)
			i = next
		}
	}
}

// Next says when to call Pop again at the latest: at the first deadline, or a
// little before if that is far away. ok is false when the wheel is empty.
func (w *Wheel) Next() (at time.Time, ok bool) {
	first := int64(1<<63 - 1)
	for l := range levels {
		shift := slotBits * l
		slot, found := w.first(l, w.tick>>shift)
		if !found {
			continue
		}
		begin := slot << (shift + tickShift)
		if l == 0 {
			begin = w.earliest(slot)
		}
		first, ok = min(first, begin), true
	}
	return w.base.Add(time.Duration(first)), ok
}

// earliest is the first deadline in a slot of level 0.
func (w *Wheel) earliest(slot int64) int64 {
	at := int64(1<<63 - 1)
	for i := w.heads[0][slot&(slots-1)]; i != none; i = w.nodes[i].next {
		at = min(at, w.nodes[i].at)
	}
	return at
}

// first is the first slot of a level, from the current one on, that is not empty,
// counted since base.
func (w *Wheel) first(level int, current int64) (slot int64, found bool) {
	used := &w.used[level]
	for off := int64(0); off <= slots; {
		s := (current + off) & (slots - 1)
		if word := used[s/64] >> (s % 64); word != 0 {
			off += int64(bits.TrailingZeros64(word))
			return current + off, true
		}
		off += 64 - s%64
	}
	return 0, false
}

func (w *Wheel) link(i int32) {
	n := &w.nodes[i]
	tick := max(n.at>>tickShift, w.tick) // a deadline that has passed is due at once
	l := 0
	for l < levels-1 && tick>>(slotBits*l)-w.tick>>(slotBits*l) >= slots {
		l++
	}
	shift := slotBits * l
	// Beyond the last level: looked at again when that has turned.
	slot := min(tick>>shift, w.tick>>shift+slots-1) & (slots - 1)
	n.slot, n.prev, n.next = int16(int64(l)<<slotBits|slot), none, w.heads[l][slot]
	if n.next != none {
		w.nodes[n.next].prev = i
	}
	w.heads[l][slot] = i
	w.used[l][slot/64] |= 1 << (slot % 64)
}

func (w *Wheel) unlink(i int32) {
	n := &w.nodes[i]
	l, slot := n.slot>>slotBits, n.slot&(slots-1)
	if n.next != none {
		w.nodes[n.next].prev = n.prev
	}
	if n.prev != none {
		w.nodes[n.prev].next = n.next
	} else if w.heads[l][slot] = n.next; n.next == none {
		w.used[l][slot/64] &^= 1 << (slot % 64)
	}
	n.slot = none
}
