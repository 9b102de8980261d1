package bfdengine

import "time"

// A moderation lets packets wait a little for each other once there are many of
// them, as network cards do with interrupts: waking costs more than a packet. No
// detection suffers, since the kernel's stamps say when a packet really came.
type moderation struct {
	window time.Duration // 0: never
	on     bool
	begun  time.Time
	seen   uint64 // packets both ways when the count began
}

const (
	defaultWindow = 500 * time.Microsecond
	// Packets in a second both ways, from which on to moderate, and until when.
	busyRate, quietRate = 4000, 2000
	rateEvery           = 10 * time.Millisecond
)

func (m *moderation) update(now time.Time, packets uint64) {
	d := now.Sub(m.begun)
	if d < rateEvery {
		return
	}
	rate := float64(packets-m.seen) / d.Seconds()
	m.on = m.window > 0 && (rate > busyRate || m.on && rate > quietRate)
	m.begun, m.seen = now, packets
}

// A calm is a time in which the worker is seldom woken, and in time. Then it waits
// as other goroutines do, for a fourth of the CPU time. Otherwise it keeps its
// thread and what Go runs code by to itself: with many packets that is cheaper, and
// on a busy machine, or in a busy process, nobody else must run first.
type calm struct {
	on    bool
	begun time.Time // of the count
	seen  uint64    // packets both ways when the count began
}

const (
	// So many packets in a second both ways are few.
	calmRate  = 100
	calmEvery = time.Second
	// A stall is not the last one.
	calmAfter = 10 * time.Second
)

func (c *calm) update(now time.Time, packets uint64, stalled bool) {
	switch {
	case stalled:
		c.on, c.begun, c.seen = false, now.Add(calmAfter), packets
	case now.Before(c.begun):
		c.seen = packets
	case packets-c.seen > calmRate:
		c.on, c.begun, c.seen = false, now, packets
	case now.Sub(c.begun) >= calmEvery:
		c.on, c.begun, c.seen = true, now, packets
	}
}

// pause publishes what changed, and waits until there is something to do.
func (w *worker) pause() {
	published := w.hub.publish()
	if w.finished() {
		return
	}
	now := w.clock()
	packets := w.stats.Received + w.stats.Sent
	w.moderation.update(now, packets)
	w.calm.update(now, packets, w.stall >= stallFrom)
	limit, doze := w.rest(now, published)
	w.slept = limit
	switch {
	case doze:
		w.waiter.Doze(limit)
	case w.calm.on:
		w.waiter.Park(limit)
	default:
		w.waiter.Wait(limit)
	}
}

// rest says for how long at most to wait, and whether packets are to wait too.
func (w *worker) rest(now time.Time, published bool) (limit time.Duration, doze bool) {
	limit = idle
	if next, ok := w.wheel.Next(); ok {
		limit = min(limit, next.Sub(now))
	}
	if len(w.broken) > 0 {
		limit = min(limit, w.repairAt.Sub(now))
	}
	switch {
	case len(w.backlog) > 0 || w.more:
		return 0, false
	case w.moderation.on:
		return w.moderation.window, true
	case w.deaf:
		return defaultWindow, true
	case !published:
		limit = min(limit, defaultWindow)
	}
	return max(limit, 0), false
}
