package board

import (
	"sort"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A ring is the last responses in the order of their sequences, and wakes who
// waits for more. The Board's mutex guards it.
type ring struct {
	slots   []*vipdv1.WatchResponse
	first   int // the oldest
	kept    int
	bytes   int // about what those that are kept take
	most    int // of bytes
	dropped uint64
	// wake gets one token by the next add, and whoever takes it puts it back for
	// the next who waits: so an add costs the same however many there are. Nil
	// while nobody waits.
	wake chan struct{}
}

func newRing(slots, bytes int) ring {
	return ring{slots: make([]*vipdv1.WatchResponse, slots), most: bytes}
}

func (r *ring) at(i int) *vipdv1.WatchResponse { return r.slots[(r.first+i)%len(r.slots)] }

func (r *ring) add(w *vipdv1.WatchResponse) {
	for size := footprint(w); r.kept == len(r.slots) || r.kept > 0 && r.bytes+size > r.most; {
		r.drop()
	}
	r.slots[(r.first+r.kept)%len(r.slots)] = w
	r.kept++
	r.bytes += footprint(w)
	if r.wake != nil {
		r.wake <- struct{}{} // there is room: it is used once
		r.wake = nil
	}
}

func (r *ring) drop() {
	w := r.slots[r.first]
	r.slots[r.first] = nil
	r.first = (r.first + 1) % len(r.slots)
	r.kept--
	r.bytes -= footprint(w)
	r.dropped = w.GetSequence()
}

// missed reports whether something after sequence is not kept any more.
func (r *ring) missed(sequence uint64) bool { return sequence < r.dropped }

// after is what comes after sequence, oldest first: up to limit of it.
func (r *ring) after(sequence uint64, limit int) []*vipdv1.WatchResponse {
	from := sort.Search(r.kept, func(i int) bool { return r.at(i).GetSequence() > sequence })
	out := make([]*vipdv1.WatchResponse, min(limit, r.kept-from))
	for i := range out {
		out[i] = r.at(from + i)
	}
	return out
}

// wait is a channel with a token once something is added.
func (r *ring) wait() chan struct{} {
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	return r.wake
}

// footprint is about how many bytes of memory w holds. Measuring it would cost
// more than the bound is worth.
func footprint(w *vipdv1.WatchResponse) int {
	const most, perBackend = 1500, 450
	return most + perBackend*len(w.GetChange().GetVip().GetBackends())
}
