package packet

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// What is where in the authentication section (RFC 5880 §4.2 to §4.4).
const (
	atType, atLen, atKey     = Len, Len + 1, Len + 2
	atPassword               = Len + 3
	atSequence, atDigest     = Len + 4, Len + 8
	passwordHead, digestHead = atPassword - Len, atDigest - Len
	flagsByte, lengthByte    = 1, 3
)

// An Auth authenticates the packets of one session, both ways, and has one
// owner. A nil Auth is that of a session without authentication.
type Auth struct {
	kind AuthType
	keys []readyKey

	xmitSeq  uint32 // bfd.XmitAuthSeq: what the next packet carries
	rcvSeq   uint32 // bfd.RcvAuthSeq
	seqKnown bool   // bfd.AuthSeqKnown
	own      bool   // what comes in is what went out

	// The packet as it is hashed, and its digest: here, so that none escapes
	// to the heap for each packet.
	scratch [math.MaxUint8]byte
	sum     [sha1.Size]byte
}

// NewAuth returns what authenticates a session's packets. The first packet that
// is sent carries seq, which "MUST be initialized to a random 32-bit value"
// (RFC 5880 §6.8.1); FRR asks for more, see FRRHMACSHA1.
func NewAuth(t AuthType, keys []Key, seq uint32) (*Auth, error) {
	if !t.known() {
		return nil, fmt.Errorf("%s authentication: there is no such type", t)
	}
	if t != SimplePassword && fips140.Enforced() {
		return nil, fmt.Errorf("%s authentication: FIPS 140-only mode has neither MD5 nor SHA1", t)
	}
	a := &Auth{kind: t, xmitSeq: seq}
	if err := a.SetKeys(keys); err != nil {
		return nil, err
	}
	return a, nil
}

// SetKeys replaces all keys; after an error the old ones stay. The sequence
// numbers go on, and so the session does as long as both ends share a key.
func (a *Auth) SetKeys(keys []Key) error {
	ready, err := prepare(a.kind, keys)
	if err != nil {
		return err
	}
	a.keys = ready
	return nil
}

// Forget accepts the next sequence number whatever it is: bfd.AuthSeqKnown
// "MUST be set to zero after no packets have been received on this session for
// at least twice the Detection Time" (RFC 5880 §6.8.1).
func (a *Auth) Forget() {
	if a != nil && !a.own {
		a.seqKnown = false
	}
}

// Sign completes the 24 bytes of a packet with an authentication section, under
// the key whose SendFrom was last. It is false, and what it returns is empty,
// if no key may be sent now: such a packet must not leave. With room for MaxLen
// in b, nothing is allocated.
func (a *Auth) Sign(b []byte, now time.Time) ([]byte, bool) {
	if a == nil {
		return b, true
	}
	k := a.sending(now)
	if k == nil || len(b) != Len {
		return b[:0], false
	}
	b[flagsByte] |= bitAuth
	if a.kind == SimplePassword {
		b[lengthByte] = byte(atPassword + len(k.Secret))
		b = append(b, byte(a.kind), byte(passwordHead+len(k.Secret)), k.ID)
		return append(b, k.Secret...), true
	}
	size := a.kind.digest()
	b[lengthByte] = byte(atDigest + size)
	b = append(b, byte(a.kind), byte(digestHead+size), k.ID, 0)
	b = binary.BigEndian.AppendUint32(b, a.xmitSeq)
	b = append(b, a.sum[:size]...) // room; hash looks past it
	copy(b[atDigest:], a.hash(k, b))
	// The meticulous types MUST count every packet, the others SHOULD count
	// those that differ from the one before, and MAY count all (RFC 5880
	// §6.7.3, §6.7.4): the more are counted, the fewer can be replayed.
	a.xmitSeq++
	return b, true
}

// sending is the key that is sent: of those that may be now, the one that came
// last, so that a new key takes over by itself.
func (a *Auth) sending(now time.Time) *readyKey {
	var best *readyKey
	for i := range a.keys {
		k := &a.keys[i]
		if k.sendable(now) && (best == nil || k.SendFrom.After(best.SendFrom)) {
			best = k
		}
	}
	return best
}

// Verify says whether the packet in b, which Parse read as c, is the peer's.
func (a *Auth) Verify(b []byte, c Control, now time.Time) Reason {
	switch {
	// "If the A bit is set and no authentication is in use (bfd.AuthType is
	// zero), the packet MUST be discarded." (RFC 5880 §6.8.6)
	case a == nil && c.AuthPresent:
		return AuthUnexpected
	case a == nil:
		return None
	// "If the A bit is clear and authentication is in use (bfd.AuthType is
	// nonzero), the packet MUST be discarded."
	case !c.AuthPresent:
		return AuthMissing
	// Parse has seen to this: without it the indexes below would be wrong.
	case len(b) < minA || int(b[lengthByte]) < minA || int(b[lengthByte]) > len(b):
		return Truncated
	}
	b = b[:b[lengthByte]] // what follows is padding
	switch {
	case b[atType] != byte(a.kind):
		return AuthBadType
	case b[atLen] <= passwordHead || Len+int(b[atLen]) > len(b):
		return AuthBadLength
	}
	k := a.key(b[atKey])
	switch {
	case k == nil:
		return AuthBadKey
	case !k.accepted(now):
		return AuthKeyExpired
	case a.kind == SimplePassword:
		return k.verifyPassword(b)
	}
	return a.verifyDigest(k, b, c.DetectMult)
}

func (a *Auth) key(id byte) *readyKey {
	for i := range a.keys {
		if a.keys[i].ID == id {
			return &a.keys[i]
		}
	}
	return nil
}

func (k *readyKey) verifyPassword(b []byte) Reason {
	// "If the Auth Len field is not equal to the length of the password selected
	// by the key ID, plus three, the packet MUST be discarded." (§6.7.2)
	if int(b[atLen]) != passwordHead+len(k.Secret) {
		return AuthBadLength
	}
	if subtle.ConstantTimeCompare(b[atPassword:Len+int(b[atLen])], k.Secret) != 1 {
		return AuthBadDigest
	}
	return None
}

func (a *Auth) verifyDigest(k *readyKey, b []byte, mult uint8) Reason {
	// "If the Auth Len field is not equal to 24, the packet MUST be discarded."
	// (§6.7.3; with SHA1 it is 28, §6.7.4)
	size := a.kind.digest()
	if int(b[atLen]) != digestHead+size {
		return AuthBadLength
	}
	seq := binary.BigEndian.Uint32(b[atSequence:])
	if !a.inWindow(seq, mult) {
		return AuthBadSequence
	}
	if subtle.ConstantTimeCompare(b[atDigest:atDigest+size], a.hash(k, b)) != 1 {
		return AuthBadDigest
	}
	// Only now: the text of 2010 would have a forged packet set the sequence
	// number, and so lock the peer out (erratum 7083, verified).
	a.rcvSeq, a.seqKnown = seq, true
	return None
}

// inWindow: "if the sequence number lies outside of the range of bfd.RcvAuthSeq
// to bfd.RcvAuthSeq+(3*Detect Mult) inclusive (when treated as an unsigned
// 32-bit circular number space), the received packet MUST be discarded"; of the
// meticulous types the range begins at bfd.RcvAuthSeq+1 (§6.7.3, §6.7.4).
func (a *Auth) inWindow(seq uint32, mult uint8) bool {
	if !a.seqKnown {
		return true
	}
	ahead := seq - a.rcvSeq // circular, as unsigned numbers are
	if a.own {
		return ahead > 0 && ahead < a.xmitSeq-a.rcvSeq
	}
	return ahead <= 3*uint32(mult) && (ahead > 0 || !a.kind.meticulous())
}

// hash returns the digest of the packet b, whatever stands in its place there.
func (a *Auth) hash(k *readyKey, b []byte) []byte {
	p := a.scratch[:copy(a.scratch[:], b)]
	field := p[atDigest : atDigest+a.kind.digest()]
	switch {
	case a.kind.hmac():
		clear(field)
		k.mac.Reset()
		k.mac.Write(p)
		return k.mac.Sum(a.sum[:0])
	// "the shared MD5 key is stored in this field, padded to 16 bytes with
	// trailing zero bytes if needed" (§4.3)
	case a.kind == KeyedMD5 || a.kind == MeticulousMD5:
		copy(field, k.padded[:])
		sum := md5.Sum(p)
		return a.sum[:copy(a.sum[:], sum[:])]
	default: // likewise to 20 bytes (§4.4)
		copy(field, k.padded[:])
		a.sum = sha1.Sum(p)
		return a.sum[:]
	}
}
