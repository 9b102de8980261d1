package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// rememberWithin bounds the wait for a disk before a neighbor is disabled: a
// router that is gone can't wait for a disk that is slow.
const rememberWithin = 100 * time.Millisecond

// errUnmanaged: without the speaker's policies in hand, nothing can be kept
// from one neighbor and not from the others.
var errUnmanaged = errors.New("routes can be withheld from one neighbor by an export policy only, and this speaker's policies are not managed (set bgp.manage: true, or disable the neighbor)")

// holds is the table of wanted neighbor states.
//
// mu guards its fields: whoever decides sets wants at any time, and the
// connection's two writing goroutines read them.
type holds struct {
	wake chan struct{}

	mu       sync.Mutex
	by       map[netip.Addr]*held
	withheld []netip.Addr // those whom the policy in force gives nothing; sorted
	told     []HoldStatus // as of the last look

	// What is known to outlive this process, and what was last logged about
	// it. The steward's goroutine owns both.
	remembered []netip.Addr
	complaint  string
}

func newHolds(disabled []netip.Addr) *holds {
	h := &holds{wake: make(chan struct{}, 1), by: map[netip.Addr]*held{}, remembered: sorted(disabled)}
	for _, a := range h.remembered {
		h.by[a] = &held{ours: true, shown: true}
	}
	return h
}

func sorted(list []netip.Addr) []netip.Addr {
	out := slices.Clone(list)
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// Hold says how a neighbor is to be held from now on, by the address that the
// speaker knows it by; the zero value lets go of it. It works for neighbors
// that are not managed, too. A neighbor that vipd did not disable is not
// enabled.
//
// What Options.Disabled names and no Hold keeps is enabled at once: who
// decides about them does so before Run.
func (r *Reconciler) Hold(a netip.Addr, want Hold) {
	h := r.holds
	h.mu.Lock()
	e, ok := h.by[a]
	if !ok && want.none() {
		h.mu.Unlock()
		return
	}
	if !ok {
		e = &held{}
		h.by[a] = e
	}
	before := e.want
	e.want = want
	h.mu.Unlock()
	wake(h.wake)
	if before.Withhold != want.Withhold || before.Disable && !want.Disable {
		wake(r.manageWake) // a policy to change, a neighbor to add
	}
}

// disabling reports whether a neighbor is to be disabled: as long as it is, one
// that is not there is not added.
func (h *holds) disabling(a netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.by[a]
	return ok && e.want.Disable
}

// withholding lists whom to keep routes from.
func (h *holds) withholding() (out []netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a, e := range h.by {
		if e.want.Withhold {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// policyIs takes in the export rules that are in force.
func (h *holds) policyIs(rules []ExportRule) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := rejectsAll(rules); !slices.Equal(now, h.withheld) {
		h.withheld = now
		wake(h.wake)
	}
}

// lost forgets what the speaker showed.
func (h *holds) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.withheld = nil
	for _, e := range h.by {
		e.seen, e.state, e.last = false, NeighborState{}, nothing
	}
}

// status lists all holds, sorted.
func (h *holds) status(managed bool) []HoldStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list(managed)
}

func (h *holds) list(managed bool) []HoldStatus {
	out := make([]HoldStatus, 0, len(h.by))
	for a, e := range h.by {
		_, withheld := slices.BinarySearchFunc(h.withheld, a, netip.Addr.Compare)
		s := e.status(a, withheld)
		if e.want.Withhold && !managed && s.Err == "" {
			s.Err = errUnmanaged.Error()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b HoldStatus) int { return a.Address.Compare(b.Address) })
	return out
}

// steward keeps neighbors as they are to be held, beside the lane: a router
// that is gone must not wait for a hundred thousand routes. Requests about
// neighbors don't race with those about paths. It ends with the connection.
func (l *lane) steward(ctx context.Context) error {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case <-l.holds.wake:
		}
		again, err := l.hold(ctx)
		if err != nil {
			return err
		}
		look.Reset(again)
	}
}

// hold looks at the neighbors once, and asks for what is not as wanted. Nothing
// that was asked for is believed: the next look comes after the returned time.
func (l *lane) hold(ctx context.Context) (again time.Duration, err error) {
	const never = time.Hour
	if !l.holds.any() {
		return never, nil
	}
	listCtx, cancel := context.WithTimeout(ctx, bulkTimeout)
	have, err := l.conn.Neighbors(listCtx)
	cancel()
	if err != nil {
		return 0, fmt.Errorf("list neighbors: %w", err)
	}
	now := time.Now()
	todo, next := l.holds.plan(have, now)
	// First the memory: a crash between the two must not leave a neighbor
	// disabled that nobody remembers.
	l.remember(ctx)
	for _, t := range todo {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err := l.ask(ctx, t); err != nil {
			return 0, err
		}
	}
	if l.holds.news(l.manage.Load() != nil) && l.opts.Held != nil {
		l.opts.Held()
	}
	// A neighbor whose admin state was changed by others makes no event.
	return max(min(next.Sub(now), pollPeers), lookAgain), nil
}

func (h *holds) any() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.by) > 0 || len(h.told) > 0 || len(h.remembered) > 0
}

// A task is one request about a neighbor.
type task struct {
	address netip.Addr
	ask     request
	reason  string
}

// plan compares what is wanted with what the speaker shows.
func (h *holds) plan(have []NeighborState, now time.Time) (todo []task, next time.Time) {
	there := make(map[netip.Addr]NeighborState, len(have))
	for _, n := range have {
		there[n.Address] = n
	}
	next = now.Add(pollPeers)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range slices.SortedFunc(maps.Keys(h.by), netip.Addr.Compare) {
		e := h.by[a]
		n, ok := there[a]
		ask, again := e.step(n, ok, now)
		if ask != nothing {
			todo = append(todo, task{a, ask, e.want.Reason})
		}
		if !again.IsZero() && again.Before(next) {
			next = again
		}
		if e.over() {
			delete(h.by, a)
		}
	}
	return todo, next
}

// news reports whether the last look found anything that the one before did not.
func (h *holds) news(managed bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.list(managed)
	if slices.Equal(now, h.told) {
		return false
	}
	h.told = now
	return true
}

// ours lists the neighbors that are disabled by us, or about to be.
func (h *holds) ours() (out []netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a, e := range h.by {
		if e.ours {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// remember hands over which neighbors are ours. If that fails, the router's
// fate still comes before that of our memory.
func (l *lane) remember(ctx context.Context) {
	h := l.holds
	ours := h.ours()
	if l.opts.Remember == nil || slices.Equal(ours, h.remembered) {
		h.remembered = ours
		return
	}
	limited, cancel := context.WithTimeout(ctx, rememberWithin)
	defer cancel()
	err := l.opts.Remember(limited, ours)
	if err == nil {
		h.remembered, h.complaint = ours, ""
		return
	}
	// Where the connection has ended, nobody is disabled either.
	if ctx.Err() == nil && h.complaint != err.Error() {
		h.complaint = err.Error()
		l.opts.Log.Error("which neighbors vipd disabled is not remembered, so a crash would leave them disabled",
			zap.Stringers("neighbors", ours), zap.Error(err))
	}
}

// ask sends one request. A refusal is repeated later, and logged when it is news.
func (l *lane) ask(ctx context.Context, t task) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	done, call := "neighbor enabled", l.conn.EnableNeighbor
	if t.ask == disable {
		done = "neighbor disabled"
		call = func(ctx context.Context, a netip.Addr) error {
			return l.conn.DisableNeighbor(ctx, a, communication(t.reason))
		}
	}
	err := call(ctx, t.address)
	if lost(ctx, err) {
		return fmt.Errorf("%s: %w", t.address, err)
	}
	log := l.opts.Log.With(zap.Stringer("neighbor", t.address), zap.String("reason", t.reason))
	switch news := l.holds.asked(t.address, err); {
	case err == nil && news:
		log.Info(done)
	case err != nil && news:
		log.Error("neighbor not held as wanted, trying on", zap.Error(err))
	}
	return nil
}

// asked notes how a request went, and reports whether that is news.
func (h *holds) asked(a netip.Addr, err error) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.by[a]
	if !ok {
		return false
	}
	news = e.tries == 1 || (err == nil) != (e.err == nil)
	e.err = err
	return news
}
