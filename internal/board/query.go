package board

import (
	"slices"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A Query selects VIPs: empty fields select all.
type Query struct {
	Search string // in name, prefix, owner and reason, whatever the case
	State  string
	Owner  string
	After  string // a name: those that sort behind it
	Limit  int    // 0: no limit
}

// VIPs returns what q selects, by name, whether there are more, and how many
// q selects without After and Limit.
func (b *Board) VIPs(q Query) (vips []*vipdv1.Vip, more bool, total int) {
	b.mu.Lock()
	all := b.vips.all()
	b.mu.Unlock()
	// Searching is slow, so who puts need not wait for it.
	q.Search = strings.ToLower(q.Search)
	found := slices.DeleteFunc(all, func(v *vipdv1.Vip) bool { return !q.selects(v) })
	total = len(found)
	behind, _ := slices.BinarySearchFunc(found, q.After, func(v *vipdv1.Vip, after string) int {
		if v.GetName() <= after {
			return -1
		}
		return 1
	})
	found = found[behind:]
	if q.Limit > 0 && len(found) > q.Limit {
		return found[:q.Limit:q.Limit], true, total
	}
	return found, false, total
}

// selects leaves After and Limit out. Search is in lower case.
func (q *Query) selects(v *vipdv1.Vip) bool {
	switch {
	case q.State != "" && v.GetState() != q.State, q.Owner != "" && v.GetOwner() != q.Owner:
		return false
	case q.Search == "":
		return true
	}
	for _, s := range [...]string{v.GetName(), v.GetPrefix(), v.GetOwner(), v.GetReason()} {
		if strings.Contains(strings.ToLower(s), q.Search) {
			return true
		}
	}
	return false
}

// An EventQuery selects events: empty fields select all.
type EventQuery struct {
	Subject, Kind string
	After         uint64 // sequence: later ones only
	// Limit is how many: the last ones or, behind After, the first ones, so that
	// nobody who asks on and on misses any. 0: no limit.
	Limit int
}

// Events returns what q selects, oldest first, the sequence to ask on from, and
// whether some after q.After are not kept any more. An After that was not yet
// is of another life: all of this one is missed.
func (b *Board) Events(q EventQuery) (events []*vipdv1.Event, sequence uint64, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	future := q.After > b.sequence
	if future {
		q.After = 0
	}
	kept := b.events.after(q.After, b.events.kept)
	sequence = b.sequence
	for _, w := range kept {
		e := w.GetChange().GetEvent()
		if q.Subject != "" && e.GetSubject() != q.Subject || q.Kind != "" && e.GetKind() != q.Kind {
			continue
		}
		if q.Limit > 0 && q.After > 0 && len(events) == q.Limit {
			sequence = events[q.Limit-1].GetSequence()
			break
		}
		events = append(events, e)
	}
	if q.Limit > 0 && len(events) > q.Limit {
		events = slices.Clone(events[len(events)-q.Limit:])
	}
	return events, sequence, future || b.events.missed(q.After)
}
