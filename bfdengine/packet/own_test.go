package packet

import (
	"bytes"
	"testing"
	"time"
)

// back is a packet with a number as it comes back to its sender.
type back struct {
	bytes []byte
	c     Control
}

func sendOwn(t *testing.T, a *Auth) back {
	t.Helper()
	c := Control{State: Up, DetectMult: 3, MyDiscr: 7, YourDiscr: 7}
	b, ok := a.Sign(c.Append(make([]byte, 0, MaxLen)), time.Now())
	if !ok {
		t.Fatal("not signed")
	}
	c, reason := Parse(b)
	if reason != None {
		t.Fatal(reason)
	}
	return back{b, c}
}

func TestOwnPacketsAreGoodOnceAndInOrder(t *testing.T) {
	for _, seq := range []uint32{0, 1, 1 << 31, 1<<32 - 2} { // also where it wraps
		a, err := NewOwnAuth(bytes.Repeat([]byte{5}, 20), seq)
		if err != nil {
			t.Fatal(err)
		}
		first, second := sendOwn(t, a), sendOwn(t, a)
		var last back
		for range 1000 { // far more than three multipliers are lost
			last = sendOwn(t, a)
		}
		other, _ := NewOwnAuth(bytes.Repeat([]byte{6}, 20), seq)
		for i, tt := range []struct {
			p    back
			want Reason
		}{
			{sendOwn(t, other), AuthBadDigest}, {second, None}, {first, AuthBadSequence}, {second, AuthBadSequence},
			{last, None}, {last, AuthBadSequence}, {second, AuthBadSequence},
		} {
			a.Forget() // a peer's number may be forgotten, one's own is not
			if got := a.Verify(tt.p.bytes, tt.p.c, time.Now()); got != tt.want {
				t.Errorf("from %d on, packet %d: %s, want %s", seq, i, got, tt.want)
			}
		}
	}
}

// Who knows the secret, which nobody does, still can't be ahead of the sender.
func TestOwnPacketsLeftBeforeTheyComeBack(t *testing.T) {
	secret := bytes.Repeat([]byte{5}, 20)
	a, _ := NewOwnAuth(secret, 100)
	ahead, _ := NewOwnAuth(secret, 100)
	sendOwn(t, a)
	sendOwn(t, ahead)
	p := sendOwn(t, ahead)
	if got := a.Verify(p.bytes, p.c, time.Now()); got != AuthBadSequence {
		t.Errorf("a packet that never left: %s", got)
	}
}
