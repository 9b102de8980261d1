package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
	"time"
)

// speaking is a packet with another value in each field.
func speaking() Control {
	return Control{
		Diag: NeighborSignaledSessionDown, State: Init, Poll: true, ControlPlaneIndependent: true, DetectMult: 5,
		MyDiscr: 1, YourDiscr: 2, DesiredMinTx: time.Second, RequiredMinRx: 300 * time.Millisecond,
		RequiredMinEchoRx: 50 * time.Millisecond,
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes are of python3, and tshark 4.0 reads them as written in speaking:
//
//	struct.pack("!BBBBIIIII", 1<<5|3, 2<<6|0x20|0x08, 5, 24, 1, 2, 1000000, 300000, 50000).hex()
//	xxd -r -p | od -Ax -tx1 -v >p.txt; text2pcap -u 49152,3784 p.txt p.pcap; tshark -r p.pcap -V
func TestLayoutIsThatOfRFC5880(t *testing.T) {
	want := unhex(t, "23a805180000000100000002000f4240000493e00000c350")
	c := speaking()
	if got := c.Append([]byte("before")); !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("Append: %x, want %x after what was there", got, want)
	}
	if got, reason := Parse(want); reason != None || got != c {
		t.Errorf("Parse: %v, %+v, want %+v", reason, got, c)
	}
}

// Each bit of the first two bytes has a field of its own.
func TestEveryFlagStateAndDiagSurvives(t *testing.T) {
	for first := range 32 {
		for second := range 256 {
			b := (&Control{DetectMult: 1, MyDiscr: 1, YourDiscr: 1}).Append(nil)
			b[0], b[1] = 1<<5|byte(first), byte(second)&^(bitAuth|bitMultipoint)
			c, reason := Parse(b)
			if reason != None || !bytes.Equal(c.Append(nil), b) {
				t.Fatalf("% x: %v, and written again % x", b, reason, c.Append(nil))
			}
		}
	}
	b := (&Control{State: Up, Final: true, Demand: true, DetectMult: 1, MyDiscr: 1, YourDiscr: 1}).Append(nil)
	if b[1] != 0b11_010010 { // Sta, P, F, C, A, D, M (§4.1)
		t.Errorf("Up with F and D: %08b", b[1])
	}
}

// Quotes are of RFC 5880 §6.8.6.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(b []byte) []byte
		want   Reason
	}{
		{"nothing at all", func(b []byte) []byte { return nil }, Truncated},
		{"If the version number is not correct (1): 0", at(0, 0), BadVersion},
		{"2", at(0, 2<<5), BadVersion},
		{"7", at(0, 7<<5), BadVersion},
		{"If the Length field is less than the minimum correct value: 0", at(3, 0), BadLength},
		{"24 if the A bit is clear", at(3, 23), BadLength},
		{"26 if the A bit is set: 24", with(at(1, 3<<6|bitAuth), at(3, 24)), BadLength},
		{"25, with a payload of 26", with(at(1, 3<<6|bitAuth), at(3, 25), padded(2)), BadLength},
		{"26, with a payload of 26, is left to Verify", with(at(1, 3<<6|bitAuth), at(3, 26), padded(2)), None},
		{"If the Length field is greater than the payload: by one", at(3, 25), Truncated},
		{"by far", at(3, 255), Truncated},
		{"with A", with(at(1, 3<<6|bitAuth), at(3, 26), padded(1)), Truncated},
		{"If the Detect Mult field is zero", at(2, 0), ZeroMultiplier},
		{"If the Multipoint (M) bit is nonzero", at(1, 3<<6|bitMultipoint), MultipointSet},
		{"If the My Discriminator field is zero", with(at(4, 0), at(5, 0), at(6, 0), at(7, 0)), ZeroMyDiscriminator},
		{"If the Your Discriminator field is zero and the State field is not Down or AdminDown: Up", zeroYours(Up), ZeroYourDiscriminator},
		{"Init", zeroYours(Init), ZeroYourDiscriminator},
		{"Down", zeroYours(Down), None},
		{"AdminDown", zeroYours(AdminDown), None},
		{"RFC 9764 pads the payload, and Length stays", padded(1400), None},
		{"a Length above 24 without A is not forbidden", with(at(3, 30), padded(6)), None},
		{"the value zero is reserved (§4.1), and nobody is told to discard it", with(at(12, 0), at(13, 0), at(14, 0), at(15, 0)), None},
		{"P and F together (§6.5 has no sender do that), likewise", at(1, 3<<6|bitPoll|bitFinal), None},
		{"in the order specified: the version comes first", with(at(0, 0), at(2, 0), at(3, 0)), BadVersion},
		{"then Length", with(at(1, bitMultipoint), at(2, 0), at(3, 0)), BadLength},
		{"then the payload", with(at(2, 0), at(3, 25)), Truncated},
		{"then Detect Mult", with(at(1, bitMultipoint), at(2, 0)), ZeroMultiplier},
		{"then M", with(zeroYours(Up), at(1, 3<<6|bitMultipoint), at(7, 0)), MultipointSet},
		{"then My Discriminator", with(zeroYours(Up), at(4, 0), at(5, 0), at(6, 0), at(7, 0)), ZeroMyDiscriminator},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c, reason := Parse(tt.change(good()))
			if reason != tt.want {
				t.Errorf("got %v, want %v", reason, tt.want)
			}
			if reason != None && c != (Control{}) {
				t.Errorf("a refused packet was read: %+v", c)
			}
		})
	}
}

func good() []byte {
	return (&Control{State: Up, DetectMult: 3, MyDiscr: 0x11223344, YourDiscr: 0x55667788, DesiredMinTx: time.Second}).Append(nil)
}

func at(i int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[i] = v; return b }
}

func padded(n int) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, make([]byte, n)...) }
}

func zeroYours(s State) func([]byte) []byte {
	return with(at(1, byte(s)<<6), at(8, 0), at(9, 0), at(10, 0), at(11, 0))
}

func with(changes ...func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, change := range changes {
			b = change(b)
		}
		return b
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, kind := range append(kinds(), 0) {
		b := good()
		if kind != 0 {
			b = signed(t, auth(t, kind, 7), b)
		}
		for n := range len(b) {
			if _, reason := Parse(b[:n:n]); reason != Truncated {
				t.Errorf("%s: %d of %d bytes: %v", kind, n, len(b), reason)
			}
		}
		if _, reason := Parse(b); reason != None {
			t.Errorf("%s: the whole packet: %v", kind, reason)
		}
	}
}

// Intervals are 32 bits of microseconds (§4.1). Rounding up never promises more
// than is done, and never makes 0 of something: 0 stops the peer's packets.
func TestIntervalsSaturateAndRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]uint32{
		0:                                       0,
		-time.Hour:                              0,
		1:                                       1,
		time.Microsecond:                        1,
		time.Microsecond + 1:                    2,
		10 * time.Millisecond:                   10_000,
		math.MaxUint32*time.Microsecond - 1:     math.MaxUint32,
		math.MaxUint32 * time.Microsecond:       math.MaxUint32,
		math.MaxUint32*time.Microsecond + 1:     math.MaxUint32,
		time.Duration(math.MaxInt64):            math.MaxUint32,
		time.Duration(math.MinInt64):            0,
		(math.MaxUint32 - 1) * time.Microsecond: math.MaxUint32 - 1,
	} {
		b := (&Control{DetectMult: 1, MyDiscr: 1, DesiredMinTx: d, RequiredMinRx: d, RequiredMinEchoRx: d}).Append(nil)
		for i := 12; i < Len; i += 4 {
			if got := binary.BigEndian.Uint32(b[i:]); got != want {
				t.Errorf("%v at %d: %d µs, want %d", d, i, got, want)
			}
		}
	}
}

// What does not fit a field must not spill into the one beside it, and A is not
// set on a packet without a section, which any receiver would refuse.
func TestAppendStaysInItsFields(t *testing.T) {
	c := Control{Diag: 0xFF, State: 0xFF, AuthPresent: true, DetectMult: 1, MyDiscr: 1, YourDiscr: 1}
	if b := c.Append(nil); len(b) != Len || b[0] != 1<<5|0x1f || b[1] != 3<<6 || b[3] != Len {
		t.Errorf("got % x", b)
	}
}
