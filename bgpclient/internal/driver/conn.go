package driver

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/link"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// A Conn is a bgpclient.Conn over one API.
type Conn struct {
	link *link.Conn
	api  API
	asn  atomic.Uint32 // the speaker's own number as last told; 0: not known
	// added is the policy that was added last, before the rules of the one
	// before it. Policies are changed by one goroutine only.
	added  bgpclient.ExportPolicy
	before []bgpclient.ExportRule
}

// Attach asks the daemon behind an open connection whether it serves the API,
// and fails with bgpclient.ErrWrongAPI if not. The connection stays the
// caller's to close when it fails.
func Attach(ctx context.Context, l *link.Conn, api API) (*Conn, error) {
	c := &Conn{link: l, api: api}
	g, err := api.GetBgp(ctx)
	if err != nil {
		return nil, l.First(ctx, err)
	}
	c.asn.Store(g.ASN)
	return c, nil
}

// API names the API.
func (c *Conn) API() string { return c.api.Name() }

// Close ends the connection; all calls fail from then on.
func (c *Conn) Close() error { return c.link.Close() }

// Global tells the speaker's own configuration.
func (c *Conn) Global(ctx context.Context) (bgpclient.Global, error) {
	g, err := c.api.GetBgp(ctx)
	if err != nil {
		return bgpclient.Global{}, link.Error(ctx, "get global configuration", err)
	}
	c.asn.Store(g.ASN)
	return g, nil
}

// ownASN returns the speaker's number, which stands in the paths of prepended
// routes; 0 while BGP is not started.
func (c *Conn) ownASN(ctx context.Context) (uint32, error) {
	if asn := c.asn.Load(); asn != 0 {
		return asn, nil
	}
	g, err := c.Global(ctx)
	return g.ASN, err
}

// Start gives a speaker that has none its global configuration.
func (c *Conn) Start(ctx context.Context, g bgpclient.Global) error {
	if err := c.api.StartBgp(ctx, g); err != nil {
		return link.Error(ctx, "start BGP", err)
	}
	c.asn.Store(g.ASN)
	return nil
}

// Watch tells of changes until ctx ends or the connection is lost.
func (c *Conn) Watch(ctx context.Context, ready func(), changed func(bgpclient.Change)) error {
	err := c.api.WatchEvent(ctx, ready, changed)
	if ctx.Err() != nil {
		return nil
	}
	// A daemon that ends the stream by itself is going away, too.
	return fmt.Errorf("watch: %w: %w", bgpclient.ErrLost, err)
}

// Neighbors lists all neighbors of the speaker.
func (c *Conn) Neighbors(ctx context.Context) (out []bgpclient.NeighborState, err error) {
	err = c.api.ListPeer(ctx, "", func(n bgpclient.NeighborState) {
		if n.Address.IsValid() {
			out = append(out, n)
		}
	})
	return out, link.Error(ctx, "list neighbors", err)
}

// AdjOut lists what the speaker has for a neighbor and exactly prefix. GoBGP
// keeps no record of it: it goes through its whole table, and shows what it
// would send now, or would have while there was a session.
func (c *Conn) AdjOut(ctx context.Context, a netip.Addr, prefix netip.Prefix) (out []bgpclient.Outgoing, err error) {
	afi := wire.AFI(prefix.Addr())
	err = c.api.ListAdjOut(ctx, a.String(), afi, []netip.Prefix{prefix}, func(l Listed) {
		if have, err := wire.ParsePrefix(l.NLRI, afi); err == nil && have == prefix && l.AFI == afi && !l.Withdrawn {
			out = append(out, bgpclient.Outgoing{Local: l.local(), ID: l.Identifier, Filtered: l.Filtered, Surplus: l.Surplus})
		}
	})
	return out, link.Error(ctx, fmt.Sprintf("list paths of %s for neighbor %s", prefix, a), err)
}

// AddNeighbor adds a neighbor. GoBGP's defaults of 120 s between attempts to
// connect, 30 s of rest after a session was reset and 360 s of waiting after a
// graceful restart become 5, 1 and 5 s.
func (c *Conn) AddNeighbor(ctx context.Context, n bgpclient.Neighbor) error {
	return link.Error(ctx, "add neighbor "+n.Address.String(), c.api.AddPeer(ctx, n))
}

// UpdateNeighbor changes a neighbor. GoBGP resets the session where it must,
// and leaves out without a word what it can't change in place.
func (c *Conn) UpdateNeighbor(ctx context.Context, n bgpclient.Neighbor) error {
	doing := "update neighbor " + n.Address.String()
	if err := c.api.UpdatePeer(ctx, n); err != nil {
		return link.Error(ctx, doing, err)
	}
	left := false
	err := c.api.ListPeer(ctx, n.Address.String(), func(now bgpclient.NeighborState) {
		left = left || now.MultihopTTL != n.MultihopTTL
	})
	if err != nil || !left {
		return link.Error(ctx, doing, err)
	}
	return c.replaceNeighbor(ctx, n)
}

// replaceNeighbor ends the session and begins anew.
func (c *Conn) replaceNeighbor(ctx context.Context, n bgpclient.Neighbor) error {
	if err := c.DeleteNeighbor(ctx, n.Address); err != nil {
		return err
	}
	return c.AddNeighbor(ctx, n)
}

// DeleteNeighbor removes a neighbor.
func (c *Conn) DeleteNeighbor(ctx context.Context, a netip.Addr) error {
	return link.Error(ctx, "delete neighbor "+a.String(), c.api.DeletePeer(ctx, a.String()))
}
