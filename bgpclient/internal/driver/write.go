package driver

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// A Write is what goes into AddPath, DeletePath or AddPathStream: always one
// whole path of the owner's. Only newWrite makes one, because GoBGP takes a
// DeletePath with less in it for "all local paths", of everybody.
type Write struct {
	prefix     netip.Prefix
	identifier uint32
	attributes [][]byte
	withdrawn  bool
}

func newWrite(op bgpclient.Op, owner, asn uint32) (Write, error) {
	w := Write{prefix: op.Route.Prefix, identifier: owner}
	if owner == 0 {
		return Write{}, errors.New("path identifier 0 is everybody's")
	}
	if err := wire.Check(op.Route); err != nil {
		return Write{}, err
	}
	switch op.Verb {
	case bgpclient.Put:
		if asn == 0 {
			return Write{}, errors.New("BGP is not started: the speaker has no AS")
		}
		w.attributes = wire.Encode(op.Route, asn)
	case bgpclient.Delete:
		// GoBGP finds the path by prefix and identifier, but wants a next hop.
		w.withdrawn, w.attributes = true, [][]byte{wire.NextHop(op.Route.Prefix, op.Route.NextHop)}
	default:
		return Write{}, fmt.Errorf("prefix %s: neither put nor delete", op.Route.Prefix)
	}
	return w, nil
}

// AFI is the address family of the path; its other family is unicast.
func (w Write) AFI() uint16 { return wire.AFI(w.prefix.Addr()) }

// NLRI is the path's prefix (RFC 4271 §4.3).
func (w Write) NLRI() []byte { return wire.AppendPrefix(nil, w.prefix) }

// Identifier is the owner's, never 0.
func (w Write) Identifier() uint32 { return w.identifier }

// Attributes are the path's, of a withdrawn one its next hop.
func (w Write) Attributes() [][]byte { return w.attributes }

// Withdrawn reports whether the path shall go.
func (w Write) Withdrawn() bool { return w.withdrawn }

func (w Write) size() (n int) {
	for _, a := range w.attributes {
		n += len(a)
	}
	return n
}
