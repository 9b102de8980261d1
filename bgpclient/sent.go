package bgpclient

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// A Sent is whether one neighbor is sent our route of a prefix, as far as the
// speaker knows: it works that out anew when it is asked. What the neighbor
// makes of a route BGP does not tell.
type Sent struct {
	Neighbor netip.Addr
	Sent     bool   // our route goes out, and not somebody else's for the prefix
	Filtered bool   // an export policy keeps it back
	Foreign  bool   // the speaker prefers a path of somebody else; Err says so
	Err      string // why it is not sent otherwise, or why that is not known
}

// A live is a connection that is in use.
type live struct {
	conn Conn
	life context.Context // ends with the connection, and what waits for it too
}

// Sent asks the speaker what its established neighbors are sent for prefix,
// sorted by neighbor. It waits for no one but the speaker, which looks at its
// whole table for each neighbor: so there is one question at a time.
func (r *Reconciler) Sent(ctx context.Context, prefix netip.Prefix) ([]Sent, error) {
	l := r.live.Load()
	if l == nil {
		return nil, fmt.Errorf("%w: %s", ErrLost, r.link.Load().Problem)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.life, func() { cancel(ErrLost) })()
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("what neighbors are sent for %s: %w", prefix, context.Cause(ctx))
	}
	have, err := l.conn.Neighbors(ctx)
	if err != nil {
		return nil, fmt.Errorf("list neighbors: %w", err)
	}
	return r.sentTo(ctx, l.conn, have, prefix.Masked())
}

func (r *Reconciler) sentTo(ctx context.Context, conn Conn, have []NeighborState, prefix netip.Prefix) ([]Sent, error) {
	var out []Sent
	for _, n := range have {
		if n.State != Established {
			continue // GoBGP tells of a session that is over what it told of it before
		}
		paths, err := conn.AdjOut(ctx, n.Address, prefix)
		switch {
		case err != nil && lost(ctx, err):
			return nil, fmt.Errorf("what neighbor %s is sent for %s: %w", n.Address, prefix, err)
		case err != nil:
			out = append(out, Sent{Neighbor: n.Address, Err: err.Error()})
		default:
			out = append(out, sentBy(paths, n, prefix, r.opts.Owner))
		}
	}
	slices.SortFunc(out, func(a, b Sent) int { return a.Neighbor.Compare(b.Neighbor) })
	return out, nil
}

// sentBy tells what becomes of the owner's path among those that the speaker
// has for an established neighbor.
func sentBy(paths []Outgoing, n NeighborState, prefix netip.Prefix, owner uint32) Sent {
	s := Sent{Neighbor: n.Address}
	at := slices.IndexFunc(paths, func(p Outgoing) bool { return p.Local && p.ID == owner })
	switch {
	case at < 0 && len(paths) > 0:
		s.Foreign, s.Err = true, "the speaker prefers a path of somebody else for this prefix"
	case at < 0 && (prefix.Addr().Is4() && !n.IPv4 || prefix.Addr().Is6() && !n.IPv6):
		s.Err = "the session carries no routes of this address family"
	case at < 0:
	case paths[at].Filtered:
		s.Filtered = true
	case n.Deferring:
		s.Err = "the speaker was restarted and sends nothing until its neighbors have told all, or the deferral time is over (RFC 4724)"
	case paths[at].Surplus:
		s.Err = fmt.Sprintf("the neighbor is sent %d paths a prefix (add_paths_send_max), and others came first", n.AddPathsSendMax)
	default:
		s.Sent = true
	}
	return s
}
