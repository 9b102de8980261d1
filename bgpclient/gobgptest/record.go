package gobgptest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// A key is one path of a table.
type key struct {
	peer   netip.Addr
	prefix netip.Prefix
	id     uint32
}

// A record is all that a router was told.
//
// mu guards it: GoBGP calls back on a goroutine of its own, and anybody reads.
type record struct {
	mu          sync.Mutex
	table       map[key]Route
	updates     []Update
	established map[netip.Addr]bool
	kept        map[netip.Addr]bool // routes outlive the session
	changed     chan struct{}       // closed and renewed with every change
}

func (r *record) init() {
	r.table, r.changed = map[key]Route{}, make(chan struct{})
	r.established, r.kept = map[netip.Addr]bool{}, map[netip.Addr]bool{}
}

// wake wakes all who wait. mu is held.
func (r *record) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *record) keep(peer netip.Addr, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[peer] = yes
}

func (r *record) session(peer netip.Addr, established bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.established[peer] = established
	if !established && !r.kept[peer] {
		for k := range r.table {
			if k.peer == peer {
				delete(r.table, k)
			}
		}
	}
	r.wake()
}

func (r *record) announced(peer netip.Addr, route Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table[key{peer, route.Prefix, route.ID}] = route
}

func (r *record) withdrawn(peer netip.Addr, p netip.Prefix, id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table, key{peer, p, id})
}

func (r *record) note(u Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = append(r.updates, u)
	r.wake()
}

// Updates returns all messages so far, in order.
func (r *record) Updates() []Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.updates)
}

// Routes returns the paths that are there now, in any order.
func (r *record) Routes() []Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Route, 0, len(r.table))
	for _, route := range r.table {
		out = append(out, route)
	}
	return out
}

// Of returns the paths of one prefix that are there now.
func (r *record) Of(p netip.Prefix) (out []Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, route := range r.table {
		if k.prefix == p {
			out = append(out, route)
		}
	}
	return out
}

// Established reports whether there is a session with the peer now.
func (r *record) Established(peer netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.established[peer]
}

// Wait returns once done is true, which is asked after everything that happens.
// It may ask the router.
func (r *record) Wait(ctx context.Context, done func() bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WaitEstablished waits for a session with the peer.
func (r *record) WaitEstablished(ctx context.Context, peer netip.Addr) error {
	if err := r.Wait(ctx, func() bool { return r.Established(peer) }); err != nil {
		return fmt.Errorf("no session with %s: %w", peer, err)
	}
	return nil
}

// WaitRoute waits for a path of prefix that fits; nil fits any.
func (r *record) WaitRoute(ctx context.Context, p netip.Prefix, fits func(Route) bool) (Route, error) {
	var found Route
	err := r.Wait(ctx, func() bool {
		for _, route := range r.Of(p) {
			if fits == nil || fits(route) {
				found = route
				return true
			}
		}
		return false
	})
	if err != nil {
		return Route{}, fmt.Errorf("no such path of %s, but %+v: %w", p, r.Of(p), err)
	}
	return found, nil
}

// WaitAbsent waits until there is no path of prefix.
func (r *record) WaitAbsent(ctx context.Context, p netip.Prefix) error {
	if err := r.Wait(ctx, func() bool { return len(r.Of(p)) == 0 }); err != nil {
		return fmt.Errorf("still there: %+v: %w", r.Of(p), err)
	}
	return nil
}
