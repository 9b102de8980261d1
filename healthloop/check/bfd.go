package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

// rewatch is the pause before a connection is watched again that could not be.
const rewatch = 10 * time.Second

// A Liveness is what a BFD session says of a backend now.
type Liveness struct {
	State LivenessState
	Why   string // "Down: Control Detection Time Expired"
	// Changed is closed once something else is true. Nil: it never is.
	Changed <-chan struct{}
}

// A LivenessState is how far a session's word can be taken for its backend.
type LivenessState uint8

// NeverUp is no word yet. Failed is a session that was up and failed by itself;
// Closed is one that the other side ended on purpose, which says nothing of the
// path or of the backend (RFC 5882 §3.2).
const (
	NeverUp LivenessState = iota
	Alive
	Failed
	Closed
)

// A bfdProber has nothing to ask but the session: all but Alive is bad. A session
// that was never up is waited for, since one that begins takes some seconds:
// without that, each restart would find every backend down.
type bfdProber struct {
	what     string
	liveness func() Liveness
	waited   bool // in vain, so the next probe won't
}

func newBFD(t target, spec Spec) (*bfdProber, error) {
	if spec.Liveness == nil {
		return nil, errors.New("no session")
	}
	return &bfdProber{what: "bfd " + t.address, liveness: spec.Liveness}, nil
}

// Probe implements healthloop.Prober.
func (p *bfdProber) Probe(ctx context.Context) error {
	for {
		l := p.liveness()
		switch {
		case l.State == Alive:
			p.waited = false
			return nil
		case l.State != NeverUp || p.waited:
			return down(p.what, l)
		}
		select {
		case <-l.Changed:
		case <-ctx.Done():
			p.waited = true
			return down(p.what, l)
		}
	}
}

// Watch implements healthloop.Watcher.
func (p *bfdProber) Watch(ctx context.Context) error {
	awaitState(ctx, p.liveness, nil, func(s LivenessState) bool { return s != Alive })
	return nil
}

func down(what string, l Liveness) error {
	return &healthloop.Failure{Reason: healthloop.ReasonBFD, Err: fmt.Errorf("%s: %s", what, l.Why)}
}

// gated is a prober whose backend is also bad while its BFD session has failed.
// A session that never was up, or that the other side closed, has no say: the
// prober is the means of liveness then (RFC 5882 §4.2).
type gated struct {
	healthloop.Prober
	what     string
	liveness func() Liveness
}

// Probe implements healthloop.Prober.
func (g *gated) Probe(ctx context.Context) error {
	if l := g.liveness(); l.State == Failed {
		return down(g.what, l)
	}
	return g.Prober.Probe(ctx)
}

// Watch implements healthloop.Watcher: it watches the session, and the
// connection if the prober watches one.
func (g *gated) Watch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var noticed chan struct{}
	if inner, ok := g.Prober.(healthloop.Watcher); ok {
		noticed = make(chan struct{})
		defer func() { stop(); <-noticed }()
		go func() { // ends with ctx
			defer close(noticed)
			for inner.Watch(ctx) != nil && sleep(ctx, rewatch) {
			}
		}()
	}
	awaitState(ctx, g.liveness, noticed, func(s LivenessState) bool { return s == Failed })
	return nil
}

// awaitState waits until a session's state is such, or for an end.
func awaitState(ctx context.Context, of func() Liveness, end <-chan struct{}, such func(LivenessState) bool) {
	for {
		l := of()
		if such(l.State) {
			return
		}
		select {
		case <-l.Changed:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}
