package packet

import (
	"bytes"
	"testing"
	"time"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func kinds() []AuthType {
	return []AuthType{SimplePassword, KeyedMD5, MeticulousMD5, KeyedSHA1, MeticulousSHA1, FRRHMACSHA1, FRRHMACMeticulousSHA1}
}

func auth(t testing.TB, kind AuthType, seq uint32, keys ...Key) *Auth {
	t.Helper()
	if keys == nil {
		keys = []Key{{ID: 7, Secret: []byte("secret")}}
	}
	a, err := NewAuth(kind, keys, seq)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func signed(t testing.TB, a *Auth, b []byte) []byte {
	t.Helper()
	b, ok := a.Sign(b, noon)
	if !ok {
		t.Fatal("no key to sign with")
	}
	return b
}

// verify is what a receiver does with a datagram.
func verify(t testing.TB, a *Auth, b []byte) Reason {
	t.Helper()
	c, reason := Parse(b)
	if reason != None {
		t.Fatalf("Parse: %v", reason)
	}
	return a.Verify(b, c, noon)
}

// Made with python3, struct.pack, hashlib and hmac; the digests of SHA1 and
// HMAC-SHA1 were made with openssl too, and tshark reads type, key ID, sequence
// number and digest as meant. To repeat them, with head being the hexadecimal
// digits up to the digest:
//
//	(echo $head | xxd -r -p; printf secret; head -c 14 /dev/zero) | openssl dgst -sha1
//	(echo $head | xxd -r -p; head -c 20 /dev/zero) | openssl dgst -sha1 -hmac secret
//
// and with 10 zeros and -md5 for MD5 (§4.3, §4.4: the key stands in the
// digest's place, and trailing zeros).
var knownAnswers = []struct {
	kind AuthType
	want string
}{
	{SimplePassword, "21c4032111223344aabbccdd000493e00003d09000000000010907736563726574"},
	{KeyedMD5, "21c4033011223344aabbccdd000493e00003d0900000000002180700fffffffe69aeaa43be4d9296590f4a3d09115383"},
	{MeticulousMD5, "21c4033011223344aabbccdd000493e00003d0900000000003180700fffffffe6fdf9d6b0d99fb27bf9a144c89a23225"},
	{KeyedSHA1, "21c4033411223344aabbccdd000493e00003d09000000000041c0700fffffffe9959ffdc49014e2376f2ef89be1f2d2693cb8d02"},
	{MeticulousSHA1, "21c4033411223344aabbccdd000493e00003d09000000000051c0700fffffffea09822da92fccef5b1be87c6cb903ab5c7beac16"},
	{FRRHMACSHA1, "21c4033411223344aabbccdd000493e00003d09000000000041c0700fffffffe53a0f26db5a4011b4466afc523db47b02ae564f3"},
	{FRRHMACMeticulousSHA1, "21c4033411223344aabbccdd000493e00003d09000000000051c0700fffffffeeec51dd95effd7429d41045a2ef2b78009aefac7"},
}

func TestSectionIsThatOfAnIndependentTool(t *testing.T) {
	c := Control{
		Diag: ControlDetectionTimeExpired, State: Up, DetectMult: 3, MyDiscr: 0x11223344, YourDiscr: 0xAABBCCDD,
		DesiredMinTx: 300 * time.Millisecond, RequiredMinRx: 250 * time.Millisecond,
	}
	for _, tt := range knownAnswers {
		t.Run(tt.kind.String(), func(t *testing.T) {
			want := unhex(t, tt.want)
			if got := signed(t, auth(t, tt.kind, 0xFFFFFFFE), c.Append(nil)); !bytes.Equal(got, want) {
				t.Errorf("signed\n%x, want\n%x", got, want)
			}
			if reason := verify(t, auth(t, tt.kind, 0), want); reason != None {
				t.Errorf("verified: %v", reason)
			}
		})
	}
}

// What BIRD 2.0.12 sent, taken off a loopback interface. Its configuration:
//
//	protocol bfd {
//	  accept multihop;
//	  multihop { interval 50 ms; multiplier 4; authentication keyed sha1; password "swordfish" { id 9; }; };
//	  neighbor 127.0.0.2 local 127.0.0.1 multihop yes;
//	}
func TestPacketsOfBIRDAreAccepted(t *testing.T) {
	for _, tt := range []struct {
		kind         AuthType
		first, later string
	}{
		{SimplePassword, "2044042492f7aebf00000000000f42400000c35000000000010c0973776f726466697368",
			"2044042492f7aebf00000000000f42400000c35000000000010c0973776f726466697368"},
		{KeyedMD5, "20440430757b6a0200000000000f42400000c3500000000002180900f7c26fc804dabfb1fcdcecc5b966e9d1a43a77d5",
			"20440430757b6a0200000000000f42400000c3500000000002180900f7c26fc92f6d5859bce16a90c48f10e6278532da"},
		{MeticulousMD5, "204404307e221fb300000000000f42400000c350000000000318090003a42fdc1710e616425ec6bcc960223aac625826",
			"204404307e221fb300000000000f42400000c350000000000318090003a42fdd770f1124a02c05ce3027ec9809a4f758"},
		{KeyedSHA1, "20440434ed9a8a5c00000000000f42400000c35000000000041c090052df4b56eee14c52ac06a0f31fdd570c569fc8bab15f7393",
			"20440434ed9a8a5c00000000000f42400000c35000000000041c090052df4b57c6ac1f5e57b037d1c54415a8b37685a26c8ea218"},
		{MeticulousSHA1, "20440434da76550500000000000f42400000c35000000000051c0900c0b18ac491b98835ee0f2bdf0bdf92c5cfb67b25d993a2b9",
			"20440434da76550500000000000f42400000c35000000000051c0900c0b18ac53dfdb47cb1cb904f06c32fab70a61380598b8582"},
	} {
		a := auth(t, tt.kind, 0, Key{ID: 9, Secret: []byte("swordfish")})
		for _, datagram := range []string{tt.first, tt.later} {
			if reason := verify(t, a, unhex(t, datagram)); reason != None {
				t.Errorf("%s: %v", tt.kind, reason)
			}
		}
	}
}

// Quotes are of RFC 5880 §6.8.6 and §6.7.
func TestVerifyRefuses(t *testing.T) {
	keyed, simple := auth(t, KeyedSHA1, 0), auth(t, SimplePassword, 0)
	for _, tt := range []struct {
		rule   string
		ours   *Auth
		theirs *Auth
		change func([]byte) []byte
		want   Reason
	}{
		{"A set and no authentication is in use", nil, keyed, nil, AuthUnexpected},
		{"A clear and authentication is in use", keyed, nil, nil, AuthMissing},
		{"neither", nil, nil, nil, None},
		{"the Auth Type is not correct (4 for Keyed SHA1 …", keyed, auth(t, MeticulousSHA1, 0), nil, AuthBadType},
		{"… or 5 for Meticulous Keyed SHA1)", auth(t, MeticulousSHA1, 0), keyed, nil, AuthBadType},
		{"not MD5", keyed, auth(t, KeyedMD5, 0), nil, AuthBadType},
		{"not a password, which would be weaker", keyed, simple, nil, AuthBadType},
		{"0 is reserved (§4.1)", keyed, keyed, at(atType, 0), AuthBadType},
		{"the Auth Key ID field does not match the ID of a configured key", keyed, keyed, at(atKey, 8), AuthBadKey},
		{"of a configured password", simple, simple, at(atKey, 8), AuthBadKey},
		{"the Auth Len field is not equal to 28: 27", keyed, keyed, at(atLen, 27), AuthBadLength},
		{"29, one past the packet", keyed, keyed, with(at(atLen, 29), padded(9)), AuthBadLength},
		{"29, within the packet", keyed, keyed, with(at(atLen, 29), at(3, 53), padded(1)), AuthBadLength},
		{"nothing", keyed, keyed, at(atLen, 0), AuthBadLength},
		{"24 is for MD5", keyed, keyed, at(atLen, 24), AuthBadLength},
		{"28 is for SHA1", auth(t, KeyedMD5, 0), auth(t, KeyedMD5, 0), with(at(atLen, 28), at(3, 52), padded(4)), AuthBadLength},
		{"a section that ends behind its first two bytes", keyed, keyed, with(at(3, 26), at(atLen, 2)), AuthBadLength},
		{"and says that it does not", keyed, keyed, at(3, 26), AuthBadLength},
		{"Auth Len not the length of the password plus three: less", simple, simple, with(at(atLen, 8), at(3, 32)), AuthBadLength},
		{"more", simple, simple, with(at(atLen, 10), at(3, 34), padded(1)), AuthBadLength},
		{"no password", simple, simple, with(at(atLen, 3), at(3, 27)), AuthBadLength},
		{"the Password field does not match: first", simple, simple, at(atPassword, 'S'), AuthBadDigest},
		{"last", simple, simple, at(atPassword+5, 'T'), AuthBadDigest},
		{"the hash does not match", keyed, auth(t, KeyedSHA1, 0, Key{ID: 7, Secret: []byte("Secret")}), nil, AuthBadDigest},
		{"a secret that only begins alike", keyed, auth(t, KeyedSHA1, 0, Key{ID: 7, Secret: []byte("secrets")}), nil, AuthBadDigest},
		{"an HMAC is not what §6.7.4 asks for", keyed, auth(t, FRRHMACSHA1, 0), nil, AuthBadDigest},
		{"nor the other way", auth(t, FRRHMACSHA1, 0), keyed, nil, AuthBadDigest},
		{"padding (RFC 9764) is none of it", keyed, keyed, padded(1400), None},
		{"of a password neither", simple, simple, padded(1400), None},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			b := signed(t, tt.theirs, good())
			if tt.change != nil {
				b = tt.change(b)
			}
			tt.ours.Forget()
			if got := verify(t, tt.ours, b); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// "An MD5 digest MUST be calculated over the entire BFD Control packet" (§6.7.3):
// no bit of it can be changed, also not Reserved, which is "ignored on receipt"
// but hashed.
func TestEveryBitIsAuthenticated(t *testing.T) {
	for _, kind := range kinds()[1:] {
		b := signed(t, auth(t, kind, 7), good())
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			if c, reason := Parse(b); reason == None && auth(t, kind, 0).Verify(b, c, noon) == None {
				t.Errorf("%s: accepted with bit %d of byte %d changed", kind, bit%8, bit/8)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		if reason := verify(t, auth(t, kind, 0), b); reason != None {
			t.Errorf("%s: unchanged: %v", kind, reason)
		}
	}
}

// "This byte MUST be set to zero on transmit, and ignored on receipt" (§4.3).
func TestReservedIsIgnored(t *testing.T) {
	for _, kind := range kinds()[1:] {
		a := auth(t, kind, 7)
		b := signed(t, a, good())
		if b[atKey+1] != 0 {
			t.Errorf("%s: sent as %d", kind, b[atKey+1])
		}
		b[atKey+1] = 0xFF
		copy(b[atDigest:], a.hash(&a.keys[0], b))
		if reason := verify(t, auth(t, kind, 0), b); reason != None {
			t.Errorf("%s: %v", kind, reason)
		}
	}
}

// A caller that has not parsed what it verifies is refused, not a panic.
func TestVerifyBelievesNoLength(t *testing.T) {
	for _, kind := range kinds() {
		b := signed(t, auth(t, kind, 7), good())
		c, _ := Parse(b)
		for n := range len(b) {
			if reason := auth(t, kind, 0).Verify(b[:n:n], c, noon); reason != Truncated {
				t.Errorf("%s: %d bytes: %v", kind, n, reason)
			}
		}
		for _, length := range []byte{0, 3, Len, minA - 1, byte(len(b) + 1)} {
			if reason := auth(t, kind, 0).Verify(at(lengthByte, length)(b), c, noon); reason != Truncated {
				t.Errorf("%s: a Length of %d: %v", kind, length, reason)
			}
		}
	}
}

// Only 24 bytes can be completed; anything else must not leave as if it were.
func TestSignTakesOnlyABarePacket(t *testing.T) {
	a := auth(t, KeyedSHA1, 7)
	for _, b := range [][]byte{nil, good()[:23], append(good(), 0), signed(t, a, good())} {
		if got, ok := a.Sign(b, noon); ok || len(got) != 0 {
			t.Errorf("signed %d bytes: %x", len(b), got)
		}
	}
}

func TestWithoutAuthenticationPacketsPass(t *testing.T) {
	var none *Auth
	none.Forget()
	if b, ok := none.Sign(good(), noon); !ok || !bytes.Equal(b, good()) {
		t.Errorf("sent as %x, %t", b, ok)
	}
	if reason := verify(t, none, good()); reason != None {
		t.Errorf("received: %v", reason)
	}
}
