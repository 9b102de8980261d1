package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/internal/web"
)

// status is nil until a session was wanted, and while the engine does not answer:
// counters must not seem to begin anew.
func (l *liveness) status(ctx context.Context) *web.BFD {
	if !l.isOpen() {
		return nil
	}
	if err := l.engine.Answers(ctx); err != nil && !errors.Is(err, bfdengine.ErrStopped) {
		return nil
	}
	stats := l.engine.Stats()
	b := &web.BFD{
		Dropped: map[string]uint64{}, Lost: stats.Lost, SendErrors: stats.SendErrors, Unsigned: stats.Unsigned, Excused: stats.Excused,
		Stalls: histogram(stats.Stalls), TxLateness: histogram(stats.SendLateness), Gaps: histogram(stats.Gaps),
	}
	if b.SendErrors["other"] == 0 {
		b.SendErrors["other"] = 0 // there is always one to look at
	}
	for reason := packet.None + 1; reason < packet.NumReasons; reason++ {
		b.Dropped[reason.String()] = stats.Dropped[reason]
	}
	sessions := slices.DeleteFunc(l.engine.Sessions(), func(s bfdengine.Snapshot) bool { return s.Leaving })
	names := labels(sessions)
	transitions := l.transitions()
	for i, s := range sessions {
		b.Sessions = append(b.Sessions, web.BFDSession{
			Peer: names[i], State: int(s.State), Transitions: transitions[s.Key],
			Received: s.Received, Sent: s.Out, AuthFailures: s.AuthFailures, Detection: s.Detection,
		})
	}
	return b
}

// labels names sessions for metrics: by the peer alone, unless there is another
// one with it.
func labels(sessions []bfdengine.Snapshot) []string {
	slices.SortFunc(sessions, func(a, b bfdengine.Snapshot) int {
		return cmp.Or(a.Peer.Compare(b.Peer), cmp.Compare(a.Key.String(), b.Key.String()))
	})
	names := make([]string, len(sessions))
	for i, s := range sessions {
		names[i] = s.Peer.String()
		twin := func(j int) bool { return j >= 0 && j < len(sessions) && sessions[j].Peer == s.Peer }
		if twin(i-1) || twin(i+1) {
			names[i] = s.Key.String()
		}
	}
	return names
}

func histogram(h bfdengine.Histogram) web.Histogram {
	return web.Histogram{Bounds: h.Bounds, Counts: h.Counts[:len(h.Bounds)+1], Sum: h.Sum}
}
