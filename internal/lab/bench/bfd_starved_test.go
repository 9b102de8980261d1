package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// hogCommand makes this test program take all of the CPU that it is given.
const hogCommand = "be-a-hog"

// hogs are twice as many as the cores that they share with the daemon.
const hogs = 4

func hog() int {
	n := 0
	for n >= 0 { // for some centuries
		n++
	}
	return 0
}

// Eight sessions held while others want the CPU too.
func TestStarved(t *testing.T) {
	before := load()
	var rows []*liveness
	for _, timers := range []timers{{50 * time.Millisecond, 3}, {10 * time.Millisecond, 3}} {
		for _, around := range []struct {
			name     string
			hogs     int
			daemons  []daemon
			realtime int
		}{
			{"idle", 0, []daemon{{"vipd", vipd}, {"BIRD", bird}, {"FRR bfdd", frr}}, 0},
			{fmt.Sprint(hogs, " hogs"), hogs, []daemon{{"vipd", vipd}, {"BIRD", bird}, {"FRR bfdd", frr}}, 0},
			{fmt.Sprint(hogs, " hogs, real-time"), hogs, []daemon{{"vipd", realtimeVipd}}, 51},
		} {
			for _, d := range around.daemons {
				t.Run(fmt.Sprintf("%s, %s/%s", timers, around.name, d.name), func(t *testing.T) {
					b := newBox(t)
					for i := range around.hogs {
						b.link.B.Host.Start("hog"+strconv.Itoa(i), exe(t), hogCommand, "x", "x")
					}
					l := b.watch(d, 8, timers, span(t, 60*time.Second))
					l.Around = around.name
					rows = append(rows, l)
				})
			}
		}
	}
	if len(rows) > 0 {
		publish(t, "starved", before, livenessHead, rows)
	}
}
