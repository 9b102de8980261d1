package lab

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Result is what became of a client's requests, in the order they began.
type Result []Request

// Stop ends the load, waits for what is under way, and returns everything.
func (l *Load) Stop() Result {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.done
	return l.SoFar(time.Time{})
}

// SoFar returns the requests that have ended and began after a time.
func (l *Load) SoFar(after time.Time) Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r Result
	for _, one := range l.requests {
		if one.Began.After(after) {
			r = append(r, one)
		}
	}
	slices.SortFunc(r, func(a, b Request) int { return a.Began.Compare(b.Began) })
	return r
}

// Failed returns the requests that got no answer.
func (r Result) Failed() (out Result) {
	for _, one := range r {
		if one.Err != nil {
			out = append(out, one)
		}
	}
	return out
}

// By counts the answers of each host.
func (r Result) By() map[string]int {
	by := map[string]int{}
	for _, one := range r {
		if one.Err == nil {
			by[one.By]++
		}
	}
	return by
}

// Outage is the longest time that passed between two good answers with a failed
// request between them.
func (r Result) Outage() (longest time.Duration) {
	ended := slices.Clone(r)
	slices.SortFunc(ended, func(a, b Request) int { return cmp.Or(a.Ended.Compare(b.Ended), a.Began.Compare(b.Began)) })
	var good time.Time
	failed := false
	for _, one := range ended {
		switch {
		case one.Err != nil:
			failed = true
		case failed && !good.IsZero():
			longest = max(longest, one.Ended.Sub(good))
			fallthrough
		default:
			good, failed = one.Ended, false
		}
	}
	return longest
}

// String tells the result in a line, with the first failures.
func (r Result) String() string {
	var b strings.Builder
	by, failed := r.By(), r.Failed()
	fmt.Fprintf(&b, "%d requests, %d failed", len(r), len(failed))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(&b, ", %d by %s", by[name], name)
	}
	if len(failed) > 0 {
		fmt.Fprintf(&b, ", longest outage %s", r.Outage().Round(time.Millisecond))
	}
	for _, one := range failed[:min(len(failed), 5)] {
		fmt.Fprintf(&b, "; %s after %s: %v", one.Began.Format("15:04:05.000"), one.Ended.Sub(one.Began).Round(time.Millisecond), one.Err)
	}
	return b.String()
}
