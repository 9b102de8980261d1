package daemon

import (
	"maps"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/web"
)

// A word is what a session's last transitions say of the other side, with a
// channel that is closed when that is out of date.
type word struct {
	state   check.LivenessState
	why     string
	seq     uint64 // of the last transition
	changed chan struct{}
	turns   map[web.Transition]uint64
}

// reader makes what a check reads a session's word by.
func (l *liveness) reader(key bfdengine.Key) func() check.Liveness {
	return func() check.Liveness {
		l.mu.Lock()
		defer l.mu.Unlock()
		w := l.word(key)
		return check.Liveness{State: w.state, Why: w.why, Changed: w.changed}
	}
}

// word is that of a session, which may not be there yet. mu is held.
func (l *liveness) word(key bfdengine.Key) *word {
	w, ok := l.words[key]
	if !ok {
		w = &word{why: "was not up yet", changed: make(chan struct{}), turns: map[web.Transition]uint64{
			// Those that matter are there from the start: a counter that begins
			// with 1 has no increase.
			{From: "Up", To: "Down"}: 0, {From: "Init", To: "Up"}: 0, {From: "Down", To: "Up"}: 0,
		}}
		l.words[key] = w
	}
	return w
}

// say takes a transition into the session's word.
func (l *liveness) say(c bfdengine.Change) {
	if _, wanted := (*l.wanted.Load())[c.Key]; !wanted {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.word(c.Key)
	state, why := after(w.state, c), c.To.String()+": "+c.Diag.String()
	if c.RemoteAdmin {
		why += " (AdminDown)"
	}
	w.turns[web.Transition{From: c.From.String(), To: c.To.String()}]++
	w.seq = c.Seq
	w.turn(state, why)
}

func (w *word) turn(state check.LivenessState, why string) {
	close(w.changed)
	w.state, w.why, w.changed = state, why, make(chan struct{})
}

// listen takes in what no transition tells: that the peer of a session that has
// failed says AdminDown, a host that was restarted without BFD's service, say.
func (l *liveness) listen(s bfdengine.Snapshot) {
	if s.RemoteDiscr == 0 || s.RemoteState != packet.AdminDown {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, ok := l.words[s.Key]; ok && w.state == check.Failed && w.seq == s.Seq {
		w.turn(check.Closed, "the other side is AdminDown")
	}
}

// transitions tells how often each session changed its state.
func (l *liveness) transitions() map[bfdengine.Key]map[web.Transition]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[bfdengine.Key]map[web.Transition]uint64, len(l.words))
	for key, w := range l.words {
		all[key] = maps.Clone(w.turns)
	}
	return all
}

// after is a word's state after a transition.
func after(was check.LivenessState, c bfdengine.Change) check.LivenessState {
	switch {
	case c.To == packet.Up:
		return check.Alive
	case c.RemoteAdmin, c.To == packet.AdminDown:
		// "a system SHOULD NOT indicate a connectivity failure to a client if
		// either the local session state or the remote session state (if known)
		// transitions to AdminDown" (RFC 5882 §3.2)
		return check.Closed
	case c.From == packet.Up, was == check.Alive: // which it was, if transitions were missed
		return check.Failed
	}
	return was
}

// forget is for a session that is removed: one that comes later begins anew.
func (l *liveness) forget(key bfdengine.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, ok := l.words[key]; ok {
		delete(l.words, key)
		close(w.changed)
	}
}
