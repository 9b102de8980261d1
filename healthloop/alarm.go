package healthloop

import (
	"container/heap"
	"time"
)

// tick is how fine the loop's clock is: whatever falls due within one tick is
// begun in one wake. A thousand wakes a second are cheap, ten thousand are not.
const tick = time.Millisecond

// An alarm is something to do at a time. Times are counted from the loop's
// beginning, so that a step of the wall clock can't disturb their order.
type alarm struct {
	at   time.Duration
	ring func(now time.Time)
	pos  int // in alarms, from 1; 0: not set
}

// alarms is a heap, the earliest one first.
type alarms []*alarm

func (as alarms) Len() int           { return len(as) }
func (as alarms) Less(i, j int) bool { return as[i].at < as[j].at }
func (as alarms) Swap(i, j int) {
	as[i], as[j] = as[j], as[i]
	as[i].pos, as[j].pos = i+1, j+1
}

// Push is for package heap only.
func (as *alarms) Push(x any) {
	a := x.(*alarm)
	*as = append(*as, a)
	a.pos = len(*as)
}

// Pop is for package heap only.
func (as *alarms) Pop() any {
	last := len(*as) - 1
	a := (*as)[last]
	(*as)[last], *as = nil, (*as)[:last]
	a.pos = 0
	return a
}

// set makes a ring at that time instead of any other.
func (as *alarms) set(a *alarm, at time.Duration) {
	a.at = at
	if a.pos == 0 {
		heap.Push(as, a)
		return
	}
	heap.Fix(as, a.pos-1)
}

// unset makes a silent.
func (as *alarms) unset(a *alarm) {
	if a.pos != 0 {
		heap.Remove(as, a.pos-1)
	}
}

// next is how long to sleep: to the end of the tick in which the next alarm
// falls due, at most limit.
func (as alarms) next(now, limit time.Duration) time.Duration {
	if len(as) == 0 {
		return limit
	}
	due := (as[0].at + tick - 1).Truncate(tick)
	return min(limit, max(0, due-now))
}
