package bfdpeer

import "time"

// A queue has the neighbors in the order in which they are due: a binary heap
// in which each knows its place, so that it can be moved.
type queue []*neighbor

// first is who is due next.
func (q queue) first() *neighbor { return q[0] }

// set changes when a neighbor is due.
func (q queue) set(n *neighbor, due time.Time) {
	n.due = due
	for n.place > 0 && q.before(n.place, (n.place-1)/2) {
		q.swap(n.place, (n.place-1)/2)
	}
	for {
		child := 2*n.place + 1
		if child+1 < len(q) && q.before(child+1, child) {
			child++
		}
		if child >= len(q) || !q.before(child, n.place) {
			return
		}
		q.swap(n.place, child)
	}
}

func (q queue) before(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q queue) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
