package bfdpeer

import (
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// Reflect answers every packet of so many neighbors at once, as one does who
// agrees to everything: no timer, no state, no check. What it costs is the cost
// of the packets. It never returns but by an error.
func Reflect(local netip.Addr, sessions int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := listen()
	if err != nil {
		return err
	}
	r := receiver{fd: fd}
	out := make([]int, sessions)
	for i := range out {
		source := netip.AddrPortFrom(local, uint16(packet.MinSourcePort+i%(1<<14)))
		if out[i], err = dial(source, netip.AddrPortFrom(Address(i), packet.Port)); err != nil {
			return err
		}
	}
	var buffer []byte
	for {
		got := r.receive()
		if len(got) == 0 {
			r.wait(time.Now().Add(time.Hour))
		}
		for i := range got {
			c, reason := packet.Parse(got[i].payload)
			// A neighbor's discriminator is its number, from 1.
			if reason != packet.None || int(c.MyDiscr) > sessions {
				continue
			}
			buffer = answer(&c).Append(buffer[:0])
			_, _ = unix.Write(out[c.MyDiscr-1], buffer)
		}
	}
}

// answer is what brings the sender of c up, and keeps it there.
func answer(c *packet.Control) *packet.Control {
	a := *c
	a.MyDiscr, a.YourDiscr, a.Final, a.Poll = c.MyDiscr, c.MyDiscr, c.Poll, false
	if a.State = packet.Up; c.State == packet.Down {
		a.State = packet.Init
	}
	return &a
}
