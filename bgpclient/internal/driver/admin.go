package driver

import (
	"context"
	"errors"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient/internal/link"
)

type admin interface {
	EnablePeer(ctx context.Context, address string) error
	DisablePeer(ctx context.Context, address, communication string) error
}

// errEverybody: GoBGP takes an empty address for all neighbors.
var errEverybody = errors.New("no neighbor named")

// EnableNeighbor asks for a neighbor to be administratively up. GoBGP says
// nothing about whether it will be: it queues one such request a neighbor and
// drops what comes before it was carried out.
func (c *Conn) EnableNeighbor(ctx context.Context, a netip.Addr) error {
	if !a.IsValid() {
		return errEverybody
	}
	return link.Error(ctx, "enable neighbor "+a.String(), c.api.EnablePeer(ctx, a.String()))
}

// DisableNeighbor asks for a neighbor to be administratively down, as
// EnableNeighbor does. The communication goes to the neighbor (RFC 9003) and
// can't be read back.
func (c *Conn) DisableNeighbor(ctx context.Context, a netip.Addr, communication string) error {
	if !a.IsValid() {
		return errEverybody
	}
	return link.Error(ctx, "disable neighbor "+a.String(), c.api.DisablePeer(ctx, a.String(), communication))
}
