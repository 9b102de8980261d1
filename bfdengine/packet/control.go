// Package packet is the wire format of BFD (RFC 5880 §4) and its authentication
// (§6.7): bytes in, plain values out. It knows no session, opens no socket and
// reads no clock; whose packet it is, and what it means, others decide.
package packet

import (
	"encoding/binary"
	"math"
	"time"
)

// What is fixed on the wire.
const (
	Len    = 24               // of a packet without authentication (RFC 5880 §4.1)
	MaxLen = Len + 28         // with the longest section that Sign adds
	minA   = Len + 2          // with the shortest section there could be (§6.8.6)
	micro  = time.Microsecond // the unit of the interval fields

	Port         = 3784 // single hop (RFC 5881 §4)
	PortEcho     = 3785 // echo (RFC 5881 §4)
	PortMultihop = 4784 // multihop (RFC 5883 §5)
	// MinSourcePort is the first of those that a session may send from, up to
	// 65535 (RFC 5881 §4).
	MinSourcePort = 49152
)

// A Control is a BFD Control packet without its authentication section. It has
// no M: that "MUST be zero on both transmit and receipt" (RFC 5880 §4.1).
type Control struct {
	Diag                    Diag
	State                   State
	Poll                    bool
	Final                   bool
	ControlPlaneIndependent bool
	AuthPresent             bool // told by Parse; Append leaves it to Sign
	Demand                  bool
	DetectMult              uint8
	MyDiscr                 uint32
	YourDiscr               uint32
	// Whole microseconds, at most 2^32-1 of them.
	DesiredMinTx      time.Duration
	RequiredMinRx     time.Duration // 0: the sender wants no periodic packets
	RequiredMinEchoRx time.Duration // 0: the sender takes no echo packets
}

// The second byte: state, then one bit each.
const (
	bitPoll = 1 << (5 - iota)
	bitFinal
	bitCPI
	bitAuth
	bitDemand
	bitMultipoint
)

// Parse reads the packet in the payload of a UDP datagram, and does those checks
// of RFC 5880 §6.8.6 that need only its bytes, in the order given there. The
// payload may be longer than the packet: RFC 9764 pads it.
func Parse(b []byte) (Control, Reason) {
	if len(b) < Len {
		return Control{}, Truncated
	}
	// "If the version number is not correct (1), the packet MUST be discarded."
	if b[0]>>5 != 1 {
		return Control{}, BadVersion
	}
	c := Control{
		Diag:                    Diag(b[0] & 0x1f),
		State:                   State(b[flagsByte] >> 6),
		Poll:                    b[flagsByte]&bitPoll != 0,
		Final:                   b[flagsByte]&bitFinal != 0,
		ControlPlaneIndependent: b[flagsByte]&bitCPI != 0,
		AuthPresent:             b[flagsByte]&bitAuth != 0,
		Demand:                  b[flagsByte]&bitDemand != 0,
		DetectMult:              b[2],
		MyDiscr:                 binary.BigEndian.Uint32(b[4:]),
		YourDiscr:               binary.BigEndian.Uint32(b[8:]),
		DesiredMinTx:            interval(b[12:]),
		RequiredMinRx:           interval(b[16:]),
		RequiredMinEchoRx:       interval(b[20:]),
	}
	if reason := c.check(b); reason != None {
		return Control{}, reason
	}
	return c, None
}

// check does what is left of §6.8.6 after the version.
func (c *Control) check(b []byte) Reason {
	length := int(b[lengthByte])
	switch {
	// "If the Length field is less than the minimum correct value (24 if the A
	// bit is clear, or 26 if the A bit is set), the packet MUST be discarded."
	case length < Len, c.AuthPresent && length < minA:
		return BadLength
	// "If the Length field is greater than the payload of the encapsulating
	// protocol, the packet MUST be discarded."
	case length > len(b):
		return Truncated
	// "If the Detect Mult field is zero, the packet MUST be discarded."
	case c.DetectMult == 0:
		return ZeroMultiplier
	// "If the Multipoint (M) bit is nonzero, the packet MUST be discarded."
	case b[flagsByte]&bitMultipoint != 0:
		return MultipointSet
	// "If the My Discriminator field is zero, the packet MUST be discarded."
	case c.MyDiscr == 0:
		return ZeroMyDiscriminator
	// "If the Your Discriminator field is zero and the State field is not Down or
	// AdminDown, the packet MUST be discarded."
	case c.YourDiscr == 0 && c.State != Down && c.State != AdminDown:
		return ZeroYourDiscriminator
	}
	return None
}

// Append appends the 24 bytes of c to b, without authentication: A is clear,
// whatever AuthPresent says.
func (c *Control) Append(b []byte) []byte {
	b = append(b, 1<<5|byte(c.Diag)&0x1f, c.flags(), c.DetectMult, Len)
	b = binary.BigEndian.AppendUint32(b, c.MyDiscr)
	b = binary.BigEndian.AppendUint32(b, c.YourDiscr)
	b = binary.BigEndian.AppendUint32(b, micros(c.DesiredMinTx))
	b = binary.BigEndian.AppendUint32(b, micros(c.RequiredMinRx))
	return binary.BigEndian.AppendUint32(b, micros(c.RequiredMinEchoRx))
}

func (c *Control) flags() byte {
	f := byte(c.State) << 6
	if c.Poll {
		f |= bitPoll
	}
	if c.Final {
		f |= bitFinal
	}
	if c.ControlPlaneIndependent {
		f |= bitCPI
	}
	if c.Demand {
		f |= bitDemand
	}
	return f
}

func interval(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * micro
}

// micros rounds up: a longer interval is always a safe promise, and a short one
// must not become 0, which means something else (RFC 5880 §4.1).
func micros(d time.Duration) uint32 {
	switch {
	case d <= 0:
		return 0
	case d > math.MaxUint32*micro:
		return math.MaxUint32
	}
	return uint32((d + micro - 1) / micro)
}
