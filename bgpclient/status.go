package bgpclient

import (
	"net/netip"
	"slices"
	"time"
)

// A Link is the state of the connection to the speaker.
type Link struct {
	Connected bool
	API       string // v3 or v4, once connected
	Global    Global
	Since     time.Time
	Problem   string // why not connected, or what is wrong though connected; empty: nothing
}

// A Status is a snapshot of what is wanted and what the speaker has.
type Status struct {
	Link                       Link
	Synced                     bool // Routes tell the speaker's present table
	Routes                     []RouteStatus
	Wanted, Installed, Foreign int
	Drift                      uint64          // how often a route of ours was found changed by others
	Removed                    uint64          // routes withdrawn of prefixes that are not managed any more
	Neighbors                  []NeighborState // sorted by address
	Holds                      []HoldStatus    // sorted by address
}

// A RouteStatus is one managed prefix.
type RouteStatus struct {
	Prefix    netip.Prefix
	Want      Want
	Confirmed bool   // the speaker shows what is wanted
	Installed bool   // a route of ours is there, as wanted or not
	Foreign   bool   // somebody else's local route for the same prefix is there too
	Err       string // of the last attempt; empty: none
}

// Status takes a snapshot; it costs a walk over all prefixes.
func (r *Reconciler) Status() Status {
	s := Status{Link: *r.link.Load(), Holds: r.Holds(), Neighbors: r.Neighbors()}
	t := r.table
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Synced, s.Drift, s.Removed = t.synced, t.drift, t.removed
	s.Wanted, s.Installed, s.Foreign = t.counts.wanted, t.counts.installed, t.counts.foreign
	s.Routes = make([]RouteStatus, 0, len(t.entries))
	for prefix, e := range t.entries {
		s.Routes = append(s.Routes, e.status(prefix, t.owner))
	}
	return s
}

// Route tells one prefix of Status.Routes; false: it is not managed.
func (r *Reconciler) Route(prefix netip.Prefix) (RouteStatus, bool) {
	prefix = prefix.Masked()
	t := r.table
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[prefix]
	if !ok {
		return RouteStatus{}, false
	}
	return e.status(prefix, t.owner), true
}

// Link is that of Status, without the walk.
func (r *Reconciler) Link() Link { return *r.link.Load() }

// Counts are those of Status, without the walk.
func (r *Reconciler) Counts() (wanted, installed, foreign int, drift uint64) {
	t := r.table
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts.wanted, t.counts.installed, t.counts.foreign, t.drift
}

// Holds is that of Status, without the walk.
func (r *Reconciler) Holds() []HoldStatus { return r.holds.status(r.manage.Load() != nil) }

// Neighbors are those of Status, without the walk.
func (r *Reconciler) Neighbors() []NeighborState {
	if peers := r.peers.Load(); peers != nil {
		return *peers
	}
	return nil
}

// peersAre publishes the neighbors, sorted by address.
func (r *Reconciler) peersAre(have []NeighborState) {
	slices.SortFunc(have, func(a, b NeighborState) int { return a.Address.Compare(b.Address) })
	last := r.peers.Swap(&have)
	if r.opts.Peers != nil && (last == nil || !slices.EqualFunc(*last, have, sameButCounters)) {
		r.opts.Peers()
	}
}

func sameButCounters(a, b NeighborState) bool {
	b.Accepted, b.Received, b.Sent = a.Accepted, a.Received, a.Sent
	return a == b
}

func (e *entry) status(prefix netip.Prefix, owner uint32) RouteStatus {
	p := e.asPublic(owner)
	return RouteStatus{Prefix: prefix, Want: e.want, Confirmed: p.confirmed, Installed: p.installed, Foreign: p.foreign, Err: p.err}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
