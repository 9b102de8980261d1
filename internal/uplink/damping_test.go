package uplink

import (
	"fmt"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T73
func TestFlappingActsOnEachDownAndSettles(t *testing.T) {
	for _, finally := range []packet.State{packet.Up, packet.Down} {
		x := newTest(t, usual, false)
		x.comeUp()
		for range 20 {
			x.to(packet.Down)
			x.want("disabled: BFD session down")
			x.acted()
			x.advance(250 * time.Millisecond)
			x.comeUp()
			x.want("disabled: BFD session up again")
			x.advance(250 * time.Millisecond)
		}
		if finally == packet.Down {
			x.to(packet.Down)
		}
		x.advance(usual.HoldUpMax)
		if finally == packet.Down {
			x.want("disabled: ")
		} else {
			x.want("")
		}
	}
}

func TestHoldUpGrowsIsBoundedAndForgets(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		gap  time.Duration
		want string
	}{
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, sec, "[5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, 60 * sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, 59 * sec, "[5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s]"},
		{Config{HoldUp: 5 * sec}, sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: sec}, sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUpMax: 60 * sec}, sec, "[0s 0s 0s 0s 0s 0s 0s 0s]"},
		{Config{HoldUp: 1<<62 + 1, HoldUpMax: 1<<63 - 1}, sec, fmt.Sprint([]time.Duration{1<<62 + 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1})},
	} {
		var d damping
		var have []time.Duration
		at := time.Unix(1e9, 0)
		for range 8 {
			d.flap(at, c.cfg)
			have = append(have, d.hold(c.cfg))
			at = at.Add(c.gap)
		}
		if fmt.Sprint(have) != c.want {
			t.Errorf("%v every %v: have %v, want %s", c.cfg, c.gap, have, c.want)
		}
	}
	// However long it flapped, ten calm minutes are enough.
	var d damping
	at := time.Unix(1e9, 0)
	for range 10000 {
		d.flap(at, usual)
		at = at.Add(sec)
	}
	d.flap(at.Add(10*time.Minute), usual)
	if have := d.hold(usual); have != usual.HoldUp {
		t.Errorf("held %v", have)
	}
}
