package session_test

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// T13 "When bfd.SessionState is not Up, the system MUST set
// bfd.DesiredMinTxInterval to a value of not less than one second" (§6.8.3)
func TestSlowUntilUp(t *testing.T) {
	fast := usual
	fast.DesiredMinTx = 50 * ms
	x := newTest(t, fast)
	x.take()
	x.get(packet.Down)
	x.wantEvent(packet.Init, packet.NoDiagnostic)
	x.take()
	for range 100 {
		x.advance(200 * ms)
		x.get(packet.Down)
	}
	x.wantState(packet.Init)
	all := x.take()
	wantSpacing(t, all, 20, 750*ms, time.Second)
	for _, p := range all {
		if p.DesiredMinTx != time.Second {
			t.Fatalf("sent %+v", p)
		}
	}
}

// A configured interval above a second is no reason to be faster, nor to poll.
func TestSlowerThanASecondStaysSo(t *testing.T) {
	slow := usual
	slow.DesiredMinTx = 2 * time.Second
	x := newTest(t, slow)
	x.bringUp()
	for _, p := range x.take() {
		if p.DesiredMinTx != 2*time.Second || p.Poll {
			t.Errorf("sent %+v", p)
		}
	}
}

// T16 "The transmit interval MUST be recalculated whenever … bfd.RemoteMinRxInterval
// changes, and is equal to the greater of those two values." (§6.8.7)
func TestPeersGreaterIntervalCountsFromTheNextPacket(t *testing.T) {
	x := newUp(t, usual)
	x.alive(time.Second, packet.Up)
	x.peer.RequiredMinRx = 500 * ms
	all := x.take()
	x.get(packet.Up)
	x.sent = all[len(all)-1:] // the last before
	x.alive(60*time.Second, packet.Up)
	wantSpacing(t, x.take(), 100, 375*ms, 500*ms)
}

// "… the local system MUST honor the new interval immediately … If this interval
// has already passed since the last transmission … the local system MUST send the
// next periodic BFD Control packet as soon as practicable." (§6.8.3)
func TestPeersLesserIntervalCountsAtOnce(t *testing.T) {
	x := newUp(t, usual)
	x.peer.RequiredMinRx = 10 * time.Second
	x.alive(5*time.Second, packet.Up)
	x.take()
	x.peer.RequiredMinRx = 100 * ms
	x.get(packet.Up)
	x.takeOne()
	x.alive(10*time.Second, packet.Up)
	wantSpacing(t, x.take(), 100, 75*ms, 100*ms)
}

// T18 "A system MUST NOT periodically transmit BFD Control packets if
// bfd.RemoteMinRxInterval is zero." (§6.8.7)
func TestPeerThatWantsNoPackets(t *testing.T) {
	x := newUp(t, usual)
	x.peer.RequiredMinRx = 0
	x.get(packet.Up)
	x.alive(10*time.Second, packet.Up)
	x.wantSilence()
	x.wantState(packet.Up)
	x.get(packet.Up, polled)
	x.wantFinal()
	// A new state is no periodic packet.
	x.get(packet.Down)
	x.wantEvent(packet.Down, packet.NeighborSignaledSessionDown)
	x.takeOne()
	x.advance(200 * ms)
	x.wantSilence()
	// When the peer is gone, so is its wish: the next may want packets.
	x.advance(100 * ms)
	x.advance(10 * time.Second)
	wantSpacing(t, x.take(), 10, 750*ms, time.Second)
}

// T28 "jittered on a per-packet basis by up to 25%"; T29 "If bfd.DetectMult is
// equal to 1 … no more than 90% … and … no less than 75%" (§6.8.7)
func TestJitter(t *testing.T) {
	for _, tt := range []struct {
		mult uint8
		most time.Duration
	}{{3, 100 * ms}, {2, 100 * ms}, {1, 90 * ms}} {
		c := usual
		c.DetectMult = tt.mult
		x := newUp(t, c)
		x.alive(200*time.Second, packet.Up)
		all := x.take()
		wantSpacing(t, all, 2000, 75*ms, tt.most)
		least, most := tt.most, 75*ms
		for i := 1; i < len(all); i++ {
			gap := all[i].at.Sub(all[i-1].at)
			least, most = min(least, gap), max(most, gap)
		}
		if least > 76*ms || most < tt.most-ms {
			t.Errorf("multiplier %d: gaps of %v to %v are not spread", tt.mult, least, most)
		}
	}
}

// The gap that is on its way when the multiplier becomes 1 is the first that the
// peer measures with it.
func TestJitterFollowsTheMultiplierAtOnce(t *testing.T) {
	for range 50 {
		x := newUp(t, usual)
		x.alive(time.Second, packet.Up)
		all := x.take()
		x.configure(func(c *session.Config) { c.DetectMult = 1 })
		x.sent = all[len(all)-1:]
		x.alive(time.Second, packet.Up)
		wantSpacing(t, x.take(), 10, 75*ms, 90*ms)
	}
}

// T30, T31 "the value of Detect Mult received from the remote system, multiplied
// by … the greater of bfd.RequiredMinRxInterval and the last received Desired Min
// TX Interval" (§6.8.4)
func TestDetectionTime(t *testing.T) {
	for _, tt := range []struct {
		name       string
		mult       uint8
		theirs, rx time.Duration
		want       time.Duration
	}{
		{"T30 theirs is greater", 5, 200 * ms, 100 * ms, time.Second},
		{"T31 ours is greater", 3, 100 * ms, 300 * ms, 900 * ms},
		{"one packet", 1, 10 * ms, 10 * ms, 10 * ms},
		{"the longest", 255, (1<<32 - 1) * time.Microsecond, 10 * ms, 255 * (1<<32 - 1) * time.Microsecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := usual
			c.RequiredMinRx = tt.rx
			x := newTest(t, c)
			x.peer.DetectMult, x.peer.DesiredMinTx = tt.mult, tt.theirs
			x.bringUp()
			x.get(packet.Up, final)
			x.get(packet.Up)
			x.peer.RequiredMinRx = 0 // keeps the session quiet
			x.get(packet.Up)
			x.advance(tt.want - 1)
			x.wantState(packet.Up)
			x.advance(1)
			if e := x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired); e.From != packet.Up {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// T32 "… timing parameter changes MUST be effected immediately" (§6.8.3)
func TestPeersSlowerPacketsAreWaitedForAtOnce(t *testing.T) {
	x := newUp(t, usual)
	x.peer.DesiredMinTx = time.Second
	x.get(packet.Up, polled)
	x.wantFinal()
	x.advance(3*time.Second - 1)
	x.wantState(packet.Up)
	x.advance(1)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// T33 What the machine received in time counts, though the owner wakes late.
func TestLateOwnerIsNoSilence(t *testing.T) {
	x := newUp(t, usual)
	start := x.now
	x.now = start.Add(299 * ms)
	x.get(packet.Up)
	x.now = start.Add(598 * ms)
	x.do(input{call: "Advance"})
	x.wantState(packet.Up)
	x.advance(1 * ms)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// Packets of two sockets may come out of order: an old one does not take back
// what a newer one gave.
func TestOlderPacketDoesNotShortenTheWait(t *testing.T) {
	x := newUp(t, usual)
	x.advance(200 * ms)
	x.get(packet.Up)
	x.now = x.now.Add(-50 * ms)
	x.get(packet.Up)
	x.now = x.now.Add(50 * ms)
	x.advance(300*ms - 1)
	x.wantState(packet.Up)
	x.advance(1)
	x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
}

// After a stall of ours there is one packet, not those that were missed: neither
// for the time that passed, nor for each packet that the kernel kept meanwhile.
func TestNoBurstAfterAStall(t *testing.T) {
	x := newUp(t, usual)
	x.alive(time.Second, packet.Up)
	x.take()
	start := x.now
	for i := range 10 {
		in := input{call: "Receive", at: start.Add(time.Duration(i) * 200 * ms), got: x.peer}
		in.got.State = packet.Up
		if fx, err := x.law.do(in); err != nil || fx.Send {
			t.Fatalf("%+v, %v", fx, err)
		}
	}
	x.now = start.Add(2 * time.Second)
	x.do(input{call: "Advance"})
	if n := len(x.sent); n != 1 {
		t.Errorf("%d packets at the end of the stall, want 1", n)
	}
	x.alive(2*time.Second, packet.Up)
	wantSpacing(t, x.take(), 20, 75*ms, 100*ms)
}

// A wake that is a little late does not move the schedule: else each lateness
// would slow the session down.
func TestLatenessDoesNotAddUp(t *testing.T) {
	x := newUp(t, usual)
	x.get(packet.Up, func(p *packet.Control) { p.DesiredMinTx = time.Hour })
	start, n := x.now, 0
	for x.now.Sub(start) < 100*time.Second {
		x.now = x.next.Add(5 * ms)
		x.do(input{call: "Advance"})
		n++
	}
	wantSpacing(t, x.take(), n, 75*ms, 105*ms)
	// 87.5 ms is the mean of the jitter, and 92.5 ms that of lateness added.
	if mean := x.now.Sub(start) / time.Duration(n); mean > 89*ms {
		t.Errorf("a packet every %v, want every 87.5ms", mean)
	}
}
