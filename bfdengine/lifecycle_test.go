package bfdengine

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// RFC 5880 §6.8.16: AdminDown for a detection time.
func TestARemovedSessionSaysGoodbye(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	r.up(e)
	l := e.link.(*fakeLink)
	r.leave(e, r.clock)
	r.flush()
	r.pass(5 * time.Second)
	sent := r.take()
	if len(sent) < 4 || len(sent) > 6 {
		t.Fatalf("%d packets", len(sent))
	}
	for _, p := range sent {
		if p.State != packet.AdminDown || p.Diag != packet.AdministrativelyDown {
			t.Errorf("said %s, %s", p.State, p.Diag)
		}
	}
	if d := sent[len(sent)-1].at.Sub(sent[0].at); d < 300*time.Millisecond {
		t.Errorf("for %v only", d)
	}
	if r.table.len() != 0 || !l.closed {
		t.Error("it is still there")
	}
}

func TestAGoodbyeHasALimit(t *testing.T) {
	r := newRig(t, Options{Farewell: time.Second})
	s := hundred("192.0.2.2")
	s.DesiredMinTx, s.DetectMult = time.Minute, 10
	e := r.want(s)
	r.up(e)
	r.leave(e, r.clock)
	r.flush()
	r.pass(time.Second)
	if r.table.len() != 0 {
		t.Error("it is still there")
	}
	if len(r.take()) == 0 {
		t.Error("it said nothing")
	}
}

func TestWithoutAFarewellNothingIsSaid(t *testing.T) {
	r := newRig(t, Options{Farewell: -1})
	e := r.want(hundred("192.0.2.2"))
	r.up(e)
	r.leave(e, r.clock)
	r.flush()
	if r.table.len() != 0 || len(r.take()) > 0 {
		t.Error("it is still there, or said something")
	}
}

func TestASessionAddedAgainGoesOn(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	r.up(e)
	r.leave(e, r.clock)
	r.flush()
	again := r.want(hundred("192.0.2.2"))
	if again != e {
		t.Fatal("there are two")
	}
	r.wantState(e, packet.Down)
	r.pass(5 * time.Second)
	if r.table.len() != 1 {
		t.Error("it left nevertheless")
	}
	s, _ := hundred("192.0.2.2").normal()
	if err := r.add(s); err == nil {
		t.Error("added twice")
	}
}

// Or a stop would wait for the peers that are dead.
func TestWhoWasNotHeardIsToldOnce(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	r.take()
	r.leave(e, r.clock)
	r.flush()
	if sent := r.take(); len(sent) != 1 || sent[0].State != packet.AdminDown || r.table.len() != 0 {
		t.Errorf("%d sessions, %+v", r.table.len(), sent)
	}
}
