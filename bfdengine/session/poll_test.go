package session_test

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

func minTx(d time.Duration) func(*session.Config) {
	return func(c *session.Config) { c.DesiredMinTx = d }
}

func minRx(d time.Duration) func(*session.Config) {
	return func(c *session.Config) { c.RequiredMinRx = d }
}

// T14 "If either bfd.DesiredMinTxInterval is changed … a Poll Sequence MUST be
// initiated" (§6.8.3), and Up changes it. "… setting the Poll (P) bit on those
// scheduled periodic transmissions; additional packets MUST NOT be sent" (§6.5)
func TestUpPollsUntilAnswered(t *testing.T) {
	x := newTest(t, usual)
	x.bringUp()
	x.take()
	x.alive(5*time.Second, packet.Up)
	all := x.take()
	wantSpacing(t, all, 50, 75*ms, 100*ms)
	for _, p := range all {
		if !p.Poll || p.State != packet.Up || p.DesiredMinTx != 100*ms {
			t.Fatalf("sent %+v", p)
		}
	}
	// T15
	x.peer.RequiredMinRx = 200 * ms
	x.get(packet.Up, final)
	x.alive(5*time.Second, packet.Up)
	all = x.take()
	wantSpacing(t, all, 25, 150*ms, 200*ms)
	for _, p := range all {
		if p.Poll {
			t.Fatalf("sent %+v after the answer", p)
		}
	}
}

// T20 "If bfd.DesiredMinTxInterval is increased and bfd.SessionState is Up, the
// actual transmission interval used MUST NOT change until the Poll Sequence …
// has terminated." (§6.8.3)
func TestSlowerOnlyAfterTheAnswer(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms))
	x.wantSilence() // until the next is due
	x.alive(5*time.Second, packet.Up)
	all := x.take()
	wantSpacing(t, all, 50, 75*ms, 100*ms)
	for _, p := range all {
		if !p.Poll || p.DesiredMinTx != 300*ms {
			t.Fatalf("sent %+v", p)
		}
	}
	x.get(packet.Up, final)
	x.alive(20*time.Second, packet.Up)
	wantSpacing(t, append(all[len(all)-1:], x.take()...), 60, 225*ms, 300*ms)
}

// T21 "If bfd.RequiredMinRxInterval is reduced and bfd.SessionState is Up, the
// previous value of bfd.RequiredMinRxInterval MUST be used when calculating the
// Detection Time … until the Poll Sequence … has terminated." (§6.8.3)
func TestShorterDetectionOnlyAfterTheAnswer(t *testing.T) {
	c := usual
	c.RequiredMinRx = 300 * ms
	x := newUp(t, c)
	x.configure(minRx(100 * ms))
	x.alive(time.Second, packet.Up)
	for _, p := range x.take() {
		if !p.Poll || p.RequiredMinRx != 100*ms {
			t.Fatalf("sent %+v", p)
		}
	}
	x.advance(900*ms - 1)
	x.wantState(packet.Up)
	x.get(packet.Up, final)
	x.advance(300*ms - 1)
	x.wantState(packet.Up)
	x.advance(1)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// T22 "In any case other than those explicitly called out above, timing parameter
// changes MUST be effected immediately" (§6.8.3)
func TestFasterAndLongerDetectionAtOnce(t *testing.T) {
	c := usual
	c.DesiredMinTx = 300 * ms
	x := newUp(t, c)
	x.configure(minTx(100 * ms))
	x.alive(3*time.Second, packet.Up)
	all := x.take()
	wantSpacing(t, all, 30, 75*ms, 100*ms)
	if p := all[0]; !p.Poll || p.DesiredMinTx != 100*ms {
		t.Errorf("sent %+v", p)
	}

	x = newUp(t, usual)
	x.configure(minRx(400 * ms))
	x.advance(1200*ms - 1)
	x.wantState(packet.Up)
	x.advance(1)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// T23 "they MUST be communicated in a single BFD Control packet" (§6.8.3)
func TestChangesBeforeThePollAreOne(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms))
	x.advance(5 * ms)
	x.wantSilence()
	x.configure(minRx(50 * ms))
	x.alive(90*ms, packet.Up)
	p := x.take()[0]
	if !p.Poll || p.DesiredMinTx != 300*ms || p.RequiredMinRx != 50*ms {
		t.Errorf("sent %+v", p)
	}
	x.get(packet.Up, final)
	x.get(packet.Up)
	if v := x.s.View(); v.Polling || v.TxInterval != 300*ms {
		t.Errorf("got %+v, want both in use", v)
	}
}

// T23 "… an additional BFD Control packet with the Final (F) bit *clear* MUST be
// received after the Poll Sequence has completed prior to the initiation of
// another" (§6.8.3). An answer of the first must not confirm the second.
func TestChangeDuringAPollWaits(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms))
	x.alive(100*ms, packet.Up)
	x.configure(minTx(500 * ms))
	x.alive(200*ms, packet.Up)
	all := x.take()
	if len(all) < 3 {
		t.Fatalf("%d packets", len(all))
	}
	for _, p := range all {
		if !p.Poll || p.DesiredMinTx != 300*ms {
			t.Fatalf("sent %+v while the first poll is on", p)
		}
	}
	x.get(packet.Up, final)
	x.get(packet.Up, final) // the peer answers each P
	if v := x.s.View(); v.Polling || v.DesiredMinTx != 300*ms || v.TxInterval != 300*ms {
		t.Errorf("got %+v, want the first change and no more", v)
	}
	x.alive(2*time.Second, packet.Up)
	all = x.take()
	wantSpacing(t, all, 6, 225*ms, 300*ms)
	if p := all[len(all)-1]; !p.Poll || p.DesiredMinTx != 500*ms {
		t.Errorf("sent %+v, want the second change", p)
	}
	x.get(packet.Up, final)
	if v := x.s.View(); v.Polling || v.TxInterval != 500*ms {
		t.Errorf("got %+v, want the second change in use", v)
	}
}

// T23 As soon as neither rule forbids it the second change is on its way; until
// then a copy of the answer is no packet without F.
func TestChangeAfterAPollWaitsNoLongerThanItMust(t *testing.T) {
	x := newUp(t, usual)
	x.alive(10*time.Second, packet.Up)
	x.configure(minTx(300 * ms))
	for x.take(); len(x.sent) == 0; {
		x.advance(10 * ms)
		x.get(packet.Up)
	}
	x.configure(minTx(500 * ms))
	x.advance(10 * ms)
	x.get(packet.Up, final)
	x.advance(10 * ms)
	x.get(packet.Up, final)
	if v := x.s.View(); v.Polling || v.DesiredMinTx != 300*ms {
		t.Errorf("got %+v, want no second poll yet", v)
	}
	x.get(packet.Up)
	if v := x.s.View(); !v.Polling || v.DesiredMinTx != 500*ms {
		t.Errorf("got %+v, want the second poll", v)
	}
}

// T23 "at least a round trip time since the last Poll was transmitted" (§6.8.3):
// where that is longer than an interval, packets without F come in between the
// answers to one sequence.
func TestLateAnswersConfirmNothingElse(t *testing.T) {
	c := usual
	c.RequiredMinRx = 300 * ms
	x := newUp(t, c)
	x.configure(minRx(200 * ms))
	x.alive(240*ms, packet.Up) // P, P and P left
	x.configure(minRx(10 * ms))
	x.get(packet.Up, final)
	for range 2 {
		x.alive(40*ms, packet.Up)
		x.get(packet.Up, final)
	}
	if v := x.s.View(); v.Polling || v.RequiredMinRx != 200*ms {
		t.Errorf("got %+v, want no second poll yet", v)
	}
	x.alive(240*ms, packet.Up)
	if v := x.s.View(); !v.Polling || v.RequiredMinRx != 10*ms || v.Detection != 600*ms {
		t.Errorf("got %+v, want the second poll", v)
	}
}

// An answer that nobody waits for ends nothing.
func TestAnswerBeforeThePollIsNone(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms))
	x.wantSilence()
	x.get(packet.Up, final)
	if v := x.s.View(); !v.Polling || v.TxInterval != 100*ms {
		t.Errorf("got %+v, want the poll to go on", v)
	}
}

// T24 "The new value will be transmitted with the next BFD Control packet, and
// the use of a Poll Sequence is not necessary." (§6.8.12)
func TestMultiplierNeedsNoPoll(t *testing.T) {
	x := newUp(t, usual)
	x.configure(func(c *session.Config) { c.DetectMult = 5 })
	x.wantSilence()
	x.alive(100*ms, packet.Up)
	if p := x.take()[0]; p.Poll || p.DetectMult != 5 {
		t.Errorf("sent %+v", p)
	}
	x.wantState(packet.Up)
}

// T25 "A BFD Control packet MUST NOT have both the Poll (P) and Final (F) bits
// set." (§6.5)
func TestBothPoll(t *testing.T) {
	x := newUp(t, usual)
	x.configure(minTx(300 * ms))
	x.alive(200*ms, packet.Up)
	x.take()
	x.get(packet.Up, polled)
	if p := x.wantFinal(); p.Poll || !p.Final || p.DesiredMinTx != 300*ms {
		t.Errorf("answered %+v", p)
	}
	x.wantSilence()
	x.alive(100*ms, packet.Up)
	if p := x.take()[0]; !p.Poll || p.Final {
		t.Errorf("sent %+v", p)
	}
}

// T26 "… as soon as practicable, without respect to the transmission timer or any
// other transmission limitations, without respect to the session state" (§6.8.7).
// §6.8.6 would discard the packet in AdminDown: there the later MUST is followed.
func TestPollIsAnsweredInAnyState(t *testing.T) {
	for _, tt := range []struct {
		local, remote packet.State
		reach         func(x *tester)
	}{
		{packet.Down, packet.Up, func(*tester) {}},
		{packet.Init, packet.Down, func(x *tester) {
			x.get(packet.Down)
			x.wantEvent(packet.Init, packet.NoDiagnostic)
		}},
		{packet.Up, packet.Up, (*tester).bringUp},
		{packet.AdminDown, packet.Up, func(x *tester) {
			x.disable(packet.AdministrativelyDown)
			x.wantEvent(packet.AdminDown, packet.AdministrativelyDown)
		}},
	} {
		t.Run(tt.local.String(), func(t *testing.T) {
			x := newTest(t, usual)
			tt.reach(x)
			x.get(tt.remote)
			x.advance(10 * ms)
			x.take()
			due := x.next
			for range 3 { // each is answered, and none moves the schedule
				x.get(tt.remote, polled)
				if p := x.wantFinal(); p.State != tt.local || p.YourDiscr != peers {
					t.Errorf("answered %+v", p)
				}
			}
			x.wantSilence()
			x.wantState(tt.local)
			if x.next.Before(due) {
				t.Errorf("next call at %v, was %v", x.next, due)
			}
		})
	}
}

// T26 The answers are not what the periodic packets are counted from.
func TestAnswersDoNotDelayPeriodicPackets(t *testing.T) {
	x := newUp(t, usual)
	for range 1000 {
		x.advance(10 * ms)
		x.get(packet.Up, polled)
		x.wantFinal()
	}
	wantSpacing(t, x.take(), 100, 75*ms, 100*ms)
}

// "If either bfd.DesiredMinTxInterval is changed": also from 100 ms to a second,
// when the peer takes us down. Where nobody is heard nobody is asked.
func TestLeavingUpPollsWhoIsThere(t *testing.T) {
	x := newUp(t, usual)
	x.get(packet.Down)
	x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	if p := x.takeOne(); !p.Poll || p.DesiredMinTx != time.Second {
		t.Errorf("sent %+v", p)
	}
	x.get(packet.Up, final)
	if v := x.s.View(); v.Polling {
		t.Errorf("got %+v after the answer", v)
	}

	x = newTest(t, usual)
	x.bringUp()
	x.advance(300 * ms)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
	if all := x.take(); all[len(all)-1].Poll {
		t.Errorf("sent %+v", all[len(all)-1])
	}
}
