package bfdpeer

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQueueKeepsTheOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]neighbor, 100)
	var q queue
	for i := range all {
		all[i].place = i
		q = append(q, &all[i])
	}
	start := time.Unix(0, 0)
	for range 10_000 {
		q.set(&all[random.IntN(len(all))], start.Add(time.Duration(random.IntN(1000))))
		first := slices.MinFunc(all, func(a, b neighbor) int { return a.due.Compare(b.due) })
		if got := q.first(); !got.due.Equal(first.due) || q[got.place] != got {
			t.Fatalf("first is due at %v, want %v", got.due, first.due)
		}
	}
}
