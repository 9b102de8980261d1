package session_test

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// T01 "Down state … the session … has just been created" (§6.2)
func TestNewSessionSendsDownSlowly(t *testing.T) {
	x := newTest(t, usual)
	want := packet.Control{
		State: packet.Down, MyDiscr: ours, DetectMult: 3,
		DesiredMinTx: time.Second, RequiredMinRx: 100 * ms,
	}
	if got := x.takeOne(); got != want {
		t.Errorf("sent %+v, want %+v", got, want)
	}
	x.advance(20 * time.Second)
	x.wantState(packet.Down)
	wantSpacing(t, x.take(), 20, 750*ms, time.Second) // T13
}

// T02 "If received State is Down … Set bfd.SessionState to Init", and "Set
// bfd.RemoteDiscr to the value of My Discriminator" (§6.8.6)
func TestDownAndDownIsInit(t *testing.T) {
	x := newTest(t, usual)
	x.take()
	x.get(packet.Down, func(p *packet.Control) { p.YourDiscr = 0 })
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	if p := x.takeOne(); p.State != packet.Init || p.YourDiscr != peers || p.DesiredMinTx < time.Second {
		t.Errorf("sent %+v, want Init with the peer's discriminator", p)
	}
}

// T03
func TestDownAndInitIsUp(t *testing.T) {
	x := newTest(t, usual)
	x.get(packet.Init)
	x.wantEvent(packet.Up, packet.NoDiagnostic)
}

// T04 The peer's Up may be about a session of ours that is no more.
func TestDownStaysDownWhenThePeerIsUp(t *testing.T) {
	x := newTest(t, usual)
	x.get(packet.Up)
	x.wantState(packet.Down)
}

// T05
func TestInitAndInitOrUpIsUp(t *testing.T) {
	for _, state := range []packet.State{packet.Init, packet.Up} {
		t.Run(state.String(), func(t *testing.T) {
			x := newTest(t, usual)
			x.get(packet.Down)
			x.wantEvent(packet.Init, packet.NoDiagnostic)
			x.get(state)
			x.wantEvent(packet.Up, packet.NoDiagnostic)
			x.alive(time.Second, packet.Up)
			x.wantState(packet.Up)
		})
	}
}

// T06
func TestDownRefreshesInit(t *testing.T) {
	x := newTest(t, usual)
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.advance(299 * ms)
	x.get(packet.Down)
	x.advance(299 * ms)
	x.wantState(packet.Init)
	x.advance(1 * ms)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// T07
func TestPeersDownIsFailure(t *testing.T) {
	x := newUp(t, usual)
	x.get(packet.Down, func(p *packet.Control) { p.Diag = packet.ControlDetectionTimeExpired })
	e := x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	if e.From != packet.Up || e.RemoteAdmin || e.RemoteDiag != packet.ControlDetectionTimeExpired {
		t.Errorf("event %+v", e)
	}
}

// T08 RFC 5882 §4.2: the client is to know that it was the peer's wish.
func TestPeersAdminDownIsItsWish(t *testing.T) {
	x := newUp(t, usual)
	x.get(packet.AdminDown, func(p *packet.Control) { p.Diag = packet.AdministrativelyDown })
	e := x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	if e.From != packet.Up || !e.RemoteAdmin || e.RemoteState != packet.AdminDown ||
		e.RemoteDiag != packet.AdministrativelyDown {
		t.Errorf("event %+v", e)
	}
	x.get(packet.AdminDown)
	x.wantState(packet.Down)
}

// T09 A client takes only what leaves Up for a failure.
func TestLeavingInitIsNotLeavingUp(t *testing.T) {
	x := newTest(t, usual)
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.get(packet.AdminDown)
	if e := x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown); e.From != packet.Init || !e.RemoteAdmin {
		t.Errorf("event %+v", e)
	}
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.advance(300 * ms)
	if e := x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired); e.From != packet.Init {
		t.Errorf("event %+v", e)
	}
	if v := x.s.View(); v.Downs != 0 || v.Ups != 0 {
		t.Errorf("%d ups and %d downs, want none", v.Ups, v.Downs)
	}
}

// T40, T75 Our discriminator is the peer's consent.
func TestNothingComesUpWithoutOurDiscriminator(t *testing.T) {
	for _, your := range []uint32{0, ours + 1} {
		for _, state := range []packet.State{packet.Init, packet.Up} {
			x := newTest(t, usual)
			other := func(p *packet.Control) { p.YourDiscr, p.Poll = your, true }
			x.get(state, other)
			x.wantState(packet.Down)
			x.get(packet.Down)
			x.wantEvent(packet.Init, packet.NoDiagnostic)
			x.get(state, other)
			x.wantState(packet.Init)
		}
	}
}

// T54 A new state is told at once, and the jittered interval starts anew.
func TestNewStateIsToldAtOnce(t *testing.T) {
	x := newUp(t, usual)
	x.advance(30 * ms)
	x.get(packet.Down)
	x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	if p := x.takeOne(); p.State != packet.Down || p.Diag != packet.NeighborSignaledSessionDown {
		t.Errorf("sent %+v", p)
	}
	x.advance(750*ms - 1)
	x.wantSilence()
	x.wantState(packet.Down)
	x.advance(250*ms + 1)
	if n := len(x.take()); n != 1 {
		t.Errorf("%d packets, want 1", n)
	}
}

// T54 "would differ from that in the previously transmitted packet (other than
// the Poll and Final bits)" (§6.8.7): an answer that told it is enough.
func TestAnswerTellsTheNewState(t *testing.T) {
	x := newTest(t, usual)
	x.take()
	x.advance(10 * ms)
	x.get(packet.Down, polled)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	if p := x.wantFinal(); p.State != packet.Init || p.YourDiscr != peers {
		t.Errorf("answered %+v", p)
	}
	x.wantSilence()
}

// T55 "the local system MUST set bfd.LocalDiag to 4 (Forwarding Plane Reset), and
// set bfd.SessionState to Down" (§6.8.15); 2 for echoes (§6.8.5)
func TestFailuresThatPacketsDontShow(t *testing.T) {
	for _, why := range []packet.Diag{packet.ForwardingPlaneReset, packet.EchoFunctionFailed} {
		x := newUp(t, usual)
		x.fail(why)
		x.wantEvent(packet.Down, why)
		if p := x.takeOne(); p.State != packet.Down || p.Diag != why {
			t.Errorf("sent %+v", p)
		}
		x.get(packet.Down)
		x.wantEvent(packet.Init, packet.NoDiagnostic)
	}
}

// T55 Also "MUST set bfd.LocalDiag" when it is Down already; but not AdminDown.
func TestForwardingPlaneResetWhileNotUp(t *testing.T) {
	x := newTest(t, usual)
	x.take()
	x.fail(packet.ForwardingPlaneReset)
	x.wantState(packet.Down)
	if p := x.takeOne(); p.Diag != packet.ForwardingPlaneReset {
		t.Errorf("sent %+v", p)
	}
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.fail(packet.ForwardingPlaneReset)
	x.wantState(packet.AdminDown)
}

// T79 "Note that the BFD session is not taken down." (§6.8.17)
func TestConcatenatedPathIsShown(t *testing.T) {
	for _, d := range []packet.Diag{packet.ConcatenatedPathDown, packet.ReverseConcatenatedPathDown} {
		x := newUp(t, usual)
		x.get(packet.Up, func(p *packet.Control) { p.Diag = d })
		x.wantState(packet.Up)
		if v := x.s.View(); v.RemoteDiag != d {
			t.Errorf("remote diag %v, want %v", v.RemoteDiag, d)
		}
	}
}

// T37 A system may change its discriminator at any time: §6.3 has only itself use
// it.
func TestPeersNewDiscriminatorIsSaidBack(t *testing.T) {
	x := newUp(t, usual)
	x.peer.MyDiscr++
	x.get(packet.Up)
	x.wantState(packet.Up)
	x.alive(100*ms, packet.Up)
	for _, p := range x.take() {
		if p.YourDiscr != peers+1 {
			t.Errorf("sent %+v, want the new discriminator", p)
		}
	}
}

// T35 "If a period of a Detection Time passes without the receipt of a valid,
// authenticated BFD packet from the remote system, this variable MUST be set to
// zero." (§6.8.1)
func TestSilentPeerIsForgotten(t *testing.T) {
	x := newUp(t, usual)
	x.advance(300 * ms)
	e := x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
	if e.RemoteState != packet.Up || e.RemoteAdmin {
		t.Errorf("event %+v, want what the peer said last", e)
	}
	sent := x.take()
	if p := sent[len(sent)-1]; p.YourDiscr != 0 || !p.at.Equal(x.now) {
		t.Errorf("sent %+v, want no discriminator, now", p)
	}
	x.peer.MyDiscr = 0x33
	x.get(packet.Down, func(p *packet.Control) { p.YourDiscr = 0 })
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	if p := x.takeOne(); p.YourDiscr != 0x33 {
		t.Errorf("sent %+v, want the new peer's discriminator", p)
	}
}

// The same where nothing goes Down: in AdminDown and in Down.
func TestSilentPeerIsForgottenInAnyState(t *testing.T) {
	x := newTest(t, usual)
	x.get(packet.Up)
	x.advance(300*ms - 1)
	if v := x.s.View(); v.RemoteDiscr != peers {
		t.Errorf("forgot %+v too early", v)
	}
	x.advance(1)
	if v := x.s.View(); v.RemoteDiscr != 0 || v.Detection != 0 {
		t.Errorf("still knows %+v", v)
	}
	x.disable(packet.AdministrativelyDown)
	x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
	x.get(packet.Up)
	x.advance(300 * ms)
	if v := x.s.View(); v.RemoteDiscr != 0 {
		t.Errorf("still knows %+v", v)
	}
}

// bfd.AuthSeqKnown "MUST be set to zero after no packets have been received on
// this session for at least twice the Detection Time" (§6.8.1)
func TestSequenceIsForgottenAfterTwiceTheDetectionTime(t *testing.T) {
	x := newUp(t, usual)
	x.advance(600*ms - 1)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
	if x.forgot != 0 {
		t.Error("forgot it too early")
	}
	x.advance(1)
	x.advance(10 * time.Second)
	if x.forgot != 1 {
		t.Errorf("forgot it %d times, want once", x.forgot)
	}
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.advance(400 * ms)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
	x.get(packet.Up)
	x.advance(300 * ms)
	if x.forgot != 1 {
		t.Errorf("forgot it though a packet came")
	}
	x.advance(300 * ms)
	if x.forgot != 2 {
		t.Errorf("forgot it %d times, want twice", x.forgot)
	}
}

// T52 "A system MUST NOT transmit BFD Control packets if bfd.RemoteDiscr is zero
// and the system is taking the Passive role." (§6.8.7)
func TestPassiveSpeaksWhenSpokenTo(t *testing.T) {
	passive := usual
	passive.Passive = true
	x := newTest(t, passive)
	x.advance(time.Minute)
	x.wantSilence()
	for range 2 {
		x.bringUp()
		if n := len(x.take()); n != 2 {
			t.Errorf("%d packets on the way up, want 2", n)
		}
		x.advance(time.Minute) // the peer restarts
		x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
		x.take()
		x.advance(time.Minute)
		x.wantSilence()
	}
}

func TestViewTellsAll(t *testing.T) {
	x := newTest(t, session.Config{
		DesiredMinTx: 50 * ms, RequiredMinRx: 60 * ms, DetectMult: 5, ControlPlaneIndependent: true,
	})
	x.bringUp()
	x.advance(200 * ms)
	x.get(packet.Down)
	x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	if v := x.s.View(); v.MaxGap != 200*ms {
		t.Errorf("longest gap %v, want that of the last Up", v.MaxGap)
	}
	x.bringUp()
	x.advance(120 * ms)
	x.get(packet.Up, final)
	x.advance(50 * ms)
	x.get(packet.Up, func(p *packet.Control) {
		p.Diag, p.RequiredMinEchoRx, p.ControlPlaneIndependent = packet.ConcatenatedPathDown, ms, true
	})
	want := session.View{
		State: packet.Up, RemoteState: packet.Up, RemoteDiag: packet.ConcatenatedPathDown,
		Discr: ours, RemoteDiscr: peers,
		DesiredMinTx: 50 * ms, RequiredMinRx: 60 * ms,
		RemoteMinTx: 100 * ms, RemoteMinRx: 100 * ms, RemoteMinEchoRx: ms, RemoteMult: 3, RemoteIndependent: true,
		TxInterval: 100 * ms, RxInterval: 100 * ms, Detection: 300 * ms,
		Since: begin().Add(200 * ms), Heard: begin().Add(370 * ms), MaxGap: 120 * ms,
		Counts: session.Counts{Received: 7, Sent: uint64(len(x.sent)), Ups: 2, Downs: 1},
	}
	if got := x.s.View(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
