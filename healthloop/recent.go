package healthloop

import (
	"math"
	"slices"
	"time"
)

// recent is how long a backend's last probes took, oldest first from next on,
// in a byte each: 0 is none yet, else the index of the nearest mark, and with
// bad added that of a bad one.
type recent struct {
	ring [32]uint8
	next uint8 // where the next one goes
}

const bad = 128

// marks are the durations that a recent can tell apart, from a microsecond to
// 19 minutes, each 18 % more than the one before: so the nearest one is at most
// 9 % off. The first one stands for none.
var marks = func() (s [bad]time.Duration) {
	for i := 1; i < len(s); i++ {
		s[i] = time.Duration(float64(time.Microsecond) * math.Pow(1.18, float64(i-1)))
	}
	return s
}()

// note takes in one more probe.
func (r *recent) note(took time.Duration, failed bool) {
	i, _ := slices.BinarySearch(marks[:], took)
	i = min(max(i, 1), len(marks)-1)
	// The nearest as a proportion: took² > marks[i-1] · marks[i].
	if i > 1 && float64(took)*float64(took) < float64(marks[i-1])*float64(marks[i]) {
		i--
	}
	if failed {
		i += bad
	}
	r.ring[r.next] = uint8(i)
	r.next = (r.next + 1) % uint8(len(r.ring))
}

// spans are the durations, oldest first; those of bad probes are negative.
func (r *recent) spans() []time.Duration {
	if r.ring[0] == 0 {
		return nil
	}
	spans := make([]time.Duration, 0, len(r.ring))
	for i := range r.ring {
		switch mark := r.ring[(int(r.next)+i)%len(r.ring)]; {
		case mark == 0:
		case mark < bad:
			spans = append(spans, marks[mark])
		default:
			spans = append(spans, -marks[mark-bad])
		}
	}
	return spans
}
