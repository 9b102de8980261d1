package packet

import (
	"bytes"
	"testing"
)

// Whatever is accepted is written again as it came, and means the same.
func FuzzParse(f *testing.F) {
	f.Add(good())
	f.Add(good()[:23])
	f.Add(padded(8)(good()))
	for _, kind := range kinds() {
		f.Add(signed(f, auth(f, kind, 7), good()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		c, reason := Parse(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if reason != None {
			if reason > ZeroYourDiscriminator || c != (Control{}) {
				t.Fatalf("refused as %v: %+v", reason, c)
			}
			return
		}
		again := c.Append(nil)
		want := bytes.Clone(b[:Len])
		want[flagsByte] &^= bitAuth
		want[lengthByte] = Len
		if !bytes.Equal(again, want) {
			t.Fatalf("% x was written as % x", b, again)
		}
		c.AuthPresent = false
		if back, reason := Parse(again); reason != None || back != c {
			t.Fatalf("%v: %+v, want %+v", reason, back, c)
		}
	})
}

// Nothing is accepted but what a holder of the key made: here nobody is, but
// for packets that Sign completes from the fuzzer's bytes.
func FuzzVerify(f *testing.F) {
	for i, kind := range kinds() {
		f.Add(uint8(i), signed(f, auth(f, kind, 7, Key{ID: 7, Secret: []byte("guess")}), good()), uint32(7))
	}
	f.Add(uint8(0), good(), uint32(0))
	f.Fuzz(func(t *testing.T, which uint8, b []byte, seq uint32) {
		kind := kinds()[int(which)%len(kinds())]
		// A secret that no input holds: else the fuzzer would be a holder.
		keys := []Key{{ID: 7, Secret: []byte{0xA5, 1, 0x5A, 2, 0xA5, 3, 0x5A, 4, 0xA5, 5, 0x5A, 6, 0xA5, 7, 0x5A, 8}}}
		ours, theirs := auth(t, kind, 0, keys...), auth(t, kind, seq, keys...)
		before := bytes.Clone(b)
		c, reason := Parse(b)
		verdict := ours.Verify(b, c, noon) // also of what Parse refused
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if verdict == None && reason == None {
			t.Fatalf("%s: accepted % x", kind, b)
		}
		if ours.seqKnown {
			t.Fatalf("%s: a sequence number was learnt from % x", kind, b)
		}
		if reason != None {
			return
		}
		bare := c.Append(nil)
		whole := signed(t, theirs, bytes.Clone(bare))
		if len(whole) > MaxLen || len(whole) != int(whole[lengthByte]) {
			t.Fatalf("%s: %d bytes, and Length %d", kind, len(whole), whole[lengthByte])
		}
		if got := verify(t, ours, whole); got != None {
			t.Fatalf("%s: our own packet: %v", kind, got)
		}
	})
}
