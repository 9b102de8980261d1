package healthloop

import (
	"math"
	"time"
)

// recent is how long a backend's last probes took, oldest first from next on,
// in a byte each: 0 is none yet, else the index of the nearest mark, and with
// badMark added that of a bad one.
type recent struct {
	ring [32]uint8
	next uint8 // where the next one goes
}

const badMark = 128

// marks are the durations that a recent can tell apart, from a microsecond to
// 50 minutes, four to a doubling: so the nearest one is at most 9.1 % off. The
// first one stands for none.
var marks = func() (m [badMark]time.Duration) {
	for i := 1; i < len(m); i++ {
		m[i] = time.Duration(float64(time.Microsecond) * math.Exp2(float64(i-1)/4))
	}
	return m
}()

// note takes in one more probe.
func (r *recent) note(took time.Duration, failed bool) {
	doublings := math.Log2(float64(max(took, time.Microsecond)) / float64(time.Microsecond))
	mark := min(1+int(4*doublings+0.5), badMark-1)
	if failed {
		mark += badMark
	}
	r.ring[r.next] = uint8(mark)
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
		case mark < badMark:
			spans = append(spans, marks[mark])
		default:
			spans = append(spans, -marks[mark-badMark])
		}
	}
	return spans
}
