package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// RFC 5880 §6.8.4, T33: what counts is when the packet came, not when we looked.
func TestAPacketReadTogetherWithTheDeadlineCounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration // the deadline
		want   packet.State
	}{
		{"a nanosecond before", 1, packet.Up},
		{"long before", 100 * time.Millisecond, packet.Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			e := r.want(hundred("192.0.2.2"))
			r.up(e)
			deadline := r.clock.Add(300 * time.Millisecond)
			r.pass(299 * time.Millisecond)
			r.clock = deadline.Add(40 * time.Millisecond)
			p := r.from(e, packet.Up)
			p.At = deadline.Add(-tt.before)
			r.receiveAll(p)
			r.wantState(e, tt.want)
			// And it counts from when it came.
			r.clock = p.At.Add(300*time.Millisecond - 1)
			r.step(r.clock, nil)
			r.wantState(e, packet.Up)
			r.pass(1)
			r.wantState(e, packet.Down)
		})
	}
}

func TestSilenceIsDetectedToTheNanosecond(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	r.up(e)
	r.pass(300*time.Millisecond - 1)
	r.wantState(e, packet.Up)
	r.pass(1)
	r.wantState(e, packet.Down)
	c := r.changes()
	if len(c) != 1 || c[0].Diag != packet.ControlDetectionTimeExpired || c[0].From != packet.Up || c[0].RemoteAdmin {
		t.Errorf("%+v", c)
	}
}

// The kernel kept what came while we did not run, unless it had no room or stood
// still itself. So a silence that ends within our own stall is put off, by one
// packet of the peer, once.
func TestOurOwnStallIsNotThePeersDeath(t *testing.T) {
	stalled := func(t *testing.T) (*rig, *entry) {
		r := newRig(t, Options{})
		e := r.want(hundred("192.0.2.2"))
		r.up(e)
		r.pass(250 * time.Millisecond)
		r.take()
		r.clock = r.clock.Add(time.Second)
		r.stall = time.Second
		r.step(r.clock, nil)
		r.stall = 0
		r.wantState(e, packet.Up)
		if n := len(r.take()); n != 1 {
			t.Errorf("%d packets sent, want one at once, as the peer waits for us too", n)
		}
		if r.stats.Excused != 1 {
			t.Errorf("%d excused", r.stats.Excused)
		}
		return r, e
	}
	t.Run("a packet comes in time", func(t *testing.T) {
		r, e := stalled(t)
		r.pass(100 * time.Millisecond)
		r.receiveAll(r.from(e, packet.Up))
		r.pass(299 * time.Millisecond)
		r.wantState(e, packet.Up)
		r.pass(time.Millisecond)
		r.wantState(e, packet.Down)
	})
	t.Run("none comes", func(t *testing.T) {
		r, e := stalled(t)
		r.pass(100*time.Millisecond + stallFrom - 1)
		r.wantState(e, packet.Up)
		r.pass(1)
		r.wantState(e, packet.Down)
	})
	t.Run("only once for each silence", func(t *testing.T) {
		r, e := stalled(t)
		r.clock = r.clock.Add(time.Second)
		r.stall = 3 * time.Second // that is, in one with the first
		r.step(r.clock, nil)
		r.wantState(e, packet.Down)
	})
	t.Run("a silence that ended before the stall is none of ours", func(t *testing.T) {
		r := newRig(t, Options{})
		e := r.want(hundred("192.0.2.2"))
		r.up(e)
		r.clock = r.clock.Add(310 * time.Millisecond)
		r.stall = 9 * time.Millisecond
		r.step(r.clock, nil)
		r.wantState(e, packet.Down)
	})
}

func TestStallsAreMeasured(t *testing.T) {
	for _, tt := range []struct {
		name       string
		gap, slept time.Duration
		oldest     time.Duration // age of the oldest packet
		moderated  bool
		want       time.Duration
	}{
		{"back in time", 100 * time.Millisecond, 100 * time.Millisecond, 0, false, 0},
		{"woken early", 10 * time.Millisecond, 100 * time.Millisecond, 0, false, 0},
		{"late for a timer", 130 * time.Millisecond, 100 * time.Millisecond, 0, false, 30 * time.Millisecond},
		{"late for a packet", 50 * time.Millisecond, 100 * time.Millisecond, 20 * time.Millisecond, false, 20 * time.Millisecond},
		{"packets wait for us when moderated", time.Millisecond, time.Millisecond, time.Millisecond, true, 0},
	} {
		r := newRig(t, Options{})
		r.last, r.slept, r.moderation.on = r.clock.Add(-tt.gap), tt.slept, tt.moderated
		r.measure(r.clock.Add(-tt.oldest))
		if r.stall != tt.want {
			t.Errorf("%s: stalled for %v, want %v", tt.name, r.stall, tt.want)
		}
	}
}

// T72: 1000 at once, and nobody reads meanwhile.
func TestManyFailuresAtOnceAreAllTold(t *testing.T) {
	r := newRig(t, Options{})
	var all []*entry
	for i := range 1000 {
		all = append(all, r.want(hundred(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())))
	}
	for _, e := range all {
		r.receiveAll(r.from(e, packet.Init))
	}
	r.changes()
	r.changes()
	r.changes()
	r.changes()
	r.pass(30 * time.Second)
	down := map[Key]int{}
	for {
		changes := r.changes()
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if c.From == packet.Up && c.To == packet.Down {
				down[c.Key]++
			}
		}
	}
	for _, e := range all {
		if down[e.spec.Key] != 1 {
			t.Errorf("%s: told %d times", e.spec.Key, down[e.spec.Key])
		}
	}
}

func TestNothingIsAllocatedWhileSessionsAreUp(t *testing.T) {
	r := newRig(t, Options{})
	var datagrams []sock.Datagram
	for i := range 50 {
		e := r.want(hundred(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String()))
		r.up(e)
		p := r.from(e, packet.Up)
		p.Datagram.Payload = p.Control.Append(nil)
		datagrams = append(datagrams, p.Datagram)
	}
	bad := datagrams[0]
	bad.TTL = 3
	stranger := datagrams[1]
	stranger.Peer = netip.MustParseAddr("192.0.2.99")
	datagrams = append(datagrams, bad, stranger)
	for _, e := range r.table.slots {
		e.link = quietLink{}
	}
	step := func() {
		r.clock = r.clock.Add(100 * time.Millisecond)
		for i := range datagrams {
			datagrams[i].At = r.clock
		}
		r.step(r.clock, datagrams)
	}
	step()
	sent := r.stats.Sent
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Errorf("%v allocations in a step of %d packets", n, len(datagrams))
	}
	if n := r.stats.Sent - sent; n < 50*100 {
		t.Errorf("only %d packets sent", n)
	}
}

type quietLink struct{ link }

func (quietLink) Send([]byte) unix.Errno { return 0 }
