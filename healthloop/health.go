package healthloop

import "time"

// A Health is what is known of a backend.
type Health uint8

// The healths. Unknown, the first one: too few probes are in for a verdict.
const (
	Unknown Health = iota
	Up
	Down
)

// String is the health in lower case.
func (h Health) String() string {
	switch h {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unknown"
}

// A record is a backend's health with all that led to it: it is replaced as a
// whole, so that nobody sees a verdict with the reason of another.
type record struct {
	health Health
	since  time.Time // of health
	// good and bad are probes in a row; one of both is 0.
	good, bad int
	unsure    int // probes without a first verdict
	excused   int // timeouts that were not counted since the last good probe, see excuse.go
	// err and reason are those of the last bad probe. They go when a good
	// probe finds the backend up; a backend that is down keeps saying why.
	err    error
	reason Reason
}

// after is the record after one more probe; err is nil for a good one.
func (r record) after(now time.Time, err error, reason Reason, t Timing) record {
	if err == nil {
		r.good, r.bad, r.excused = r.good+1, 0, 0
	} else {
		r.good, r.bad, r.err, r.reason = 0, r.bad+1, err, reason
	}
	if r.health == Unknown {
		r.unsure++
	}
	return r.judged(now, t)
}

// judged is the record with the verdict that rise and fall ask for. It takes
// `rise` good probes in a row to be up, `fall` bad ones to be down, and in
// between the last verdict stays. A backend that can't make up its mind at
// first is down after rise + fall probes: a route of a former life must not
// hang on it for ever.
func (r record) judged(now time.Time, t Timing) record {
	switch {
	case r.health != Up && r.good >= t.Rise:
		r.health, r.since = Up, now
	case r.health != Down && r.bad >= t.Fall, r.health == Unknown && r.unsure >= t.Rise+t.Fall:
		r.health, r.since = Down, now
	}
	return r.cleared()
}

// cleared is the record without the error of a backend that is up and well.
func (r record) cleared() record {
	if r.health == Up && r.bad == 0 {
		r.err, r.reason = nil, ""
	}
	return r
}

// reasked is the record for a new way of asking the same backend: the verdict
// stays, but probes of the old way no longer count towards another.
func (r record) reasked() record {
	r.good, r.bad = 0, 0
	return r.cleared()
}

// readsAs reports whether a reader is told the same by both.
func (r record) readsAs(o record) bool {
	return r.health == o.health && r.reason == o.reason && text(r.err) == text(o.err)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
