package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

const (
	manyVIPs      = 10_000
	announcements = 9
	restarts      = 3
)

// How long 10,000 VIPs take until all are on the wire, from the moment at which
// vipd can find gobgpd, and from gobgpd's restart after kill -9; beside a bare
// client that asks whether gobgpd is configured and then streams as many routes.
func TestMany(t *testing.T) {
	b := newBox(t)
	before := load()
	m := newMany(t, b)
	var figures []*figure
	for _, version := range []string{"3.37.0", "4.8.0"} {
		var vipd, bare []float64
		for range announcements {
			v, c := m.announce(version)
			vipd, bare = append(vipd, v), append(bare, c)
		}
		figures = append(figures, newFigure("10,000 VIPs announced", "gobgpd "+version, "ms", vipd).
			beside("bare AddPathStream", bare).target("ratio", 1.5))
		vipd, bare = nil, nil
		for range restarts {
			vipd, bare = append(vipd, m.putBack(true)), append(bare, m.putBack(false))
		}
		figures = append(figures, newFigure("10,000 VIPs put back, from gobgpd's start", "gobgpd "+version, "ms", vipd).
			beside("bare AddPathStream", bare).target("ratio", 1.5))
	}
	record(t, "many", before, figures)
}

// A many is a vipd that wants 10,000 VIPs announced. Its way to gobgpd is a
// symbolic link, so that gobgpd can be ready, with its session, before vipd finds
// it.
type many struct {
	t    *testing.T
	b    *box
	vipd *lab.Vipd
	door string
}

func newMany(t *testing.T, b *box) *many {
	t.Helper()
	m := &many{t: t, b: b, door: filepath.Join(filepath.Dir(b.api), "door")}
	b.target(1)
	// No probes while something is measured: only the first ones, in 10 s, which
	// must all succeed.
	vips := vips(manyVIPs, "kind: tcp, interval: 1h, timeout: 20s, rise: 1", func(i int) []string {
		return []string{fmt.Sprintf("127.0.0.1:%d", firstPort)}
	})
	m.vipd = b.node.Vipd(b.config(m.door, vips))
	b.Within(soon, "all backends are up", func() error {
		if n := m.vipd.Metric("vipd_backend_up"); n != manyVIPs {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	return m
}

// fresh restarts gobgpd, and returns when.
func (m *many) fresh(version string) time.Time {
	m.t.Helper()
	if m.b.gobgpd == nil {
		began := time.Now()
		m.b.startGobgpd(version)
		return began
	}
	m.b.gobgpd.Kill()
	m.b.Within(soon, "the session is gone", func() error { return m.b.heard.Established(0) })
	_ = os.Remove(m.b.api) // which gobgpd leaves behind and then trips over
	began := time.Now()
	if m.b.version == version {
		m.b.gobgpd.Again()
	} else {
		m.b.gobgpd.Replace(version)
		m.b.version = version
	}
	return began
}

func (m *many) open(yes bool) {
	m.t.Helper()
	_ = os.Remove(m.door)
	if yes {
		if err := os.Symlink(m.b.api, m.door); err != nil {
			m.t.Fatal(err)
		}
	}
}

// announce times both, each on an empty gobgpd whose session stands, and each from
// before it connects.
func (m *many) announce(version string) (vipd, bare float64) {
	m.t.Helper()
	m.open(false)
	m.fresh(version)
	m.b.session()
	began := time.Now()
	m.stream()
	bare = milliseconds(m.b.announced(manyVIPs, began).Sub(began))
	m.fresh(version)
	m.b.session()
	began = time.Now()
	m.open(true)
	return milliseconds(m.b.announced(manyVIPs, began).Sub(began)), bare
}

// stream is all that the bare client does.
func (m *many) stream() {
	m.t.Helper()
	client := dial(m.t, m.b)
	client.answers(m.t)
	client.stream(m.t, prefixes(bareNet, manyVIPs), false)
}

// putBack times from gobgpd's start until all routes are on the wire. Most of it
// is the BGP session's return.
func (m *many) putBack(byVipd bool) float64 {
	m.t.Helper()
	m.open(byVipd)
	began := m.fresh(m.b.version)
	if !byVipd {
		m.stream()
	}
	return milliseconds(m.b.announced(manyVIPs, began).Sub(began))
}
