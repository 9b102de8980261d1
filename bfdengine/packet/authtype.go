package packet

import (
	"crypto/md5"
	"crypto/sha1"
	"fmt"
)

// An AuthType is a way to authenticate packets. Its low byte is the Auth Type
// field of RFC 5880 §4.1.
type AuthType uint16

// The types of RFC 5880 §6.7. Only the meticulous ones refuse the last packet
// when it comes again: under the others, who recorded it can make a dead peer
// seem alive (§9).
//
// FRR's two are what its bfdd sends under the numbers of keyed and meticulous
// SHA1, since 10.7: HMAC-SHA1 over the packet with zeros in the digest's place,
// which no implementation of the RFC accepts. FRR means to compare sequence
// numbers without wrapping, and to forget the last one only with its session. In
// 10.7.0 it never notes the first, and so refuses none; without that mistake, who
// starts below where he stopped, or gets past 2^32-1, is refused until then.
const (
	SimplePassword        AuthType = 1
	KeyedMD5              AuthType = 2
	MeticulousMD5         AuthType = 3
	KeyedSHA1             AuthType = 4
	MeticulousSHA1        AuthType = 5
	FRRHMACSHA1                    = frr | KeyedSHA1
	FRRHMACMeticulousSHA1          = frr | MeticulousSHA1

	frr AuthType = 0x100
)

// String gives the name that operators write.
func (t AuthType) String() string {
	switch t {
	case SimplePassword:
		return "simple"
	case KeyedMD5:
		return "md5"
	case MeticulousMD5:
		return "meticulous-md5"
	case KeyedSHA1:
		return "sha1"
	case MeticulousSHA1:
		return "meticulous-sha1"
	case FRRHMACSHA1:
		return "frr-hmac-sha1"
	case FRRHMACMeticulousSHA1:
		return "frr-hmac-meticulous-sha1"
	}
	return fmt.Sprintf("unknown (%d)", uint16(t))
}

func (t AuthType) known() bool {
	return t >= SimplePassword && t <= MeticulousSHA1 || t == FRRHMACSHA1 || t == FRRHMACMeticulousSHA1
}

func (t AuthType) hmac() bool       { return t&frr != 0 }
func (t AuthType) meticulous() bool { return t&^frr == MeticulousMD5 || t&^frr == MeticulousSHA1 }

// digest is how many bytes the digest has.
func (t AuthType) digest() int {
	if t == KeyedMD5 || t == MeticulousMD5 {
		return md5.Size
	}
	return sha1.Size
}

// longestSecret is in bytes. Of passwords and MD5 keys it is that of RFC 5880
// §6.7.2 and §6.7.3, of SHA1 keys that of §6.7.4; FRR has a limit of its own.
func (t AuthType) longestSecret() int {
	if t == KeyedSHA1 || t == MeticulousSHA1 {
		return 20
	}
	return 16
}
