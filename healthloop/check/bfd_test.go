package check

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

// A session is a BFD session as a test wants it. mu guards the rest: a test
// turns it while a prober reads it.
type session struct {
	mu      sync.Mutex
	state   LivenessState
	why     string
	changed chan struct{}
}

func newSession(state LivenessState, why string) *session {
	return &session{state: state, why: why, changed: make(chan struct{})}
}

func (s *session) read() Liveness {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Liveness{State: s.state, Why: s.why, Changed: s.changed}
}

func (s *session) turn(state LivenessState, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.state, s.why, s.changed = state, why, make(chan struct{})
}

// An answer is a prober that says what it is told to.
type answer struct{ err error }

func (a *answer) Probe(context.Context) error { return a.err }

// A watcher is one that watches, too: each Watch returns what comes next.
type watcher struct {
	answer
	watch chan error
}

func (a *watcher) Watch(ctx context.Context) error {
	select {
	case err := <-a.watch:
		return err
	case <-ctx.Done():
		return nil
	}
}

func probeFor(t *testing.T, p healthloop.Prober, limit time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := p.Probe(ctx)
	if err == nil {
		return "good"
	}
	if f, ok := errors.AsType[*healthloop.Failure](err); ok {
		return string(f.Reason) + ": " + err.Error()
	}
	return err.Error()
}

func TestSessionAloneAndBesideAnotherCheck(t *testing.T) {
	bad := errors.New("connection refused")
	for _, c := range []struct {
		rule  string
		state LivenessState
		inner error
		alone string
		gated string
	}{
		{"alive is good", Alive, nil, "good", "good"},
		{"alive does not make up for another failure", Alive, bad, "good", "connection refused"},
		{"a failure is bad, whatever the other check says", Failed, nil, "bfd: bfd 10.1.0.11:80: Down: why", "bfd: bfd 10.1.0.11:80: Down: why"},
		{"closed on purpose: bad where nothing else is asked (RFC 5882 §3.2)", Closed, nil, "bfd: bfd 10.1.0.11:80: Down: why", "good"},
		{"and no excuse for another failure", Closed, bad, "bfd: bfd 10.1.0.11:80: Down: why", "connection refused"},
		{"never up: the other check decides", NeverUp, nil, "bfd: bfd 10.1.0.11:80: Down: why", "good"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(c.state, "Down: why")
			spec := Spec{Address: "10.1.0.11:80", Liveness: s.read}
			if have := probeFor(t, newProber(t, "bfd", spec), time.Second); have != c.alone {
				t.Errorf("%s: alone: have %q, want %q", c.rule, have, c.alone)
			}
			g := newProber(t, "tcp", spec).(*gated)
			g.Prober = &answer{c.inner}
			if have := probeFor(t, g, time.Second); have != c.gated {
				t.Errorf("%s: beside: have %q, want %q", c.rule, have, c.gated)
			}
		})
	}
}

func TestSessionThatBeginsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(NeverUp, "Init: No Diagnostic")
		p := newProber(t, "bfd", Spec{Address: "10.1.0.11:80", Liveness: s.read})
		time.AfterFunc(time.Second, func() { s.turn(NeverUp, "Down") })
		time.AfterFunc(2*time.Second, func() { s.turn(Alive, "Up") })
		began := time.Now()
		if have := probeFor(t, p, 5*time.Second); have != "good" || time.Since(began) != 2*time.Second {
			t.Errorf("have %s after %s", have, time.Since(began))
		}
	})
}

func TestSessionThatNeverBeginsIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(NeverUp, "Down: No Diagnostic")
		p := newProber(t, "bfd", Spec{Address: "10.1.0.11:80", Liveness: s.read})
		for i, want := range []time.Duration{5 * time.Second, 0, 0} {
			began := time.Now()
			if have := probeFor(t, p, 5*time.Second); !strings.HasPrefix(have, "bfd: ") || time.Since(began) != want {
				t.Errorf("probe %d: have %s after %s", i, have, time.Since(began))
			}
		}
	})
}

// begun starts Watch and tells when it ends.
func begun(t *testing.T, p healthloop.Prober) (ended <-chan error, stop context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.(healthloop.Watcher).Watch(ctx) }() // ends with ctx at the latest
	synctest.Wait()
	return done, cancel
}

func wantWatching(t *testing.T, ended <-chan error, want bool, what string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-ended:
		if want || err != nil {
			t.Errorf("%s: the watch ended with %v", what, err)
		}
	default:
		if !want {
			t.Errorf("%s: the watch goes on", what)
		}
	}
}

func TestWatchEndsAtTheInstantOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, inner := range map[string]healthloop.Prober{"alone": nil, "beside": &answer{}, "beside a watch": &watcher{}} {
			s := newSession(Alive, "Up")
			var p healthloop.Prober = newProber(t, "bfd", Spec{Address: "10.1.0.11:80", Liveness: s.read})
			if inner != nil {
				p = &gated{Prober: inner, liveness: s.read}
			}
			ended, stop := begun(t, p)
			s.turn(Alive, "Up, other timers")
			wantWatching(t, ended, true, what+": still alive")
			s.turn(Failed, "Down")
			wantWatching(t, ended, false, what+": failed")
			stop()

			ended, stop = begun(t, p)
			wantWatching(t, ended, false, what+": failed between probe and watch")
			stop()
		}
	})
}

func TestClosedSessionEndsOnlyTheWatchOfTheCheckAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(Alive, "Up")
		alone, stopAlone := begun(t, newProber(t, "bfd", Spec{Address: "10.1.0.11:80", Liveness: s.read}))
		beside, stopBeside := begun(t, &gated{Prober: &answer{}, liveness: s.read})
		s.turn(Closed, "Down: Neighbor Signaled Session Down (AdminDown)")
		wantWatching(t, alone, false, "alone")
		wantWatching(t, beside, true, "beside")
		stopAlone()
		stopBeside()
		wantWatching(t, beside, false, "stopped")
	})
}

func TestInnerWatchThatCanNotWatchEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, inner := newSession(Alive, "Up"), &watcher{watch: make(chan error)}
		ended, stop := begun(t, &gated{Prober: inner, liveness: s.read})
		defer stop()
		inner.watch <- errors.New("the backend talks")
		wantWatching(t, ended, true, "can't watch")
		time.Sleep(rewatch)
		inner.watch <- nil
		wantWatching(t, ended, false, "noticed")
	})
}

func TestKindBFDNeedsASession(t *testing.T) {
	if _, err := New("bfd", Spec{Address: "10.1.0.11:80"}); err == nil || err.Error() != "bfd check of 10.1.0.11:80: no session" {
		t.Errorf("error %v", err)
	}
}
