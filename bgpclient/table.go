package bgpclient

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A table is what is wanted of the speaker and what it last showed, by prefix.
//
// mu guards all of it and is held for map access only, never over an RPC: the
// health loop must be able to hand over a decision while one is in flight,
// which a single owner goroutine that also talks to the speaker could not offer.
type table struct {
	owner uint32

	mu      sync.Mutex
	entries map[netip.Prefix]*entry
	dirty   map[netip.Prefix]struct{} // to be compared now
	leaving map[netip.Prefix]struct{} // likewise, of what is not to be there
	suspect map[netip.Prefix]struct{} // to be listed again: something changed at the speaker
	open    int                       // entries that are not confirmed
	drift   uint64                    // confirmed entries that the speaker lost or changed
	removed uint64                    // routes withdrawn of prefixes that are forgotten now
	synced  bool                      // the whole table was compared on the present connection
	changed chan struct{}             // closed and renewed when open or synced change
	counts  counts                    // of entries, as published
	tell    func(netip.Prefix)        // Options.Changed; nil: nobody wants to know
	untold  []netip.Prefix            // what to call it for, once mu is free
}

// An entry is one prefix. Confirmed means that the speaker showed what is wanted.
type entry struct {
	want      Want
	forget    bool      // the prefix leaves the table once it is confirmed absent
	decided   time.Time // when want last changed
	acted     bool      // a change was sent since then
	unread    bool      // a change was sent since have was shown, which proves nothing now
	confirmed bool
	have      []Path // as the speaker last showed them
	foreign   bool   // have holds paths of others too
	err       error  // of the last attempt, until confirmed
	tries     int
	retryAt   time.Time     // zero: no retry is due
	public    public        // what was published last
	awaited   chan struct{} // closed when it is confirmed or gone; nil: nobody waits
}

func newTable(owner uint32, tell func(netip.Prefix)) *table {
	return &table{
		owner:   owner,
		tell:    tell,
		entries: map[netip.Prefix]*entry{},
		dirty:   map[netip.Prefix]struct{}{},
		leaving: map[netip.Prefix]struct{}{},
		suspect: map[netip.Prefix]struct{}{},
		changed: make(chan struct{}),
	}
}

// set changes what is wanted for a prefix and reports whether that is news.
func (t *table) set(prefix netip.Prefix, w Want, forget bool, now time.Time) bool {
	t.mu.Lock()
	defer t.unlock()
	e, ok := t.entries[prefix]
	if ok && e.forget == forget && e.want.State == w.State && e.want.Route.Equal(w.Route) {
		return false
	}
	if !ok {
		e = &entry{}
		t.entries[prefix] = e
		t.open++
	} else if e.confirmed {
		t.open++
	}
	e.want, e.forget, e.decided, e.acted = w, forget, now, false
	e.confirmed, e.err, e.tries, e.retryAt = false, nil, 0, time.Time{}
	t.mark(prefix, e)
	t.publish(prefix, e)
	t.tellLater(prefix) // the route may be another one
	return true
}

// mark notes that a prefix is to be compared now. mu is held.
func (t *table) mark(prefix netip.Prefix, e *entry) {
	to, from := t.dirty, t.leaving
	if e.want.State != Present {
		to, from = from, to
	}
	to[prefix] = struct{}{}
	delete(from, prefix)
}

// take returns up to limit operations that are due, withdrawals first: a route
// that attracts traffic in vain hurts more than one that is late. Prefixes that
// agree already are confirmed on the way; the rest stays dirty. It costs what it
// returns, not what is dirty.
func (t *table) take(limit int, now time.Time) (ops []Op, confirmed []time.Duration) {
	t.mu.Lock()
	defer t.unlock()
	if !t.synced {
		return nil, nil
	}
	ops = make([]Op, 0, min(limit, len(t.leaving)+len(t.dirty)))
	for _, due := range []map[netip.Prefix]struct{}{t.leaving, t.dirty} {
		for prefix := range due {
			if len(ops) == limit {
				break
			}
			delete(due, prefix)
			e := t.entries[prefix]
			op, differs := e.due(prefix, t.owner)
			if !differs {
				confirmed = t.confirm(prefix, now, confirmed)
				continue
			}
			e.acted, e.unread = true, true
			ops = append(ops, op)
		}
	}
	t.notify()
	return ops, confirmed
}

// due tells the change that an entry needs. One that was changed and not read
// back may have any route of ours, or none, so what is wanted is sent again:
// twice does no harm, and a withdrawal that is left out would.
func (e *entry) due(prefix netip.Prefix, owner uint32) (Op, bool) {
	op, differs := Diff(prefix, e.want, e.have, owner)
	switch {
	case differs || !e.unread || e.want.State == Keep:
		return op, differs
	case e.want.State == Present:
		return Op{Verb: Put, Route: e.want.Route}, true
	}
	return Op{Verb: Delete, Route: Route{Prefix: prefix}.Normalize()}, true
}

// News is what a look at the speaker's table brought.
type news struct {
	differ    []Op            // what is not as wanted
	confirmed []time.Duration // how long each decision took that is now seen
	foreign   []netip.Prefix  // managed prefixes for which somebody else's route appeared
}

// saw takes in what the speaker shows for prefixes: paths of all of them, in
// any order.
func (t *table) saw(prefixes []netip.Prefix, paths []Path, now time.Time) (n news) {
	have := byPrefix(paths)
	t.mu.Lock()
	defer t.unlock()
	for _, prefix := range prefixes {
		e, ok := t.entries[prefix]
		if !ok {
			continue
		}
		if e.show(have[prefix], t.owner) {
			n.foreign = append(n.foreign, prefix)
		}
		op, differs := Diff(prefix, e.want, e.have, t.owner)
		if differs {
			if e.confirmed {
				t.drift++
			}
			t.reopen(e)
			t.publish(prefix, e)
			n.differ = append(n.differ, op)
			continue
		}
		n.confirmed = t.confirm(prefix, now, n.confirmed)
	}
	t.notify()
	return n
}

// show takes in the paths of one prefix and reports whether foreign ones are
// news.
func (e *entry) show(have []Path, owner uint32) bool {
	before := e.foreign
	_, ours := ownPath(have, owner)
	e.have, e.unread = have, false
	e.foreign = len(have) > 1 || len(have) == 1 && !ours
	return e.foreign && !before
}

// sawAll takes in the speaker's whole table at the start of a connection. Paths
// of ours for prefixes that nobody manages any more become entries to remove.
func (t *table) sawAll(paths []Path) (n news) {
	have := byPrefix(paths)
	t.mu.Lock()
	defer t.unlock()
	for prefix, list := range have {
		if _, ours := ownPath(list, t.owner); ours && t.entries[prefix] == nil {
			t.entries[prefix] = &entry{forget: true}
			t.open++
		}
	}
	for prefix, e := range t.entries {
		t.reopen(e)
		if e.show(have[prefix], t.owner) {
			n.foreign = append(n.foreign, prefix)
		}
		e.err, e.tries, e.retryAt = nil, 0, time.Time{}
		t.mark(prefix, e)
		t.publish(prefix, e)
	}
	t.synced = true
	return n
}

// confirm notes that the speaker shows what is wanted, and appends how long
// that took if a decision caused it. mu is held.
func (t *table) confirm(prefix netip.Prefix, now time.Time, took []time.Duration) []time.Duration {
	e := t.entries[prefix]
	if !e.confirmed {
		t.open--
		e.confirmed = true
		if e.acted && !e.decided.IsZero() {
			took = append(took, now.Sub(e.decided))
		}
		e.decided = time.Time{}
	}
	e.err, e.tries, e.retryAt = nil, 0, time.Time{}
	t.publish(prefix, e)
	if e.forget {
		t.removed += uint64(count(e.acted))
		t.drop(prefix, e)
	}
	return took
}

// reopen notes that an entry is not, or no longer, as wanted. mu is held.
func (t *table) reopen(e *entry) {
	if e.confirmed {
		e.confirmed = false
		t.open++
	}
}

// failed schedules another try for a prefix. It counts only if the change that
// failed is still the wanted one; news is whether an operator was not told yet.
func (t *table) failed(prefix netip.Prefix, err error, now time.Time) (counts, news bool) {
	t.mu.Lock()
	defer t.unlock()
	e, ok := t.entries[prefix]
	if !ok || !e.acted {
		return false, false
	}
	news = e.err == nil || e.err.Error() != err.Error()
	e.err = err
	e.tries++
	e.retryAt = now.Add(retryDelay(e.tries))
	t.publish(prefix, e)
	return true, news
}

// retryDelay doubles from 50 ms to 5 s.
func retryDelay(tries int) time.Duration {
	return min(25*time.Millisecond<<min(tries, 10), 5*time.Second)
}

// due marks the prefixes whose retry has come as dirty, and tells when the next
// one comes; zero: none. It costs what is failing, not what is wanted.
func (t *table) due(failing map[netip.Prefix]struct{}, now time.Time) (next time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for prefix := range failing {
		e, ok := t.entries[prefix]
		if !ok || e.retryAt.IsZero() {
			delete(failing, prefix)
			continue
		}
		if !e.retryAt.After(now) {
			t.mark(prefix, e)
			delete(failing, prefix)
			continue
		}
		if next.IsZero() || e.retryAt.Before(next) {
			next = e.retryAt
		}
	}
	return next
}

// again marks prefixes to be compared now.
func (t *table) again(ops []Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, op := range ops {
		if e := t.entries[op.Route.Prefix]; e != nil {
			t.mark(op.Route.Prefix, e)
		}
	}
}

// suspectPrefix notes that the speaker may show something new for prefix, and
// reports whether that is any business of ours.
func (t *table) suspectPrefix(prefix netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[prefix] == nil {
		return false
	}
	t.suspect[prefix] = struct{}{}
	return true
}

// suspectAll notes that the speaker may show something new for any prefix.
func (t *table) suspectAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for prefix := range t.entries {
		t.suspect[prefix] = struct{}{}
	}
}

// takeSuspects returns what is to be listed again.
func (t *table) takeSuspects() []netip.Prefix {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Collect(maps.Keys(t.suspect))
	clear(t.suspect)
	return out
}

// suspects and anyDirty tell whether there is work.
func (t *table) suspects() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.suspect)
}

func (t *table) anyDirty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.dirty)+len(t.leaving) > 0
}

// manages returns a test for whether a prefix is in the table.
func (t *table) manages() func(netip.Prefix) bool {
	return func(p netip.Prefix) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.entries[p] != nil
	}
}

// prefixes returns all that are managed.
func (t *table) prefixes() []netip.Prefix {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.entries))
}

// lost notes that nothing is known of the speaker any more.
func (t *table) lost() {
	t.mu.Lock()
	defer t.unlock()
	t.synced = false
	for prefix, e := range t.entries {
		t.reopen(e)
		e.have, e.foreign = nil, false
		t.publish(prefix, e)
	}
	t.notify()
}

// notify wakes whoever waits for the table to settle. mu is held.
func (t *table) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// state tells how far the table is from settled, and a channel that is closed
// when that changes.
func (t *table) state() (synced bool, open int, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.synced, t.open, t.changed
}

func byPrefix(paths []Path) map[netip.Prefix][]Path {
	m := make(map[netip.Prefix][]Path, len(paths))
	for _, p := range paths {
		m[p.Route.Prefix] = append(m[p.Route.Prefix], p)
	}
	return m
}
