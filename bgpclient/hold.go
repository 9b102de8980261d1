package bgpclient

import (
	"net/netip"
	"slices"
	"time"
)

// A Hold keeps a neighbor from being used. It is wanted, like a route: the
// reconciler puts it in force again whatever happens to the speaker.
type Hold struct {
	// Disable keeps the neighbor administratively down.
	Disable bool
	// SpareAfter makes Disable leave a session alone that was established
	// later; time.Unix(0, 0) spares every established one, the zero value none.
	// One of times to come is not spared: the speaker's clock was set back since.
	SpareAfter time.Time
	// Withhold keeps all routes from the neighbor, and its session up. It takes
	// an export policy, so the speaker must be managed.
	Withhold bool
	// Reason is for people, and is told to a neighbor that is disabled
	// (RFC 9003).
	Reason string
}

// none reports whether h holds nothing.
func (h Hold) none() bool { return !h.Disable && !h.Withhold }

// A HoldStatus is a Hold and what the speaker makes of it.
type HoldStatus struct {
	Address netip.Addr
	Hold
	Ours    bool         // vipd disabled it, and will enable it
	InForce bool         // the speaker shows it so
	State   SessionState // 0: the speaker has no such neighbor
	Since   time.Time    // as of NeighborState
	Err     string       // of the last attempt, or why there can't be one
}

// A request is what is asked of a speaker about one neighbor.
type request uint8

const (
	nothing request = iota
	disable
	enable
)

// held is one neighbor with a Hold, or with one that was.
type held struct {
	want Hold
	// ours is set before the neighbor is disabled, and until it is seen to be
	// enabled: only then an enabling is ours to ask for. An operator's own
	// disabling looks the same at the speaker, which tells nobody's name.
	ours bool
	// shown is set when the speaker showed it disabled since it is ours: then
	// none of our requests is still on its way to being carried out.
	shown bool
	last  request
	sent  time.Time // last
	tries int       // of last, in a row
	err   error

	seen  bool // on this connection
	state NeighborState
}

const (
	// lookAgain and lookSlow bound the pause before a request is verified.
	lookAgain, lookSlow = 10 * time.Millisecond, 500 * time.Millisecond
	// askAgain and askSlow bound the pause before it is repeated.
	askAgain, askSlow = 500 * time.Millisecond, 5 * time.Second
	// lingering is how long a request that was not seen to act may still do so.
	// GoBGP queues one a neighbor, and drops others without a word meanwhile.
	lingering = 10 * time.Second
)

// step takes in how the speaker shows the neighbor, and says what to ask. Until
// then again is when to look again; zero: when something happens.
func (h *held) step(n NeighborState, there bool, now time.Time) (ask request, again time.Time) {
	h.seen, h.state = true, n
	switch {
	case !there:
		// It will be enabled when it comes back, or as an operator says. Until
		// it is let go, the next life of ours must know of it: this one does not
		// add it.
		h.ours = h.ours && h.want.Disable
		h.settled()
		return nothing, time.Time{}
	case n.AdminDown && (h.want.Disable || !h.ours):
		h.shown = h.ours
		h.settled()
		return nothing, time.Time{}
	case n.AdminDown:
		h.shown = true
		return h.due(enable, now)
	case h.want.Disable && !h.want.spares(n, now):
		h.ours, h.shown = true, false
		return h.due(disable, now)
	case h.ours && !h.shown && now.Before(h.sent.Add(lingering)):
		return nothing, later(now, h.sent)
	}
	h.ours = false
	h.settled()
	return nothing, time.Time{}
}

func (h *held) settled() { h.last, h.tries, h.err = nothing, 0, nil }

// due is r unless it was asked for a short time ago.
func (h *held) due(r request, now time.Time) (ask request, again time.Time) {
	if h.last != r {
		h.last, h.tries = r, 0
	} else if now.Before(h.sent.Add(min(askAgain<<min(h.tries-1, 8), askSlow))) {
		return nothing, later(now, h.sent)
	}
	h.tries++
	h.sent = now
	return r, now.Add(lookAgain)
}

// later paces looks: quick ones after a request, and slower with its age.
func later(now, sent time.Time) time.Time {
	return now.Add(min(max(now.Sub(sent), lookAgain), lookSlow))
}

func (h Hold) spares(n NeighborState, now time.Time) bool {
	if h.SpareAfter.IsZero() || n.State != Established {
		return false
	}
	return h.SpareAfter.Equal(time.Unix(0, 0)) || n.Since.After(h.SpareAfter) && !n.Since.After(now)
}

// over reports whether there is nothing left to do or to know.
func (h *held) over() bool { return h.want.none() && !h.ours }

// status is h for people; withheld tells whether its Withhold is in force.
func (h *held) status(a netip.Addr, withheld bool) HoldStatus {
	disabled := h.seen && (h.state.AdminDown || h.state.State == 0)
	s := HoldStatus{
		Address: a, Hold: h.want, Ours: h.ours, State: h.state.State, Since: h.state.Since,
		InForce: (!h.want.Disable || disabled) && (!h.want.Withhold || withheld),
	}
	if h.err != nil {
		s.Err = h.err.Error()
	}
	return s
}

// communication fits a reason into what a NOTIFICATION holds of it: 128 bytes
// (RFC 8203; GoBGP does not send the 255 of RFC 9003), and whole characters.
func communication(reason string) string {
	const most = 128
	cut := 0
	for i, r := range reason {
		end := i + len(string(r))
		if end > most {
			break
		}
		cut = end
	}
	return reason[:min(cut, len(reason))]
}

// withRejects puts a rule that rejects all before those of the neighbors that
// are to get nothing.
func withRejects(m *Management, withheld []netip.Addr) *Management {
	if len(withheld) == 0 {
		return m
	}
	with := *m
	with.Export = make([]ExportRule, 0, len(withheld)+len(m.Export))
	for _, a := range withheld {
		with.Export = append(with.Export, ExportRule{Neighbor: a, Reject: true})
	}
	with.Export = append(with.Export, m.Export...)
	return &with
}

// rejectsAll lists, sorted, the neighbors that rules give nothing.
func rejectsAll(rules []ExportRule) (out []netip.Addr) {
	for _, r := range rules {
		if r.Reject && len(r.Prefixes) == 0 {
			out = append(out, r.Neighbor)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
