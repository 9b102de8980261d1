package healthloop

import "time"

// A timeout says something about a backend only if we were there to hear the
// answer. When this node lacks CPU, thousands of good answers lie unread in
// their sockets, and all those timeouts at once would withdraw every VIP for
// what is wrong here. Such a timeout is excused: it is not counted, and the
// backend's next turn decides.

// maxExcused is how many timeouts are excused until a good probe. Those after it
// count: so a dead backend is found on a node that never has time, too.
const maxExcused = 3

// A passage is how the time of a probe went by.
type passage struct {
	asked   time.Time // when the timeout began
	began   time.Time // when the probe did
	ended   time.Time
	stalled time.Duration // how long the loop stood still meanwhile
}

// lost is how much of it this node took for itself at least: before the probe
// began, and after its end until that was noticed, or as the loop felt it.
func (p passage) lost(timeout time.Duration) time.Duration {
	overrun := max(0, p.ended.Sub(p.asked)-timeout)
	return max(p.began.Sub(p.asked)+overrun, p.stalled)
}

// mayLose is how much of a timeout may be lost with a backend still judged by
// the rest.
func mayLose(timeout time.Duration) time.Duration { return timeout / 4 }

// excuses tells whether a bad probe is not to be counted.
func (r record) excuses(reason Reason, p passage, timeout time.Duration) bool {
	return reason == ReasonTimeout && r.excused < maxExcused && p.lost(timeout) > mayLose(timeout)
}

func (s *state) passage(a *asker) passage {
	return passage{a.asked, a.began, a.began.Add(a.took), s.stalled - a.stalled}
}

// feel notes how much too late the loop goes round, if that is a standstill.
func (s *state) feel(now time.Time) {
	if late := now.Sub(s.wake); !s.wake.IsZero() && late > standstill {
		s.stalled += late
	}
}
