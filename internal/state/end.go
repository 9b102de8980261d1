package state

import "time"

// An End is when something that was said for a while ends. Within a boot, time
// since boot counts: nobody sets that.
type End struct {
	At      time.Time     `json:"at"`                // by the wall clock
	Span    time.Duration `json:"span_ns"`           // how long it was to last
	Boot    string        `json:"boot,omitempty"`    // empty: not known
	Elapsed time.Duration `json:"elapsed,omitempty"` // at the end, since Boot
}

// A Clock is what clocks show at one instant.
type Clock struct {
	Now     time.Time     // the wall clock
	Boot    string        // of the kernel; empty: not known
	Elapsed time.Duration // since Boot
}

// ReadClock reads them now.
func ReadClock() Clock { return Clock{Now: time.Now()} }

// In returns the end of what lasts d from c on.
func (c Clock) In(d time.Duration) *End {
	return &End{At: c.Now.Add(d), Span: d, Boot: c.Boot, Elapsed: c.Elapsed + d}
}

// Left returns how long it is to e at c, and whether it is over.
func (e *End) Left(c Clock) (left time.Duration, over bool) {
	left = e.At.Sub(c.Now)
	return max(0, min(left, e.Span)), left <= 0
}
