package healthloop

import (
	"maps"
	"time"
)

// Status is what a Loop knows at one moment.
type Status struct {
	VIPs    []VIPStatus // in the order of Apply
	Drain   Drain
	Uplinks Uplinks
	Skipped uint64 // turns of all backends, of those too that are gone
}

// A VIPStatus is what is known of a VIP.
type VIPStatus struct {
	Name        string
	Policy      Policy // its levels are the loop's: not to be written
	Intent      Intent
	Since       time.Time // of Intent.State
	Transitions [3]uint64 // into each State
	Tally       Tally
	Override    Override
	HoldUntil   time.Time // zero: no hold-down runs
	Backends    []BackendStatus
}

// A BackendStatus is what is known of a backend.
type BackendStatus struct {
	Name, Kind string
	Weight     int
	Health     Health
	Since      time.Time // of Health; zero while it is unknown
	// Err is why the last bad probe was bad, with its Reason, until a good one
	// finds the backend up.
	Err      error
	Reason   Reason
	Failures map[Reason]uint64 // bad probes
	Probed   time.Time         // when the last probe began; zero: none yet
	Took     time.Duration     // how long it lasted
	// Recent is how long the last probes took, up to 32, oldest first, to about
	// a tenth; that of a bad one is negative. Only Look tells.
	Recent  []time.Duration
	Skipped uint64 // turns that found the last probe still running, came too late, or were excused
	Watched bool
}

func (s *state) status(now time.Time) Status {
	st := Status{VIPs: make([]VIPStatus, 0, len(s.vips)), Drain: s.drain.in(now), Uplinks: s.uplinks, Skipped: s.skipped}
	for v := range s.inOrder() {
		st.VIPs = append(st.VIPs, v.status())
	}
	return st
}

func (v *vip) status() VIPStatus {
	st := VIPStatus{
		Name:        v.name,
		Policy:      v.policy,
		Intent:      v.intent,
		Since:       v.since,
		Transitions: v.became,
		Tally:       v.tally,
		Override:    v.override,
		HoldUntil:   v.holdUntil(),
		Backends:    make([]BackendStatus, 0, len(v.backends)),
	}
	for _, b := range v.backends {
		st.Backends = append(st.Backends, b.status())
	}
	return st
}

// closely is v's status with what is too much to tell of all VIPs at once.
func (v *vip) closely() VIPStatus {
	st := v.status()
	for i, b := range v.backends {
		st.Backends[i].Recent = b.recent.spans()
	}
	return st
}

func (b *backend) status() BackendStatus {
	return BackendStatus{
		Name:     b.Name,
		Kind:     b.Kind,
		Weight:   b.Weight,
		Health:   b.record.health,
		Since:    b.record.since,
		Err:      b.record.err,
		Reason:   b.record.reason,
		Failures: maps.Clone(b.failures),
		Probed:   b.probed,
		Took:     b.took,
		Skipped:  b.skipped,
		Watched:  b.asker.watching,
	}
}
