package session_test

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// T53 "… the local system MUST cease the periodic transmission of BFD Control
// packets" (§6.8.6), and sends them again when the D bit, or Up, is gone.
func TestPeersDemandIsHonored(t *testing.T) {
	x := newUp(t, usual)
	x.configure(func(c *session.Config) { c.DetectMult = 4 })
	x.alive(200*ms, packet.Up)
	x.take() // told it: nothing is left to poll for
	x.peer.Demand = true
	x.get(packet.Up)
	x.alive(10*time.Second, packet.Up)
	x.wantSilence()
	x.wantState(packet.Up)
	x.get(packet.Up, polled)
	x.wantFinal()

	x.peer.Demand = false
	x.get(packet.Up)
	x.alive(5*time.Second, packet.Up)
	wantSpacing(t, x.take(), 50, 75*ms, 100*ms)

	x.peer.Demand = true
	x.get(packet.Up)
	x.take()
	x.get(packet.Init) // the remote state is not Up
	x.alive(time.Second, packet.Init)
	wantSpacing(t, x.take(), 10, 75*ms, 100*ms)

	x.get(packet.Up)
	x.take()
	x.get(packet.Down)
	x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	x.take()
	x.alive(100*ms, packet.AdminDown)
	x.advance(5 * time.Second)
	wantSpacing(t, x.take(), 5, 750*ms, time.Second)
}

// T53 In one direction only: the peer in Demand mode goes on sending, and its
// silence is a failure as ever.
func TestPeersDemandDoesNotExcuseItsSilence(t *testing.T) {
	x := newUp(t, usual)
	x.peer.Demand = true
	x.get(packet.Up)
	x.advance(300 * ms)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// T53 "a Poll Sequence MUST be [initiated] whenever the contents of the next BFD
// Control packet to be sent would be different than the contents of the previous
// packet" while Demand mode is active (§6.6)
func TestNewContentsUnderDemandArePolled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(x *tester)
	}{
		{"interval", func(x *tester) { x.configure(minTx(50 * ms)) }},
		{"multiplier", func(x *tester) { x.configure(func(c *session.Config) { c.DetectMult = 5 }) }},
		{"C bit", func(x *tester) { x.configure(func(c *session.Config) { c.ControlPlaneIndependent = true }) }},
		{"echo", func(x *tester) { x.configure(func(c *session.Config) { c.RequiredMinEchoRx = ms }) }},
		{"peer's discriminator", func(x *tester) { x.peer.MyDiscr++; x.get(packet.Up) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newUp(t, usual)
			x.peer.Demand = true
			x.get(packet.Up)
			x.alive(time.Second, packet.Up)
			x.wantSilence()
			tt.change(x)
			if p := x.takeOne(); !p.Poll {
				t.Errorf("sent %+v", p)
			}
			x.alive(time.Second, packet.Up)
			all := x.take()
			wantSpacing(t, all, 10, 75*ms, 100*ms)
			if !all[len(all)-1].Poll {
				t.Errorf("sent %+v", all[len(all)-1])
			}
			x.get(packet.Up, final)
			x.alive(time.Second, packet.Up)
			x.wantSilence()
		})
	}
}

// T53 The peer's D bit may come between a change and the packet that was to tell
// it.
func TestChangeJustBeforeDemandIsPolled(t *testing.T) {
	x := newUp(t, usual)
	x.configure(func(c *session.Config) { c.DetectMult = 5 })
	x.peer.Demand = true
	x.get(packet.Up)
	x.alive(100*ms, packet.Up)
	if p := x.take()[0]; !p.Poll || p.DetectMult != 5 {
		t.Errorf("sent %+v", p)
	}
}

// T53 A change while the P of another is on its way: the answer may be to a packet
// from before it.
func TestChangeDuringAPollUnderDemandIsPolledAfterIt(t *testing.T) {
	for _, told := range []time.Duration{0, 200 * ms} {
		x := newUp(t, usual)
		x.peer.Demand = true
		x.get(packet.Up)
		x.configure(minTx(50 * ms))
		x.alive(100*ms, packet.Up)
		x.configure(func(c *session.Config) { c.DetectMult = 5 })
		x.alive(told, packet.Up)
		x.get(packet.Up, final)
		x.take()
		x.alive(time.Second, packet.Up)
		all := x.take()
		if len(all) == 0 || !all[0].Poll || all[0].DetectMult != 5 {
			t.Fatalf("sent %+v, want another poll", all)
		}
		x.get(packet.Up, final)
		x.alive(time.Second, packet.Up)
		x.wantSilence()
	}
}

// T14, T53 The poll on the way up comes first.
func TestUpWithDemandPollsAndThenCeases(t *testing.T) {
	x := newTest(t, usual)
	x.peer.Demand = true
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.get(packet.Up)
	x.wantEvent(packet.Up, packet.NoDiagnostic)
	x.take()
	x.alive(time.Second, packet.Up)
	wantSpacing(t, x.take(), 10, 75*ms, 100*ms)
	x.get(packet.Up, final)
	x.alive(time.Second, packet.Up)
	x.wantSilence()
}

// T53 Also where Up changes no interval: its state is new.
func TestUpWithDemandIsPolledForItsState(t *testing.T) {
	slow := usual
	slow.DesiredMinTx = 2 * time.Second
	x := newTest(t, slow)
	x.peer.Demand = true
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.take()
	x.get(packet.Up)
	x.wantEvent(packet.Up, packet.NoDiagnostic)
	if p := x.takeOne(); !p.Poll || p.State != packet.Up {
		t.Errorf("sent %+v", p)
	}
	x.get(packet.Up, final)
	x.alive(10*time.Second, packet.Up)
	x.wantSilence()
}

// T53 "bfd.SessionState is not Up": Demand mode is not active.
func TestDemandIsNothingBeforeUp(t *testing.T) {
	x := newTest(t, usual)
	x.peer.Demand = true
	x.take()
	x.alive(10*time.Second, packet.Up)
	all := x.take()
	wantSpacing(t, all, 10, 750*ms, time.Second)
	for _, p := range all {
		if p.Poll {
			t.Errorf("sent %+v", p)
		}
	}
	x.wantState(packet.Down)
}
