package healthloop

import (
	"math/bits"
	"time"
)

// The first probes of n backends begin one a millisecond, so that a small
// configuration is decided at once, and a large one within its interval.
// From there each backend drifts to a slot of its own and then stays in it.

// firstTurn is how long the i-th of n new backends waits for its first probe.
func firstTurn(i, n int, interval time.Duration) time.Duration {
	span := min(interval, time.Duration(n)*time.Millisecond)
	return span / time.Duration(n) * time.Duration(i)
}

// goldenRatio is (√5−1)/2 as a fraction of 2⁶⁴. Its multiples, without the whole
// part, fill any interval evenly, however many of them there are: a backend
// added later moves nobody.
const goldenRatio = 0x9E3779B97F4A7C15

// stride is how far apart slots are. Of thousands of backends, those that share
// one are begun in one wake of the loop and answer in few of the process: to
// sleep and to wake costs an idle machine more than a probe does.
const stride = 5 * time.Millisecond

// slot is the phase within its interval of the seq-th backend of the loop.
func slot(seq uint64, interval time.Duration) time.Duration {
	phase, _ := bits.Mul64(seq*goldenRatio, uint64(interval))
	return time.Duration(phase).Truncate(stride)
}

// nextTurn is the turn after that of due, skipping those that are over by now,
// and how many are. It is counted from due and not from now, so that lateness
// does not add up; a backend that is not in its slot yet comes closer to it.
func nextTurn(due, now, slot, interval time.Duration) (next time.Duration, over int) {
	turns := 1 + max(0, now-due)/interval
	next = due + turns*interval
	away := (slot - next) % interval
	if away < 0 {
		away += interval
	}
	return next + min(away, interval/10), int(turns) - 1
}
