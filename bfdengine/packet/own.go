package packet

// NewOwnAuth returns what authenticates packets that come back to their sender
// (RFC 9747): nobody else needs the secret, so that one that was made up will do.
// They come back in the order in which they left or not at all, so a packet is
// taken only if it left after the last one that was, however long ago: none is
// good twice, and nothing is to be forgotten.
func NewOwnAuth(secret []byte, seq uint32) (*Auth, error) {
	a, err := NewAuth(MeticulousSHA1, []Key{{Secret: secret}}, seq)
	if err != nil {
		return nil, err
	}
	a.own, a.seqKnown, a.rcvSeq = true, true, seq-1
	return a, nil
}
