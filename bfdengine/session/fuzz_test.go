package session_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// T75 Any sequence of calls, packets and times: the law holds.
func FuzzSession(f *testing.F) {
	f.Add([]byte("\x00bring it up\x00, and down\x01\x02\x03\x04\x05\x06\x07"))
	f.Add([]byte{0, 0x40, 3, 1, 0, 0x80, 3, 1, 0, 0xc0, 3, 1, 1, 255, 255, 0, 2, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := session.New(ours, usual, rand.New(rand.NewPCG(1, 2)), begin())
		l := newLaw(&s, ours, usual)
		r := reader{script}
		for now := begin(); len(r.b) > 0; {
			in := r.input()
			now = now.Add(r.duration())
			in.at = now
			// The owner calls when it was asked to; now and then it is late.
			if fx, err := l.do(in); err != nil {
				t.Fatal(err)
			} else if fx.Next.Before(now) {
				now = now.Add(r.duration())
			}
		}
	})
}

// A reader makes calls of bytes. Of a script that is over it reads zeros.
type reader struct{ b []byte }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// duration favors those that the session is made of, and has all others.
func (r *reader) duration() time.Duration {
	units := [...]time.Duration{0, 1, time.Microsecond, ms, 25 * ms, 100 * ms, time.Second, time.Hour}
	b := r.byte()
	return units[b%8] * time.Duration(b/8)
}

func (r *reader) interval() time.Duration {
	return min(r.duration().Truncate(time.Microsecond), (1<<32-1)*time.Microsecond)
}

func (r *reader) input() input {
	switch r.byte() % 12 {
	case 0:
		return input{call: "Configure", config: session.Config{
			DesiredMinTx: max(r.interval(), 1000), RequiredMinRx: max(r.interval(), 1000),
			DetectMult: max(r.byte(), 1), Passive: r.byte()%2 == 0, ControlPlaneIndependent: r.byte()%2 == 0,
		}}
	case 1:
		return input{call: "Disable", diag: packet.Diag(r.byte() % 32)}
	case 2:
		return input{call: "Enable"}
	case 3:
		return input{call: "Fail", diag: packet.Diag(r.byte() % 32)}
	case 4, 5, 6:
		return input{call: "Advance"}
	}
	return input{call: "Receive", got: r.packet()}
}

// packet is any that Parse lets pass.
func (r *reader) packet() packet.Control {
	var b [packet.Len]byte
	b[0], b[1], b[2], b[3] = 1<<5|r.byte()&31, r.byte()&^5, max(r.byte(), 1), packet.Len
	binary.BigEndian.PutUint32(b[4:], 1+uint32(r.byte()))
	if b[1]&1<<4 == 0 {
		binary.BigEndian.PutUint32(b[8:], ours)
	} else {
		binary.BigEndian.PutUint32(b[8:], uint32(r.byte()))
	}
	for i := 12; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(r.interval()/time.Microsecond))
	}
	c, _ := packet.Parse(b[:]) // what it refuses no session sees; but it must not hurt either
	return c
}
