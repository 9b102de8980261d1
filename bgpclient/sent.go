package bgpclient

import (
	"context"
	"net/netip"
)

// A Sent is whether one neighbor is sent the route of a prefix.
type Sent struct {
	Neighbor netip.Addr
	Sent     bool   // our route is in the neighbor's Adj-RIB-Out
	Filtered bool   // an export policy keeps it back
	Err      string // why nothing is known; empty: it is
}

// Shown waits until the speaker shows what is wanted for prefix, or prefix is
// not managed.
func (r *Reconciler) Shown(ctx context.Context, _ netip.Prefix) error { return r.Settled(ctx) }

// Sent asks the speaker what its established neighbors are sent for prefix,
// sorted by neighbor.
func (r *Reconciler) Sent(context.Context, netip.Prefix) ([]Sent, error) { return nil, ErrLost }
