package bfdengine

import (
	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// Stats are the counts of an engine since it was made.
type Stats struct {
	Sessions, Unsolicited int // at present

	Received, Sent uint64
	Dropped        [packet.NumReasons]uint64 // received, but of no use
	// Lost counts packets for which the kernel had no room: our fault, not a
	// peer's.
	Lost          uint64
	ReceiveErrors uint64
	SendErrors    map[string]uint64 // by the errno's text
	// Unsigned counts packets that were not sent because no key may be used now.
	Unsigned uint64

	Wakes   uint64 // how often the worker ran
	Excused uint64 // detections that were put off because we ourselves had stalled

	Stalls       Histogram // seconds for which the worker was kept from running
	SendLateness Histogram // seconds by which packets left after they were due
	// Gaps between packets of a session that is up, as a share of its detection
	// time: beyond 1 it goes down.
	Gaps Histogram
}

// A Histogram counts values up to each bound, and those beyond the last.
type Histogram struct {
	Bounds []float64 // never written
	Counts [17]uint64
	Sum    float64
}

func (h *Histogram) add(v float64) {
	i := 0
	for i < len(h.Bounds) && v > h.Bounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += v
}

// Bounds are read-only: every Histogram has at most 16.
var (
	secondBounds = []float64{
		50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5,
	}
	shareBounds = []float64{.1, .2, .25, .3, .35, .4, .45, .5, .6, .7, .8, .9, 1, 1.1, 1.5, 2}
)

// sendErrnos are counted one by one, all others together in the place of the 0.
var sendErrnos = [...]unix.Errno{
	0, unix.ECONNREFUSED, unix.ENOBUFS, unix.EPERM, unix.EACCES, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN,
	unix.EADDRNOTAVAIL, unix.EINVAL, unix.ENODEV, unix.EAGAIN, unix.EMSGSIZE, unix.ENOKEY,
}

// counters are what the worker writes; Stats is what it makes of them.
type counters struct {
	Stats
	sendErrors [len(sendErrnos)]uint64
}

func newCounters() counters {
	return counters{Stats: Stats{
		Stalls:       Histogram{Bounds: secondBounds},
		SendLateness: Histogram{Bounds: secondBounds},
		Gaps:         Histogram{Bounds: shareBounds},
	}}
}

func (c *counters) sendError(errno unix.Errno) {
	for i, e := range sendErrnos {
		if e == errno {
			c.sendErrors[i]++
			return
		}
	}
	c.sendErrors[0]++
}

func (c *counters) stats() Stats {
	s := c.Stats
	s.SendErrors = map[string]uint64{}
	for i, n := range c.sendErrors {
		switch {
		case n == 0:
		case i == 0:
			s.SendErrors["other"] = n
		default:
			s.SendErrors[sendErrnos[i].Error()] = n
		}
	}
	return s
}
