package session_test

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// A hundred thousand sessions are to fit into a hundred megabytes, sockets and
// keys included.
func TestSessionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(session.Session{}); size > 320 {
		t.Errorf("%d bytes, want 320 at most", size)
	}
}

// busy returns a step of a session that is Up: a packet from the peer, the next
// one of ours when it is due, and what that says.
func busy(tb testing.TB) func() {
	s := session.New(ours, usual, rand.New(rand.NewPCG(1, 2)), begin())
	p := packet.Control{
		State: packet.Init, MyDiscr: peers, YourDiscr: ours, DetectMult: 3,
		DesiredMinTx: 100 * ms, RequiredMinRx: 100 * ms,
	}
	s.Receive(begin(), p)
	p.State, p.Final = packet.Up, true
	s.Receive(begin(), p)
	p.Final = false
	now := begin()
	return func() {
		fx := s.Receive(now, p)
		now = fx.Next
		fx = s.Advance(now)
		if fx.Send {
			p.DetectMult = s.Packet(false).DetectMult
		}
		if fx.Event.To != fx.Event.From {
			tb.Fatal(fx.Event)
		}
	}
}

func TestStepsDoNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(1000, busy(t)); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	x := newTest(t, usual)
	s, now, p := x.s, begin(), packet.Control{MyDiscr: peers, YourDiscr: ours, DetectMult: 3, RequiredMinRx: ms}
	if n := testing.AllocsPerRun(1000, func() { // up and down
		for _, p.State = range []packet.State{packet.Down, packet.Init, packet.Up} {
			p.Poll = true
			s.Receive(now, p)
			s.Packet(true)
		}
		now = now.Add(time.Hour)
		s.Advance(now)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// One packet each way.
func BenchmarkReceiveAdvance(b *testing.B) {
	step := busy(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

// As above, over more sessions than the caches hold.
func BenchmarkReceiveAdvanceMany(b *testing.B) {
	steps := make([]func(), 100_000)
	for i := range steps {
		steps[i] = busy(b)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		steps[i%len(steps)]()
	}
}
