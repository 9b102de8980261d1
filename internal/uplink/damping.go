package uplink

import "time"

// damping makes the hold-up longer with each flap, so that a session that comes
// and goes costs the network ever fewer changes: clients need not see its rapid
// ups and downs (RFC 5882 §3.1). Only ups are held: a Down is acted on at once.
type damping struct {
	flaps int // not forgotten yet
	last  time.Time
}

// flap counts a failure. One of the former is forgotten for each HoldUpMax that
// passed since the last: who fails less often than that is held no longer than
// HoldUp.
func (d *damping) flap(at time.Time, c Config) {
	if c.HoldUpMax > 0 && !d.last.IsZero() && at.After(d.last) {
		d.flaps -= int(min(at.Sub(d.last)/c.HoldUpMax, time.Duration(d.flaps)))
	}
	d.last = at
	if d.flaps == 0 || c.HoldUp > 0 && d.hold(c) < c.HoldUpMax { // more would only take longer to forget
		d.flaps++
	}
}

// hold is the hold-up in force.
func (d damping) hold(c Config) time.Duration {
	h := c.HoldUp
	for range d.flaps - 1 {
		if h > c.HoldUpMax/2 {
			return max(h, c.HoldUpMax)
		}
		h *= 2
	}
	return h
}
