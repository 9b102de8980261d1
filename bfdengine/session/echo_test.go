package session_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

var echo = session.Config{DesiredMinTx: 100 * ms, DetectMult: 3, Echo: true}

// A loop is a session whose own packets come back to it, while the neighbor does
// its part.
type loop struct {
	*testing.T
	s       session.Session
	now     time.Time
	next    time.Time
	away    []sent                         // in the order in which they come back
	back    func(p sent) (time.Time, bool) // when a packet does, if it does
	said    []sent
	events  []session.Event
	changed func(*packet.Control) // on the way
}

func newLoop(t *testing.T, c session.Config, seed uint64) *loop {
	l := &loop{T: t, now: begin(), changed: func(*packet.Control) {}}
	l.reflects(time.Millisecond)
	l.s = session.New(ours, c, rand.New(rand.NewPCG(1, seed)), l.now)
	l.take(l.s.Advance(l.now))
	return l
}

// reflects has packets come back after d; a negative one never.
func (l *loop) reflects(d time.Duration) {
	l.back = func(p sent) (time.Time, bool) { return p.at.Add(d), d >= 0 }
}

func (l *loop) take(fx session.Effects) {
	l.Helper()
	if fx.Final {
		l.Error("it answered itself")
	}
	if fx.Event.From != fx.Event.To {
		l.events = append(l.events, fx.Event)
	}
	l.next = fx.Next
	if !fx.Send {
		return
	}
	p := sent{l.now, l.s.Packet(false)}
	l.said = append(l.said, p)
	if at, ok := l.back(p); ok {
		l.changed(&p.Control)
		l.away = append(l.away, sent{at, p.Control})
	}
}

// run lets d pass.
func (l *loop) run(d time.Duration) {
	l.Helper()
	for end := l.now.Add(d); ; {
		if len(l.away) > 0 && !l.away[0].at.After(l.next) && !l.away[0].at.After(end) {
			p := l.away[0]
			l.now, l.away = later(l.now, p.at), l.away[1:]
			l.take(l.s.Receive(l.now, p.Control))
			continue
		}
		if l.next.After(end) {
			l.now = end
			return
		}
		l.now = later(l.now, l.next)
		l.take(l.s.Advance(l.now))
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wantEvents fails for any other changes since it was last called.
func (l *loop) wantEvents(want ...packet.State) []session.Event {
	l.Helper()
	got := l.events
	l.events = nil
	if len(got) != len(want) {
		l.Fatalf("changes %+v, want %v", got, want)
	}
	for i, e := range got {
		if e.To != want[i] {
			l.Fatalf("changes %+v, want %v", got, want)
		}
	}
	return got
}

// T68 "The slow transmission rate should be no greater than one packet per second,
// until the session on device A is Up. After the session is Up, the provisioned
// transmission interval is used." (RFC 9747 §2)
func TestEchoIsSlowUntilUp(t *testing.T) {
	l := newLoop(t, echo, 1)
	l.reflects(-1)
	l.run(30 * time.Second)
	l.wantEvents()
	wantSpacing(t, l.said[1:], 22, time.Second, 1334*ms)
	l.reflects(ms)
	l.run(5 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
	for i, p := range l.said[1:] {
		if d := p.at.Sub(l.said[i].at); l.said[i].State != packet.Up && p.State != packet.Up && d < time.Second {
			t.Errorf("%v between packets that say %s and %s", d, l.said[i].State, p.State)
		}
	}
	l.said = nil
	l.run(10 * time.Second)
	wantSpacing(t, l.said, 100, 75*ms, 100*ms)
	l.wantEvents()
}

// "When the bfd.SessionState is Up and a “Detect Mult” number of Unaffiliated BFD
// Echo packets have not arrived at device A as they should, the device A MUST set
// bfd.SessionState to Down and bfd.LocalDiag to 2" and "the slow transmission rate
// is resumed" (RFC 9747 §2)
func TestLostEchoIsDownWithItsOwnReason(t *testing.T) {
	l := newLoop(t, echo, 1)
	l.run(10 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
	heard := l.s.View().Heard
	l.reflects(-1)
	l.away, l.said = nil, nil
	l.run(20 * time.Second)
	e := l.wantEvents(packet.Down)[0]
	if e.Diag != packet.EchoFunctionFailed || e.At.Sub(heard) != 300*ms || e.RemoteAdmin {
		t.Errorf("%v after the last one that came back: %+v", e.At.Sub(heard), e)
	}
	var slow []sent
	for _, p := range l.said {
		if p.State == packet.Down {
			slow = append(slow, p)
		}
		if p.State == packet.Down && p.YourDiscr != 0 {
			t.Errorf("names a session that is not heard: %+v", p)
		}
	}
	wantSpacing(t, slow, 14, time.Second, 1334*ms)
	l.reflects(ms)
	l.run(5 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
}

// RFC 9747 §2, "In summary …"
func TestEchoPacketsAreThoseOfRFC9747(t *testing.T) {
	l := newLoop(t, echo, 1)
	l.run(5 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
	for i, p := range l.said {
		want := packet.Control{
			State: p.State, DetectMult: 3, MyDiscr: ours, YourDiscr: ours,
			DesiredMinTx: time.Second, RequiredMinRx: time.Second,
		}
		if i == 0 { // "MUST initially be set to 0"
			want.YourDiscr = 0
		}
		if p.Control != want {
			t.Errorf("packet %d is %+v, want %+v", i, p.Control, want)
		}
	}
}

// "However, upon receipt, these values MUST be ignored and MUST NOT be used in the
// calculation of the Detection Time." (RFC 9747 §2)
func TestTimingThatComesBackIsIgnored(t *testing.T) {
	l := newLoop(t, echo, 1)
	l.changed = func(p *packet.Control) {
		p.DesiredMinTx, p.RequiredMinRx, p.RequiredMinEchoRx = 7*time.Second, 0, time.Second
		p.DetectMult, p.Poll, p.Demand = 99, true, true
	}
	l.run(5 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
	if v := l.s.View(); v.Detection != 300*ms || v.TxInterval != 100*ms || v.Polling || v.Demand {
		t.Errorf("it is believed: %+v", v)
	}
}

func TestEchoTimersChangeWithoutAFall(t *testing.T) {
	l := newLoop(t, echo, 1)
	l.run(5 * time.Second)
	l.wantEvents(packet.Init, packet.Up)
	for _, c := range []session.Config{
		{DesiredMinTx: 2 * time.Second, DetectMult: 3, Echo: true},
		{DesiredMinTx: 20 * ms, DetectMult: 3, Echo: true}, // shorter than the time since the last packet
		{DesiredMinTx: time.Second, DetectMult: 9, Echo: true},
		{DesiredMinTx: 50 * ms, DetectMult: 2, Echo: true},
	} {
		l.take(l.s.Configure(l.now, c))
		l.run(7777 * ms)
		l.wantEvents()
		want := time.Duration(c.DetectMult) * c.DesiredMinTx
		if v := l.s.View(); v.Detection != want || v.TxInterval != c.DesiredMinTx {
			t.Errorf("%+v: detection %v, interval %v", c, v.Detection, v.TxInterval)
		}
	}
}

// A neighbor that keeps packets for longer than they are apart is still there.
func TestEchoComesUpOverALongWay(t *testing.T) {
	for _, rtt := range []time.Duration{0, 99 * ms, 250 * ms, 900 * ms, 2500 * ms, 3900 * ms} {
		l := newLoop(t, echo, 1)
		l.reflects(rtt)
		l.run(60 * time.Second)
		l.wantEvents(packet.Init, packet.Up)
	}
}

// Whatever is lost on the way: it is Up only by packets that came back, Down within
// the detection time of silence, and Up again soon after the link is good.
func TestEchoOverABadLink(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(2, seed))
		l := newLoop(t, echo, seed)
		for range 20 {
			loss, rtt := r.Float64(), time.Duration(r.IntN(80))*ms
			l.back = func(p sent) (time.Time, bool) {
				at := p.at.Add(rtt)
				if n := len(l.away); n > 0 {
					at = later(at, l.away[n-1].at) // none overtakes another
				}
				return at, r.Float64() >= loss
			}
			l.run(time.Duration(r.IntN(3000)) * ms)
		}
		for _, e := range l.events {
			if e.To == packet.Down && e.Diag != packet.EchoFunctionFailed {
				t.Fatalf("seed %d: %+v", seed, e)
			}
		}
		l.reflects(ms)
		l.run(10 * time.Second)
		if v := l.s.View(); v.State != packet.Up {
			t.Fatalf("seed %d: %s on a good link", seed, v.State)
		}
		l.events, l.away = nil, nil
		heard := l.s.View().Heard
		l.reflects(-1)
		l.run(5 * time.Second)
		if e := l.wantEvents(packet.Down)[0]; e.At.Sub(heard) != 300*ms {
			t.Fatalf("seed %d: down after %v", seed, e.At.Sub(heard))
		}
	}
}
