package bgpclient

import "net/netip"

// A Want is what should be in the speaker's table for one prefix.
type Want struct {
	State WantState
	Route Route // normalized; for Present only
}

// A WantState is whether a route of ours should be there.
type WantState uint8

// Absent: no route of ours. Keep: whatever route of ours is there, for as long
// as nobody has decided. Present: exactly the wanted one.
const (
	Absent WantState = iota
	Keep
	Present
)

// Diff tells the one change that makes have, the local paths of prefix, agree
// with want, and false when they agree. Only the path that carries owner's
// identifier is ever looked at or changed: a prefix has at most one.
func Diff(prefix netip.Prefix, want Want, have []Path, owner uint32) (Op, bool) {
	ours, there := ownPath(have, owner)
	switch want.State {
	case Keep:
		return Op{}, false
	case Present:
		if there && !ours.Odd && ours.Route.Equal(want.Route) {
			return Op{}, false
		}
		// A changed attribute is one put: the speaker replaces the path, and
		// its peers see one UPDATE and no withdrawal (RFC 4271 §3.1).
		return Op{Verb: Put, Route: want.Route}, true
	}
	if !there {
		return Op{}, false
	}
	return Op{Verb: Delete, Route: Route{Prefix: prefix, NextHop: ours.Route.NextHop}}, true
}

// ownPath finds the path that vipd added.
func ownPath(have []Path, owner uint32) (Path, bool) {
	for _, p := range have {
		if p.ID == owner {
			return p, true
		}
	}
	return Path{}, false
}
