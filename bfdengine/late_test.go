package bfdengine

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T33, the other side of it: silence is judged on time, unless we ourselves were
// late. A packet that came after the deadline, and before we looked, is a sign of
// life like any: the machine may have stood still together with us, and then its
// stamps prove no silence. The gap is counted.
func TestOnlyWhoJudgesOnTimeFindsAPacketTooLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // the deadline, by the kernel's stamp
		read  time.Duration // after the deadline
		want  packet.State
	}{
		{"at the deadline, and read then", 0, 0, packet.Up},
		{"after it, and read with it", time.Millisecond, 2 * time.Millisecond, packet.Up},
		{"long after it, in a stall of ours", time.Second, time.Second + 100*time.Millisecond, packet.Up},
		{"after it, when that was judged", time.Millisecond, -1, packet.Down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			e := r.want(hundred("192.0.2.2"))
			r.up(e)
			deadline := r.clock.Add(300 * time.Millisecond)
			r.pass(299 * time.Millisecond)
			if tt.read < 0 {
				r.pass(time.Millisecond)
				tt.read = tt.after
			}
			r.clock = deadline.Add(tt.read)
			p := r.from(e, packet.Up)
			p.At = deadline.Add(tt.after)
			before := r.stats.Gaps
			r.receiveAll(p)
			r.wantState(e, tt.want)
			c := r.changes()
			if len(c) > 0 != (tt.want == packet.Down) || len(c) > 1 {
				t.Errorf("%+v", c)
			}
			counted := r.stats.Gaps.Sum - before.Sum
			if gap := float64(300*time.Millisecond+tt.after) / float64(300*time.Millisecond); tt.want == packet.Up && (counted < gap*.999 || counted > gap*1.001) {
				t.Errorf("a gap of %v detection times was counted, want %v", counted, gap)
			}
		})
	}
}
