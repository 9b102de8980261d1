package uplink

import (
	"net/netip"
	"time"
)

// A Set is all neighbors with BFD. One owner serializes the calls.
type Set struct {
	by         map[netip.Addr]*member
	remembered map[netip.Addr]bool // until the first Configure
}

type member struct {
	neighbor
	told Verdict
	gone bool
}

// Effects is what a Set asks of its owner.
type Effects struct {
	// Verdicts are those that changed. A neighbor that is not in the
	// configuration any more gets the zero Verdict, but Alive.
	Verdicts map[netip.Addr]Verdict
	// Up counts the neighbors of Total of which no failure is known. All VIPs
	// are unreachable when it is 0 and Total is not.
	Up, Total int
	Next      time.Time // call Advance then or earlier; a far day if nothing is due
}

// NewSet makes an empty Set. Remembered are the neighbors that a former life
// disabled.
func NewSet(remembered []netip.Addr) *Set {
	s := &Set{by: map[netip.Addr]*member{}, remembered: map[netip.Addr]bool{}}
	for _, a := range remembered {
		s.remembered[a] = true
	}
	return s
}

// Configure says which neighbors there are. Those that stay keep what is known
// of them.
func (s *Set) Configure(now time.Time, all map[netip.Addr]Config) {
	for a, cfg := range all {
		if m, ok := s.by[a]; ok {
			m.Configure(cfg, now)
			continue
		}
		s.by[a] = &member{neighbor: newNeighbor(cfg, s.remembered[a], now), told: Verdict{Alive: true}}
	}
	for a, m := range s.by {
		_, stays := all[a]
		m.gone = !stays
	}
	s.remembered = nil
}

// Change takes in a transition of a neighbor's session.
func (s *Set) Change(a netip.Addr, c Change) {
	if m, ok := s.by[a]; ok {
		m.Change(c)
	}
}

// Peer takes in what a neighbor's session knows of the other side.
func (s *Set) Peer(a netip.Addr, p Peer) {
	if m, ok := s.by[a]; ok {
		m.Peer(p)
	}
}

// Speaker takes in the speaker's view of a neighbor.
func (s *Set) Speaker(a netip.Addr, b BGP, now time.Time) {
	if m, ok := s.by[a]; ok {
		m.Speaker(b, now)
	}
}

// Asking reports whether Peer could tell of a neighbor what is not known.
func (s *Set) Asking(a netip.Addr) bool {
	m, ok := s.by[a]
	return ok && m.Asking()
}

// Failed reports whether a failure of a neighbor is known.
func (s *Set) Failed(a netip.Addr) bool {
	m, ok := s.by[a]
	return ok && !m.told.Alive
}

// Advance tells what changed by time or by inputs since the last call.
func (s *Set) Advance(now time.Time) Effects {
	const far = 24 * time.Hour
	e := Effects{Verdicts: map[netip.Addr]Verdict{}, Next: now.Add(far)}
	for a, m := range s.by {
		if m.gone {
			delete(s.by, a)
			e.tell(a, m, Verdict{Alive: true})
			continue
		}
		v, next := m.Verdict(now)
		e.tell(a, m, v)
		e.Total++
		if v.Alive {
			e.Up++
		}
		if !next.IsZero() && next.Before(e.Next) {
			e.Next = next
		}
	}
	return e
}

func (e *Effects) tell(a netip.Addr, m *member, v Verdict) {
	if v != m.told {
		m.told = v
		e.Verdicts[a] = v
	}
}
