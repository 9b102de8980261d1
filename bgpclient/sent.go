package bgpclient

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
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
// sorted by neighbor. GoBGP goes through its whole table for each of them and
// does nothing else meanwhile, so there is one question at a time, and a rest
// after it: no more than a fifth of the speaker's time is lost to routes.
func (r *Reconciler) Sent(ctx context.Context, prefix netip.Prefix) ([]Sent, error) {
	const rest, most = 4, 5 * time.Second // times what the question took
	l := r.live.Load()
	if l == nil {
		return nil, fmt.Errorf("%w: %s", ErrLost, r.link.Load().Problem)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.life, func() { cancel(ErrLost) })()
	if err := r.turn(ctx); err != nil {
		return nil, fmt.Errorf("what neighbors are sent for %s: not asked, since others asked just before: %w", prefix, err)
	}
	began := time.Now()
	defer func() { now := time.Now(); r.asking <- now.Add(min(rest*now.Sub(began), most)) }()
	have, err := l.conn.Neighbors(ctx)
	if err != nil {
		return nil, fmt.Errorf("list neighbors: %w", err)
	}
	return r.sentTo(ctx, l.conn, have, prefix.Masked())
}

// turn waits until nobody asks and the speaker has rested. The turn is then the
// caller's until it gives back to asking when the next one may begin.
func (r *Reconciler) turn(ctx context.Context) error {
	var next time.Time
	select {
	case next = <-r.asking:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-time.After(time.Until(next)):
		return nil
	case <-ctx.Done():
		r.asking <- next
		return context.Cause(ctx)
	}
}

func (r *Reconciler) sentTo(ctx context.Context, conn Conn, have []NeighborState, prefix netip.Prefix) ([]Sent, error) {
	var out []Sent
	q := question{prefix: prefix, owner: r.opts.Owner, asn: r.link.Load().Global.ASN}
	q.route, _ = r.Route(prefix)
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
			out = append(out, q.answer(n, paths))
		}
	}
	slices.SortFunc(out, func(a, b Sent) int { return a.Neighbor.Compare(b.Neighbor) })
	return out, nil
}

// A question is what is known before the speaker is asked.
type question struct {
	prefix     netip.Prefix
	owner, asn uint32
	route      RouteStatus
}

// answer tells what becomes of the owner's path among those that the speaker
// has for an established neighbor.
func (q question) answer(n NeighborState, paths []Outgoing) Sent {
	s := Sent{Neighbor: n.Address}
	at := slices.IndexFunc(paths, func(p Outgoing) bool { return p.Local && p.ID == q.owner })
	switch {
	case q.route.Installed && q.route.Want.Route.Prepend > 0 && n.ASN == q.asn:
		// 3.10 lists it nevertheless.
		s.Err = "GoBGP takes the AS that is prepended for a loop, and sends no internal neighbor such a route"
	case at < 0 && len(paths) > 0:
		s.Foreign, s.Err = true, "the speaker prefers a path of somebody else for this prefix"
	case at < 0 && (q.prefix.Addr().Is4() && !n.IPv4 || q.prefix.Addr().Is6() && !n.IPv6):
		s.Err = "the session carries no routes of this address family"
	case at < 0 && q.route.Installed:
		s.Err = "the speaker has the route and leaves this neighbor out, and does not tell why"
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
