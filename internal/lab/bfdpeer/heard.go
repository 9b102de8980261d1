package bfdpeer

import (
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// heard is what a neighbor knows of the daemon's side of its session.
type heard struct {
	sent     time.Time // our last packet
	last     packet.Control
	lastAt   time.Time
	counting bool
	packets  int
	gaps     []float64 // seconds between periodic packets while counting, as shares of the agreed interval
	downs    int       // the daemon gave us up while counting
	// Since we fell silent: when it is to notice at the latest, and when it told.
	deadline, fellAt time.Time
}

// note takes in a packet of the daemon.
func (h *heard) note(at time.Time, c packet.Control) {
	if h.last.State == packet.Up && c.State == packet.Down {
		h.fellAt = at
		if h.counting && c.Diag == packet.ControlDetectionTimeExpired {
			h.downs++
		}
	}
	if h.counting {
		h.packets++
		if !h.lastAt.IsZero() {
			h.gaps = append(h.gaps, at.Sub(h.lastAt).Seconds())
		}
	}
	h.last, h.lastAt = c, at
}

// silent notes that our last packet was the last. The daemon waits for as long
// as RFC 5880 §6.8.4 says.
func (h *heard) silent(o Options) {
	h.deadline = h.sent.Add(time.Duration(o.Mult) * max(h.last.RequiredMinRx, o.Interval))
}
