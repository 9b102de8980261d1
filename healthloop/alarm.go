package healthloop

import "time"

// tick is how fine the loop's clock is: whatever falls due within one tick is
// begun in one wake. A thousand wakes a second are cheap, ten thousand are not.
const tick = time.Millisecond

// An alarm is something to do at a time.
type alarm struct {
	ring func(now time.Time)
	pos  int // in alarms, from 1; 0: not set
}

// alarms is a heap of four children a node, the earliest alarm first. Times
// stand in the heap itself: to look for them in 10,000 backends costs more than
// all the rest. They are counted from the loop's beginning, so that a step of
// the wall clock can't disturb their order.
type alarms []entry

type entry struct {
	at time.Duration
	*alarm
}

// at is when a rings, which must be set.
func (as alarms) at(a *alarm) time.Duration { return as[a.pos-1].at }

// set makes a ring at that time instead of any other.
func (as *alarms) set(a *alarm, at time.Duration) {
	if a.pos == 0 {
		*as = append(*as, entry{at, a})
		a.pos = len(*as)
	}
	i := a.pos - 1
	(*as)[i].at = at
	as.down(as.up(i))
}

// unset makes a silent.
func (as *alarms) unset(a *alarm) {
	if a.pos == 0 {
		return
	}
	i, last := a.pos-1, len(*as)-1
	as.swap(i, last)
	(*as)[last], *as = entry{}, (*as)[:last]
	a.pos = 0
	if i < last {
		as.down(as.up(i))
	}
}

// up moves the i-th alarm towards the root and returns where it stays.
func (as *alarms) up(i int) int {
	for i > 0 && (*as)[i].at < (*as)[(i-1)/4].at {
		as.swap(i, (i-1)/4)
		i = (i - 1) / 4
	}
	return i
}

// down moves the i-th alarm away from the root to where it stays.
func (as *alarms) down(i int) {
	h := *as
	for {
		first := i
		for c := 4*i + 1; c <= 4*i+4 && c < len(h); c++ {
			if h[c].at < h[first].at {
				first = c
			}
		}
		if first == i {
			return
		}
		as.swap(i, first)
		i = first
	}
}

func (as *alarms) swap(i, j int) {
	h := *as
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i+1, j+1
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
