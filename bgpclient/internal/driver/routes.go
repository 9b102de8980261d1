package driver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/link"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

const (
	fewOps      = 32      // up to here one call each, so that an error is of one route
	batchPaths  = 500     // in one message of a stream
	batchBytes  = 1 << 20 // likewise; a gRPC server takes 4 MB
	lookupBatch = 10_000  // prefixes in one question, about 500 kB
)

// Paths yields the local paths of the global table.
func (c *Conn) Paths(ctx context.Context, prefixes []netip.Prefix, yield func(bgpclient.Path)) error {
	asn, err := c.ownASN(ctx)
	if err != nil {
		return err
	}
	for _, afi := range []uint16{wire.AFIv4, wire.AFIv6} {
		take := func(l Listed) {
			if p, ok := localPath(l, afi, asn); ok {
				yield(p)
			}
		}
		if prefixes == nil {
			if err := c.list(ctx, afi, nil, take); err != nil {
				return err
			}
			continue
		}
		for batch := range slices.Chunk(ofFamily(prefixes, afi), lookupBatch) {
			if err := c.list(ctx, afi, batch, take); err != nil {
				return err
			}
		}
	}
	return nil
}

func ofFamily(prefixes []netip.Prefix, afi uint16) (out []netip.Prefix) {
	for _, p := range prefixes {
		if p.IsValid() && !p.Addr().Is4In6() && wire.AFI(p.Addr()) == afi {
			out = append(out, p.Masked())
		}
	}
	return out
}

func (c *Conn) list(ctx context.Context, afi uint16, prefixes []netip.Prefix, yield func(Listed)) error {
	err := c.api.ListPath(ctx, afi, prefixes, yield)
	if err != nil && strings.Contains(err.Error(), "address family") && strings.Contains(err.Error(), "not supported") {
		return nil // a speaker that was started without this family has no table for it
	}
	return link.Error(ctx, "list paths", err)
}

// local tells a path that was learnt from nobody.
func (l Listed) local() bool { return !Address(l.Neighbor).IsValid() }

// localPath reads a listed path. It is false for one that was learnt from a
// neighbor, and for one that has no prefix of the family.
func localPath(l Listed, afi uint16, asn uint32) (bgpclient.Path, bool) {
	prefix, err := wire.ParsePrefix(l.NLRI, afi)
	if err != nil || l.Withdrawn || l.AFI != afi || !l.local() {
		return bgpclient.Path{}, false
	}
	route, odd := wire.Decode(prefix, l.Attributes, asn)
	return bgpclient.Path{Route: route, ID: l.Identifier, Odd: odd}, true
}

// Apply carries out ops in order. Nothing is sent if one of them can't be.
func (c *Conn) Apply(ctx context.Context, ops []bgpclient.Op) error {
	asn, err := c.ownASN(ctx)
	if err != nil {
		return err
	}
	writes := make([]Write, len(ops))
	for i, op := range ops {
		if writes[i], err = newWrite(op, c.link.Options.Owner, asn); err != nil {
			return fmt.Errorf("%s: %w", op.Verb, err)
		}
	}
	if len(ops) > fewOps {
		return link.Error(ctx, "change paths", c.api.AddPathStream(ctx, batches(writes)))
	}
	for i, w := range writes {
		call := c.api.AddPath
		if w.withdrawn {
			call = c.api.DeletePath
		}
		if err := call(ctx, w); err != nil {
			return link.Error(ctx, fmt.Sprintf("%s %s", ops[i].Verb, ops[i].Route.Prefix), err)
		}
	}
	return nil
}

// batches hands out writes in order, in pieces that fit into a message.
func batches(writes []Write) func() []Write {
	return func() []Write {
		n, size := 0, 0
		for ; n < len(writes) && n < batchPaths && size < batchBytes; n++ {
			size += writes[n].size()
		}
		batch := writes[:n]
		writes = writes[n:]
		if n == 0 {
			return nil
		}
		return batch
	}
}
