package packet

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// "For Keyed MD5, if the sequence number lies outside of the range of
// bfd.RcvAuthSeq to bfd.RcvAuthSeq+(3*Detect Mult) inclusive (when treated as an
// unsigned 32-bit circular number space), the received packet MUST be discarded.
// For Meticulous Keyed MD5, […] of bfd.RcvAuthSeq+1 to bfd.RcvAuthSeq+(3*Detect
// Mult) inclusive" (RFC 5880 §6.7.3, and §6.7.4 for SHA1)
func TestSequenceWindow(t *testing.T) {
	const mult = 3 // of the packet that good makes
	for _, tt := range []struct {
		ahead             uint32
		keyed, meticulous Reason
	}{
		{0, None, AuthBadSequence},
		{1, None, None},
		{3 * mult, None, None},
		{3*mult + 1, AuthBadSequence, AuthBadSequence},
		{1 << 31, AuthBadSequence, AuthBadSequence},
		{math.MaxUint32, AuthBadSequence, AuthBadSequence}, // one behind
		{math.MaxUint32 - 3*mult, AuthBadSequence, AuthBadSequence},
	} {
		for _, kind := range kinds()[1:] {
			want := tt.keyed
			if meticulous(kind) {
				want = tt.meticulous
			}
			// Last, and where the numbers wrap.
			for _, last := range []uint32{1000, 0, math.MaxUint32, math.MaxUint32 - 3*mult + 1, 1<<31 - 1} {
				ours := auth(t, kind, 0)
				if reason := verify(t, ours, signed(t, auth(t, kind, last), good())); reason != None {
					t.Fatalf("%s: first %d: %v", kind, last, reason)
				}
				if got := verify(t, ours, signed(t, auth(t, kind, last+tt.ahead), good())); got != want {
					t.Errorf("%s: %d after %d: %v, want %v", kind, last+tt.ahead, last, got, want)
				}
			}
		}
	}
}

func meticulous(kind AuthType) bool { return strings.Contains(kind.String(), "meticulous") }

// The window is the sender's: of the Detect Mult field in his packet.
func TestWindowGrowsWithDetectMult(t *testing.T) {
	ours := auth(t, KeyedSHA1, 0)
	packet := func(mult uint8, seq uint32) []byte {
		c := Control{State: Up, DetectMult: mult, MyDiscr: 1, YourDiscr: 1}
		return signed(t, auth(t, KeyedSHA1, seq), c.Append(nil))
	}
	for _, step := range []struct {
		mult uint8
		seq  uint32
		want Reason
	}{{1, 100, None}, {1, 104, AuthBadSequence}, {1, 103, None}, {255, 103 + 766, AuthBadSequence}, {255, 103 + 765, None}} {
		if got := verify(t, ours, packet(step.mult, step.seq)); got != step.want {
			t.Errorf("%d × %d: %v, want %v", step.mult, step.seq, got, step.want)
		}
	}
}

// What was accepted is the new start of the window, so no packet is taken twice
// under a meticulous type, and none that is older than it under the others.
func TestReplayIsRefused(t *testing.T) {
	for _, kind := range kinds()[1:] {
		ours, theirs := auth(t, kind, 0), auth(t, kind, math.MaxUint32-5)
		var sent [][]byte
		for range 12 {
			sent = append(sent, signed(t, theirs, good()))
			if reason := verify(t, ours, sent[len(sent)-1]); reason != None {
				t.Fatalf("%s: packet %d: %v", kind, len(sent), reason)
			}
		}
		for i, b := range sent {
			if got := verify(t, ours, b); got != AuthBadSequence && (meticulous(kind) || i < len(sent)-1) {
				t.Errorf("%s: packet %d again: %v", kind, i, got)
			}
		}
	}
}

// A packet that is not the peer's says nothing about his sequence numbers: "If
// the SHA1 hash […] is not equal […], the received packet MUST be discarded.
// Otherwise, […] bfd.AuthSeqKnown MUST be set to 1" (RFC 5880, erratum 7083).
func TestForgedPacketsMoveNoSequence(t *testing.T) {
	for _, kind := range kinds()[1:] {
		ours, theirs := auth(t, kind, 0), auth(t, kind, 50)
		forger := func(seq uint32) []byte {
			return signed(t, auth(t, kind, seq, Key{ID: 7, Secret: []byte("guess")}), good())
		}
		for _, seq := range []uint32{1 << 30, 53, 58} { // before the first packet, and in the window after it
			if got := verify(t, ours, forger(seq)); got != AuthBadDigest {
				t.Errorf("%s: forged: %v", kind, got)
			}
			if got := verify(t, ours, signed(t, theirs, good())); got != None {
				t.Errorf("%s: the peer's after a forged %d: %v", kind, seq, got)
			}
		}
	}
}

// "This ensures that the sequence number can be resynchronized if the remote
// system restarts." (§6.8.1)
func TestForgetTakesAnySequence(t *testing.T) {
	for _, kind := range kinds()[1:] {
		ours := auth(t, kind, 0)
		for _, step := range []struct {
			seq    uint32
			forget bool
			want   Reason
		}{{5000, false, None}, {10, false, AuthBadSequence}, {10, true, None}, {5001, false, AuthBadSequence}, {11, false, None}} {
			if step.forget {
				ours.Forget()
			}
			if got := verify(t, ours, signed(t, auth(t, kind, step.seq), good())); got != step.want {
				t.Errorf("%s: %d: %v, want %v", kind, step.seq, got, step.want)
			}
		}
	}
}

// "For Meticulous Keyed MD5, bfd.XmitAuthSeq MUST be incremented in a circular
// fashion" (§6.7.3); the others MAY be, and "SHOULD be […] when the transmitted
// BFD Control packet carries different contents".
func TestEveryPacketIsCounted(t *testing.T) {
	for _, kind := range kinds()[1:] {
		a := auth(t, kind, math.MaxUint32-1)
		for _, want := range []uint32{math.MaxUint32 - 1, math.MaxUint32, 0, 1} {
			b := signed(t, a, good())
			if got := binary.BigEndian.Uint32(b[atSequence:]); got != want {
				t.Errorf("%s: sent %d, want %d", kind, got, want)
			}
		}
	}
}
