package session_test

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// T10 "If bfd.SessionState is AdminDown … Discard the packet" (§6.8.6)
func TestAdminDownIgnoresThePeer(t *testing.T) {
	x := newUp(t, usual)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	for _, state := range []packet.State{packet.AdminDown, packet.Down, packet.Init, packet.Up} {
		x.get(state)
		x.wantState(packet.AdminDown)
	}
	x.advance(10 * time.Second)
	x.wantState(packet.AdminDown)
}

// T11 "BFD Control packets SHOULD be transmitted for at least a Detection Time
// after transitioning to AdminDown state" (§6.8.16)
func TestAdminDownIsToldForADetectionTime(t *testing.T) {
	for _, answered := range []bool{false, true} {
		x := newUp(t, usual)
		x.advance(20 * ms)
		x.disable(packet.AdministrativelyDown)
		if e := x.wantEvent(packet.AdminDown, packet.AdministrativelyDown); e.From != packet.Up || e.RemoteAdmin {
			t.Errorf("event %+v", e)
		}
		if answered { // the peer's F is not a reason to be slower
			x.get(packet.Down, final)
		}
		start := x.now
		x.advance(299 * ms)
		if x.s.Stopped() {
			t.Error("stopped before the detection time of the peer")
		}
		x.advance(101 * ms)
		if !x.s.Stopped() {
			t.Error("not stopped")
		}
		all := x.take()
		wantSpacing(t, all, 4, 75*ms, 100*ms)
		for _, p := range all {
			if p.State != packet.AdminDown || p.Diag != packet.AdministrativelyDown {
				t.Errorf("sent %+v", p)
			}
		}
		if last := all[len(all)-1].at.Sub(start); !all[0].at.Equal(start) || last < 300*ms {
			t.Errorf("sent from %v to %v, want for 300ms", all[0].at.Sub(start), last)
		}
		x.alive(10*time.Second, packet.Down)
		x.wantSilence()
	}
}

// T11 The peer waits by the slower of its rate and ours, and by what we told it.
func TestAdminDownIsToldAsLongAsThePeerWaits(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms)) // and no answer yet
	x.alive(200*ms, packet.Up)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.take()
	x.advance(900*ms - 1)
	if x.s.Stopped() {
		t.Error("stopped too early")
	}
	wantSpacing(t, x.take(), 8, 75*ms, 100*ms)

	c := usual
	c.DetectMult = 5
	x = newUp(t, c)
	x.peer.RequiredMinRx = 400 * ms
	x.get(packet.Up)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.advance(2*time.Second - 1)
	if x.s.Stopped() {
		t.Error("stopped too early")
	}
	x.advance(401 * ms)
	if !x.s.Stopped() {
		t.Error("not stopped")
	}
}

// T18, T52 Who may not be sent to is not waited for longer than others.
func TestAdminDownEndsWithoutPackets(t *testing.T) {
	x := newUp(t, usual)
	x.peer.RequiredMinRx = 0
	x.get(packet.Up)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.takeOne()
	x.advance(100 * ms)
	x.get(packet.Down, func(p *packet.Control) { p.RequiredMinRx = 0 })
	x.advance(200*ms - 1)
	if x.s.Stopped() {
		t.Error("stopped too early")
	}
	x.advance(1)
	if !x.s.Stopped() {
		t.Error("not stopped")
	}
	x.take()

	passive := usual
	passive.Passive = true
	x = newTest(t, passive)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.wantSilence()
	if !x.s.Stopped() {
		t.Error("nobody was heard, nobody is told: want it stopped at once")
	}
}

// T26 Nothing is left to tell, but who asks is answered.
func TestStoppedAnswersPolls(t *testing.T) {
	x := newUp(t, usual)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.advance(time.Second)
	x.take()
	x.get(packet.Down, polled)
	if p := x.wantFinal(); p.State != packet.AdminDown || p.Poll {
		t.Errorf("answered %+v", p)
	}
	x.wantSilence()
}

// T56 "an implementation MAY administratively disable the session with the
// diagnostic Path Down" (§6.8.16)
func TestPathDown(t *testing.T) {
	x := newUp(t, usual)
	x.disable(packet.PathDown)
	x.wantEvent(packet.AdminDown, packet.PathDown)
	x.takeOne()
	x.advance(200 * ms)
	x.disable(packet.PathDown) // not from the start again
	x.advance(200 * ms)
	x.take()
	x.disable(packet.PathDown)
	if !x.s.Stopped() {
		t.Error("began anew")
	}
	x.wantSilence()
	// Another reason is told as the first was.
	x.disable(packet.AdministrativelyDown)
	x.wantState(packet.AdminDown)
	if p := x.takeOne(); p.Diag != packet.AdministrativelyDown || x.s.Stopped() {
		t.Errorf("sent %+v", p)
	}
}

// T12 "If enabling session … Set bfd.SessionState to Down" (§6.8.16)
func TestEnableStartsFromDown(t *testing.T) {
	for _, wait := range []time.Duration{50 * ms, 10 * time.Second} { // before and after it stops
		x := newUp(t, usual)
		x.enable() // nothing to do
		x.wantState(packet.Up)
		x.disable(packet.AdministrativelyDown)
		x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
		x.advance(wait)
		x.take()
		x.enable()
		x.wantEvent(packet.Down, packet.NoDiagnostic)
		if p := x.takeOne(); p.State != packet.Down || p.DesiredMinTx != time.Second || x.s.Stopped() {
			t.Errorf("sent %+v", p)
		}
		x.advance(5 * time.Second)
		wantSpacing(t, x.take(), 5, 750*ms, time.Second)
		x.bringUp()
	}
}

// A session that is down for its owner is configured as any other.
func TestConfigureInAdminDown(t *testing.T) {
	x := newUp(t, usual)
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.configure(func(c *session.Config) { c.DetectMult, c.RequiredMinRx = 7, 200*ms })
	x.wantState(packet.AdminDown)
	x.advance(10 * time.Second)
	x.enable()
	x.wantEvent(packet.Down, packet.NoDiagnostic)
	x.bringUp()
	x.get(packet.Up)
	if v := x.s.View(); v.RequiredMinRx != 200*ms || v.Detection != 600*ms {
		t.Errorf("got %+v", v)
	}
}
