package state

import (
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An End is when something that was said for a while ends. Within a boot the
// time since boot decides, for nobody sets that; after another one only the wall
// clock is left, which may have been set.
type End struct {
	At      time.Time     `json:"at"`                   // by the wall clock
	Span    time.Duration `json:"span_ns"`              // how long it was to last
	Boot    string        `json:"boot,omitempty"`       // of the kernel; empty: not known
	Elapsed time.Duration `json:"elapsed_ns,omitempty"` // at the end, since Boot
}

// A Clock is what clocks show at one instant.
type Clock struct {
	Now     time.Time     // the wall clock
	Boot    string        // of the kernel; empty: not known
	Elapsed time.Duration // since Boot, with the time that the machine slept
}

// ReadClock reads them now.
func ReadClock() Clock { return readClock("/proc/sys/kernel/random/boot_id") }

// readClock has only the wall clock to tell where the kernel keeps the rest to
// itself, as in some sandboxes.
func readClock(bootID string) Clock {
	// Without the monotonic reading: it would hide that the clock was set.
	c := Clock{Now: time.Now().UTC().Round(0)}
	id, err := os.ReadFile(bootID)
	if err != nil {
		return c
	}
	var since unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return c
	}
	c.Boot, c.Elapsed = strings.TrimSpace(string(id)), time.Duration(since.Nano())
	return c
}

// In returns the end of what lasts d from c on.
func (c Clock) In(d time.Duration) *End {
	return &End{At: c.Now.Add(d), Span: d, Boot: c.Boot, Elapsed: c.Elapsed + min(d, math.MaxInt64-c.Elapsed)}
}

// Left returns how long it is at c until e, and whether e is over. A clock that
// was set back gives nobody more than he was given at first.
func (e *End) Left(c Clock) (left time.Duration, over bool) {
	left = e.At.Sub(c.Now)
	if e.Boot != "" && e.Boot == c.Boot {
		left = e.Elapsed - c.Elapsed
	}
	return max(0, min(left, e.Span)), left <= 0
}
