package session_test

import (
	"testing"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T34 "… a packet is considered to have been received, for the purposes of
// Detection Time expiration, only if it has not been "discarded"" (§6.8.4): one
// that does not name this session neither keeps it up nor changes what is known.
func TestPacketsForOthersAreNoSignOfLife(t *testing.T) {
	for _, your := range []uint32{0, ours + 1} {
		x := newUp(t, usual)
		known := x.s.View()
		for range 29 {
			x.advance(10 * ms)
			x.get(packet.Up, polled, func(p *packet.Control) {
				p.YourDiscr, p.MyDiscr, p.DetectMult, p.RequiredMinRx = your, 99, 255, 0
			})
		}
		got := x.s.View()
		got.Sent = known.Sent // ours go on
		if got != known {
			t.Errorf("your discriminator %d: knows %+v, want %+v", your, got, known)
		}
		x.advance(10*ms - 1)
		x.wantState(packet.Up)
		x.advance(1)
		x.wantEvent(packet.Down, packet.ControlDetectionTimeExpired)
	}
}
