package bfdengine

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T75. Whatever comes, from whomever: nothing breaks, and a session that nobody
// addressed by its peer's address and its discriminator stays as it is.
func FuzzReceive(f *testing.F) {
	c := packet.Control{State: packet.Init, DetectMult: 3, MyDiscr: 7, DesiredMinTx: time.Second, RequiredMinRx: time.Second}
	f.Add(c.Append(nil), uint8(255), uint8(0), uint8(0))
	f.Add(c.Append(nil), uint8(255), uint8(1), uint8(7))
	f.Add([]byte("no packet"), uint8(3), uint8(2), uint8(2))
	f.Fuzz(func(t *testing.T, payload []byte, ttl, who, how uint8) {
		r := newRig(t, open(func(*Unsolicited) {}))
		a, b := r.want(hundred("192.0.2.2")), r.want(hundred("192.0.2.3"))
		r.up(a)
		untouched := b.session
		d := r.from(a, packet.Up).Datagram
		d.TTL, d.Payload = int(ttl), payload
		if who == 1 {
			d = r.stranger("192.0.2.77").Datagram
			d.TTL, d.Payload = int(ttl), payload
		}
		if len(payload) >= packet.Len && how&1 != 0 { // let it be the session's
			copy(payload[8:], []byte{byte(a.discr >> 24), byte(a.discr >> 16), byte(a.discr >> 8), byte(a.discr)})
		}
		r.step(r.clock, []sock.Datagram{d})
		if b.session != untouched {
			t.Error("the other peer's session was touched")
		}
		if ttl != 255 && (a.session.View().State != packet.Up || r.table.len() != 2) {
			t.Error("a packet from afar did something")
		}
		r.pass(time.Second)
	})
}
