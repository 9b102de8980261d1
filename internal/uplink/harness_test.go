package uplink

import (
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

const sec = time.Second

// A test is one neighbor with its session, in time that the test moves on.
type test struct {
	*testing.T
	n     neighbor
	now   time.Time
	state packet.State
	seq   uint64
	life  uint32
}

var usual = Config{OnDown: Disable, HoldUp: 5 * sec, HoldUpMax: 60 * sec}

func newTest(t *testing.T, cfg Config, remembered bool) *test {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &test{T: t, n: newNeighbor(cfg, remembered, now), now: now, state: packet.Down, life: 1}
}

func (x *test) advance(d time.Duration) { x.now = x.now.Add(d) }

// to moves the session.
func (x *test) to(s packet.State, with ...func(*Change)) {
	x.Helper()
	x.seq++
	c := Change{Life: x.life, Seq: x.seq, From: x.state, To: s, At: x.now}
	if s == packet.Down {
		c.Diag = packet.ControlDetectionTimeExpired
	}
	for _, f := range with {
		f(&c)
	}
	x.seq, x.state = c.Seq, s
	x.n.Change(c)
}

// comeUp is what a session does after Down, in no time.
func (x *test) comeUp() { x.Helper(); x.to(packet.Init); x.to(packet.Up) }

func remoteAdmin(c *Change) {
	c.RemoteAdmin, c.Diag = true, packet.NeighborSignaledSessionDown
}

// acted tells the neighbor that the speaker did what was wanted.
func (x *test) acted() { x.n.Speaker(BGP{Held: true}, x.now) }

// want fails on another verdict: "" is none, else what it is and why.
func (x *test) want(what string) {
	x.Helper()
	v, _ := x.n.Verdict(x.now)
	have := ""
	switch {
	case v.Disable && v.Withhold:
		have = "both"
	case v.Disable:
		have = "disabled: "
	case v.Withhold:
		have = "withheld: "
	}
	have += v.Reason
	if have != what && (what == "" || !strings.HasPrefix(have, what)) {
		x.Errorf("after %s: have %q, want %q", x.now.Format(time.TimeOnly), have, what)
	}
}

func (x *test) wantAlive(want bool) {
	x.Helper()
	if v, _ := x.n.Verdict(x.now); v.Alive != want {
		x.Errorf("alive: %t, want %t", v.Alive, want)
	}
}

func (x *test) wantNext(in time.Duration) {
	x.Helper()
	if _, next := x.n.Verdict(x.now); in == 0 && !next.IsZero() || in != 0 && !next.Equal(x.now.Add(in)) {
		x.Errorf("next %v, want it in %s", next, in)
	}
}
