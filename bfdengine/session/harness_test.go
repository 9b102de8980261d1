package session_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

const (
	ms    = time.Millisecond
	ours  = 0x11
	peers = 0x22
)

// usual is what the tests configure unless they say otherwise; the scripted peer
// has the same.
var usual = session.Config{DesiredMinTx: 100 * ms, RequiredMinRx: 100 * ms, DetectMult: 3}

// A tester is a session, a clock that moves by hand and a scripted peer. It
// fails on whatever breaks a law, and in the end on an answer or a change of
// state that the test did not ask for.
type tester struct {
	*testing.T
	s      session.Session
	law    *law
	now    time.Time
	next   time.Time
	peer   packet.Control // what the peer says unless a test changes it
	sent   []sent         // not yet asked for
	finals []packet.Control
	events []session.Event
	forgot int
}

type sent struct {
	at time.Time
	packet.Control
}

func begin() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

func newTest(t *testing.T, c session.Config) *tester {
	x := &tester{T: t, now: begin()}
	x.s = session.New(ours, c, rand.New(rand.NewPCG(1, 2)), x.now)
	x.law = newLaw(&x.s, ours, c)
	x.peer = packet.Control{
		MyDiscr: peers, YourDiscr: ours, DetectMult: 3,
		DesiredMinTx: 100 * ms, RequiredMinRx: 100 * ms,
	}
	t.Cleanup(func() {
		for _, e := range x.events {
			t.Errorf("nobody asked for %+v", e)
		}
		for _, p := range x.finals {
			t.Errorf("nobody asked for the answer %+v", p)
		}
	})
	x.do(input{call: "Advance"})
	return x
}

// newUp returns a session that is Up and whose first poll sequence is over.
func newUp(t *testing.T, c session.Config) *tester {
	t.Helper()
	x := newTest(t, c)
	x.bringUp()
	x.get(packet.Up, final)
	x.get(packet.Up)
	x.sent = nil
	return x
}

func (x *tester) bringUp() {
	x.Helper()
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.get(packet.Init)
	x.wantEvent(packet.Up, packet.NoDiagnostic)
}

func (x *tester) do(in input) {
	x.Helper()
	in.at = x.now
	fx, err := x.law.do(in)
	if err != nil {
		x.Fatal(err)
	}
	x.next = fx.Next
	if fx.Final {
		x.finals = append(x.finals, x.s.Packet(true))
	}
	if fx.Send {
		x.sent = append(x.sent, sent{x.now, x.s.Packet(false)})
	}
	if fx.Event.From != fx.Event.To {
		x.events = append(x.events, fx.Event)
	}
	if fx.Forget {
		x.forgot++
	}
	if in.call != "Advance" && !x.next.After(x.now) {
		x.do(input{call: "Advance"})
	}
}

// advance lets d pass, calling whenever the session asks, and at the end, where
// nothing may happen that it did not ask to be called for.
func (x *tester) advance(d time.Duration) {
	x.Helper()
	end := x.now.Add(d)
	for !x.next.After(end) {
		x.now = x.next
		x.do(input{call: "Advance"})
	}
	x.now = end
	before, stopped, forgot := x.s.View(), x.s.Stopped(), x.forgot
	x.do(input{call: "Advance"})
	if x.s.View() != before || x.s.Stopped() != stopped || x.forgot != forgot {
		x.Fatalf("changed without a call asked for: %+v, was %+v", x.s.View(), before)
	}
}

// alive lets d pass while the peer says state every 80 ms.
func (x *tester) alive(d time.Duration, state packet.State) {
	x.Helper()
	for end := x.now.Add(d); x.now.Before(end); {
		x.advance(min(80*ms, end.Sub(x.now)))
		x.get(state)
	}
}

func final(p *packet.Control)  { p.Final = true }
func polled(p *packet.Control) { p.Poll = true }

// get is a packet from the peer, who says state, and what else the changes say.
func (x *tester) get(state packet.State, changes ...func(*packet.Control)) {
	x.Helper()
	p := x.peer
	p.State = state
	for _, change := range changes {
		change(&p)
	}
	x.do(input{call: "Receive", got: p})
}

func (x *tester) configure(change func(*session.Config)) {
	x.Helper()
	c := x.law.config
	change(&c)
	x.do(input{call: "Configure", config: c})
}

func (x *tester) disable(d packet.Diag) { x.Helper(); x.do(input{call: "Disable", diag: d}) }
func (x *tester) enable()               { x.Helper(); x.do(input{call: "Enable"}) }
func (x *tester) fail(d packet.Diag)    { x.Helper(); x.do(input{call: "Fail", diag: d}) }

// wantEvent takes the one change of state there has to be.
func (x *tester) wantEvent(to packet.State, why packet.Diag) session.Event {
	x.Helper()
	if len(x.events) != 1 {
		x.Fatalf("%d changes of state %+v, want one to %v", len(x.events), x.events, to)
	}
	e := x.events[0]
	x.events = nil
	if e.To != to || e.Diag != why {
		x.Fatalf("%+v, want %v (%v)", e, to, why)
	}
	return e
}

func (x *tester) wantState(state packet.State) {
	x.Helper()
	if got := x.s.View().State; got != state {
		x.Fatalf("state %v, want %v", got, state)
	}
	if len(x.events) != 0 {
		x.Fatalf("changes of state %+v, want none", x.events)
	}
}

// wantFinal takes the one answer to a poll there has to be.
func (x *tester) wantFinal() packet.Control {
	x.Helper()
	if len(x.finals) != 1 {
		x.Fatalf("%d answers, want 1", len(x.finals))
	}
	p := x.finals[0]
	x.finals = nil
	return p
}

// take returns the packets that were sent since the last take.
func (x *tester) take() []sent {
	all := x.sent
	x.sent = nil
	return all
}

// takeOne takes the one packet that has to have been sent at this instant.
func (x *tester) takeOne() packet.Control {
	x.Helper()
	all := x.take()
	if len(all) != 1 || !all[0].at.Equal(x.now) {
		x.Fatalf("sent %+v, want one packet, now", all)
	}
	return all[0].Control
}

func (x *tester) wantSilence() {
	x.Helper()
	if all := x.take(); len(all) != 0 {
		x.Fatalf("sent %+v, want nothing", all)
	}
}

// wantSpacing checks each gap between the packets to be in a range, and that
// there are n at least.
func wantSpacing(t *testing.T, all []sent, n int, least, most time.Duration) {
	t.Helper()
	if len(all) < n {
		t.Fatalf("%d packets, want %d at least", len(all), n)
	}
	for i := 1; i < len(all); i++ {
		if gap := all[i].at.Sub(all[i-1].at); gap < least || gap > most {
			t.Fatalf("gap %d is %v, want %v to %v", i, gap, least, most)
		}
	}
}
