package bgpclient

import (
	"context"
	"fmt"
	"net/netip"
)

// A public is what others are told of an entry, besides the wanted route.
type public struct {
	state                         WantState
	confirmed, installed, foreign bool
	err                           string
}

func (e *entry) asPublic(owner uint32) public {
	_, ours := ownPath(e.have, owner)
	p := public{state: e.want.State, confirmed: e.confirmed, installed: ours, foreign: e.foreign}
	if e.err != nil {
		p.err = e.err.Error()
	}
	return p
}

// counts are how many entries are so.
type counts struct{ wanted, installed, foreign int }

func (c *counts) add(p public, n int) {
	c.wanted += n * count(p.state == Present)
	c.installed += n * count(p.installed)
	c.foreign += n * count(p.foreign)
}

// publish takes in that an entry may have changed: what is counted, told and
// awaited follows from it here and nowhere else. mu is held.
func (t *table) publish(prefix netip.Prefix, e *entry) {
	now := e.asPublic(t.owner)
	if e.confirmed {
		e.wakeAll()
	}
	if now == e.public {
		return
	}
	t.counts.add(e.public, -1)
	t.counts.add(now, 1)
	e.public = now
	t.tellLater(prefix)
}

// drop removes an entry that was just published as confirmed, so that who is
// told or waits finds nothing. mu is held.
func (t *table) drop(prefix netip.Prefix, e *entry) {
	delete(t.entries, prefix)
	delete(t.dirty, prefix)
	delete(t.leaving, prefix)
	t.counts.add(e.public, -1)
}

// tellLater notes that a prefix is to be told of. mu is held.
func (t *table) tellLater(prefix netip.Prefix) {
	if n := len(t.untold); t.tell != nil && (n == 0 || t.untold[n-1] != prefix) {
		t.untold = append(t.untold, prefix)
	}
}

// unlock frees mu and then tells what changed: who is told may ask at once.
func (t *table) unlock() {
	untold := t.untold
	t.untold = nil
	t.mu.Unlock()
	for _, prefix := range untold {
		t.tell(prefix)
	}
}

// wakeAll ends all waits for e. Each entry has a channel of its own: with one
// for the table, ten thousand who wait for a prefix each would all be woken by
// each of ten thousand changes.
func (e *entry) wakeAll() {
	if e.awaited != nil {
		close(e.awaited)
		e.awaited = nil
	}
}

// await returns a channel that is closed once the speaker shows what is wanted
// for prefix, whatever that is by then, or once it is not managed; nil: it is so.
func (t *table) await(prefix netip.Prefix) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[prefix]
	if !ok || e.confirmed {
		return nil
	}
	if e.awaited == nil {
		e.awaited = make(chan struct{})
	}
	return e.awaited
}

// Shown waits until the speaker shows what is wanted for prefix, or prefix is
// not managed.
func (r *Reconciler) Shown(ctx context.Context, prefix netip.Prefix) error {
	prefix = prefix.Masked()
	shown := r.table.await(prefix)
	if shown == nil {
		return nil
	}
	select {
	case <-shown:
		return nil
	case <-ctx.Done():
		return r.notShown(prefix, context.Cause(ctx))
	}
}

// notShown says what a wait was in vain for.
func (r *Reconciler) notShown(prefix netip.Prefix, cause error) error {
	if l := r.link.Load(); !l.Connected {
		return fmt.Errorf("%w: %s", cause, l.Problem)
	}
	s, _ := r.Route(prefix)
	if s.Err != "" {
		return fmt.Errorf("%w: route %s is not as wanted: %s", cause, prefix, s.Err)
	}
	return fmt.Errorf("%w: route %s is not as wanted", cause, prefix)
}
