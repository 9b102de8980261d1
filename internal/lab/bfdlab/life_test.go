package bfdlab

import (
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// The other side shuts its session, and opens it again. vipd hears that it is on
// purpose, which is no failure, and comes up again by itself. BIRD and GoBGP have
// no word for it.
func TestPeersAdminDown(t *testing.T) {
	each(t, []kind{frrs()}, func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: usual()})
		p.up()
		p.peer.(*frr).shut(true)
		p.Within(soon, "vipd's session is down", func() error { return p.is(1) })
		p.For(2*p.Detection(), "it stays so", func() error { return p.is(1) })
		p.peer.(*frr).shut(false)
		p.up()
		all := p.transcript()
		if got := all.of(false).states(); !strings.Contains(got, "Up AdminDown") {
			t.Errorf("the other said %s", got)
		}
		for _, s := range all.of(true) {
			if s.state == "AdminDown" || s.diag == expired {
				t.Fatalf("vipd says %+v", s)
			}
		}
	})
}

// vipd takes a session out of its configuration, puts it in again, and ends. Each
// time it says AdminDown for as long as the other side listens for silence, so
// that it hears no silence.
func TestOurAdminDown(t *testing.T) {
	each(t, kinds(), func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: usual()})
		config := p.config(p.Timers)
		p.up()
		p.reload(without(config) + "  sessions: []\n")
		down := func() error { return lab.BFDIs(p.peer, p.here, "Down") }
		p.Within(soon, "the other side's session is down", down)
		p.For(2*p.Detection(), "vipd says all of its farewell", down)
		p.reload(config)
		p.up()
		p.stop()
		p.Within(soon, "the other side's session is down", down)
		p.For(2*p.Detection(), "the capture has the last packets too", down)

		all := p.transcript()
		ours := all.of(true)
		if got := ours.states(); strings.Count(got, "Up AdminDown") != 2 || strings.Contains(got, "Up Down") {
			t.Errorf("vipd said %s", got)
		}
		spans := ours.farewells()
		for _, span := range spans {
			if span < p.Detection()*3/4 { // the last of them, and silence from then on
				t.Errorf("vipd said AdminDown for %s, and the other side waits %s for a packet", span, p.Detection())
			}
		}
		for _, s := range all.of(false) {
			if s.diag == expired {
				t.Fatalf("the other side says that its detection time is over: %+v", s)
			}
		}
	})
}

// farewells are for how long AdminDown was said, each time.
func (t transcript) farewells() (spans []time.Duration) {
	var began time.Time
	for i, s := range t {
		if s.state != "AdminDown" {
			continue
		}
		if i == 0 || t[i-1].state != "AdminDown" {
			began = s.at
		}
		if i == len(t)-1 || t[i+1].state != "AdminDown" {
			spans = append(spans, s.at.Sub(began))
		}
	}
	return spans
}

// Either side is killed and started again. Nobody has to help.
func TestRestart(t *testing.T) {
	each(t, kinds(), func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: usual()})
		p.up()
		p.peer.restart()
		p.Within(soon, "vipd's session was down", func() error { return p.fell(1) })
		p.up()
		p.vipd.Kill()
		p.Within(soon, "the other side's session is down", func() error { return lab.BFDIs(p.peer, p.here, "Down") })
		p.vipd.Again()
		p.up()
		p.transcript()
	})
}

// The other side is killed and started again long before the detection time is
// over. It has a new discriminator and knows nothing of the session: vipd hears
// that from it, and does not wait for silence.
func TestQuickRestart(t *testing.T) {
	each(t, kinds(), func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: lab.Timers{Interval: time.Second, Mult: 60}})
		p.up()
		p.peer.restart()
		p.Within(soon, "vipd's session was down", func() error { return p.fell(1) })
		p.up()
		for _, s := range p.transcript().of(true) {
			if s.diag == expired {
				t.Fatalf("vipd says that its detection time is over: %+v", s)
			}
		}
	})
}

// The timers change while the session is up, first vipd's, then the other's. A
// poll sequence agrees each change, and the session stays up.
func TestTimersChange(t *testing.T) {
	each(t, kinds(), func(t *testing.T, k kind) {
		p := newPair(t, k, session{Timers: usual()})
		p.up()
		slower := lab.Timers{Interval: 300 * time.Millisecond, Mult: p.Mult}
		p.reload(p.config(slower))
		p.Within(soon, "vipd expects fewer packets", func() error { return p.detects(slower.Detection()) })
		slowest := lab.Timers{Interval: 400 * time.Millisecond, Mult: p.Mult}
		if k.name != "GoBGP" { // which begins a new session then
			p.peer.change(slowest)
			p.Within(soon, "vipd expects still fewer packets", func() error { return p.detects(slowest.Detection()) })
		}
		p.For(2*p.Detection(), "both stay up", func() error { return p.is(3) })
		if n := p.falls(); n != 0 {
			t.Errorf("vipd's session fell %d times", n)
		}

		all := p.transcript()
		for _, ours := range []bool{true, false} {
			if got := all.of(ours).states(); strings.Count(got, "Up") != 1 || !strings.HasSuffix(got, "Up") {
				t.Errorf("vipd's %t side said %s", ours, got)
			}
		}
		if err := all.agreed(true, slower.Interval); err != nil {
			t.Error(err)
		}
		if k.name != "GoBGP" {
			if err := all.agreed(false, slowest.Interval); err != nil {
				t.Error(err)
			}
		}
	})
}
