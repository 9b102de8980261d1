package packet

// A Reason says why a packet was discarded, or with None that it was not. It is
// a number, not an error: who floods us with bad packets costs an array's
// element each, and no allocation.
type Reason uint8

// Every reason, also those that only the engine can see. Those of Parse are in
// the order of RFC 5880 §6.8.6.
const (
	None Reason = iota // accepted

	// Parse
	Truncated             // the payload is shorter than the packet says, or than any packet
	BadVersion            // not 1
	BadLength             // the Length field is below 24, or below 26 with A set
	ZeroMultiplier        // Detect Mult is 0
	MultipointSet         // M is set
	ZeroMyDiscriminator   // the sender's discriminator is 0
	ZeroYourDiscriminator // ours is 0 though the sender is Init or Up

	// Auth.Verify
	AuthUnexpected  // A is set, but no authentication is configured
	AuthMissing     // A is clear, but authentication is configured
	AuthBadType     // not the type that is configured
	AuthBadLength   // not the length that the type or the password asks for
	AuthBadKey      // a key ID that is not configured
	AuthKeyExpired  // a key that is not accepted yet, or no more
	AuthBadSequence // an old packet (or, after a long loss, one too new)
	AuthBadDigest   // the digest or the password is not the key's

	// The engine
	BadTTL               // the packet passed more routers than it may
	UnknownDiscriminator // Your Discriminator is nobody's
	NoSession            // Your Discriminator is 0, and no session has this peer
	WrongAddress         // the session's, but from or to another address
	WrongInterface       // the session's, but from another interface
	SessionDisabled      // the session is AdminDown
	UnsolicitedRefused   // a peer that may not make sessions (RFC 9468)
	UnsolicitedQuota     // a peer that may, but there are enough
	EchoRefused          // an echo packet that no session asks to have sent back
	EchoTooFast          // one that a session does, but not that often

	NumReasons // how many there are, for an array of counters
)

var reasonNames = [NumReasons]string{
	None: "none",

	Truncated:             "truncated",
	BadVersion:            "bad_version",
	BadLength:             "bad_length",
	ZeroMultiplier:        "zero_multiplier",
	MultipointSet:         "multipoint_set",
	ZeroMyDiscriminator:   "zero_my_discriminator",
	ZeroYourDiscriminator: "zero_your_discriminator",

	AuthUnexpected:  "auth_unexpected",
	AuthMissing:     "auth_missing",
	AuthBadType:     "auth_bad_type",
	AuthBadLength:   "auth_bad_length",
	AuthBadKey:      "auth_bad_key",
	AuthKeyExpired:  "auth_key_expired",
	AuthBadSequence: "auth_bad_sequence",
	AuthBadDigest:   "auth_bad_digest",

	BadTTL:               "bad_ttl",
	UnknownDiscriminator: "unknown_discriminator",
	NoSession:            "no_session",
	WrongAddress:         "wrong_address",
	WrongInterface:       "wrong_interface",
	SessionDisabled:      "session_disabled",
	UnsolicitedRefused:   "unsolicited_refused",
	UnsolicitedQuota:     "unsolicited_quota",
	EchoRefused:          "echo_refused",
	EchoTooFast:          "echo_too_fast",
}

// String gives the label under which drops are counted.
func (r Reason) String() string { return name(reasonNames[:], uint8(r)) }
