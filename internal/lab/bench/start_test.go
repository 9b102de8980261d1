package bench

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

const (
	starts      = 15
	idleVIPs    = 100
	idleTargets = 4
	megabyte    = 1 << 20
)

// How long vipd takes from its start until its first announcement is on the wire,
// how much memory it holds with 100 VIPs of 4 backends, and how big it is.
func TestStart(t *testing.T) {
	before := load()
	var figures []*figure
	for _, rise := range []int{1, 2} {
		t.Run(fmt.Sprintf("rise %d", rise), func(t *testing.T) {
			name := fmt.Sprintf("start → first announcement, every 1 s, rise %d", rise)
			allowed := 150 + 1000*float64(rise-1)
			figures = append(figures, newFigure(name, "gobgpd 4.8.0", "ms", announcementsAfterStart(t, rise)).target("median", allowed))
		})
	}
	for _, speaker := range []string{"gobgpd 4.8.0", "embedded"} {
		t.Run(speaker, func(t *testing.T) {
			rss := idle(t, speaker == "embedded")
			f := newFigure("idle RSS, 100 VIPs × 4 backends", speaker, "MB", []float64{float64(rss) / megabyte})
			figures = append(figures, f.target("median", 40))
		})
	}
	if len(figures) == 0 {
		return
	}
	info, err := os.Stat(os.Getenv("VIPD_LAB_BINARY"))
	if err != nil {
		t.Fatal(err)
	}
	figures = append(figures, one("binary", "MB", float64(info.Size())/megabyte).target("median", 25))
	record(t, "start", before, figures)
}

func announcementsAfterStart(t *testing.T, rise int) (samples []float64) {
	b := newBox(t)
	b.startGobgpd("4.8.0")
	b.target(1)
	config := vips(1, fmt.Sprintf("kind: http, interval: 1s, rise: %d", rise), func(int) []string { return []string{address(0)} })
	var v *lab.Vipd
	for range starts {
		began := time.Now()
		if v == nil {
			v = b.startVipd(config)
		} else {
			v.Again()
		}
		samples = append(samples, milliseconds(b.announced(1, began).Sub(began)))
		v.Stop(soon) // withdraws
		b.withdrawn(prefixes(vipNet, 1)[0], began)
	}
	return samples
}

// idle is vipd's memory when it has announced everything and 10 s more.
func idle(t *testing.T, embedded bool) (rss int64) {
	b := newBox(t)
	b.target(1)
	vips := vips(idleVIPs, "kind: http, interval: 1s", func(i int) (all []string) {
		for j := range idleTargets {
			all = append(all, address(idleTargets*i+j))
		}
		return all
	})
	var v *lab.Vipd
	if embedded {
		v = b.node.Vipd(fmt.Sprintf("bgp: {speaker: embedded, local_as: %d, router_id: %s, neighbors: [{address: %s, remote_as: %d}]}\n%s",
			nodeAS, b.link.A.V4, b.link.B.V4, torAS, vips))
	} else {
		b.startGobgpd("4.8.0")
		v = b.startVipd(vips)
	}
	b.announced(idleVIPs, time.Time{})
	b.Within(soon, "all backends are up", func() error {
		if v.Metric("vipd_backend_up") != idleVIPs*idleTargets {
			return errors.New("not yet")
		}
		return nil
	})
	pause(10 * time.Second)
	_, rss = v.Usage()
	return rss
}
