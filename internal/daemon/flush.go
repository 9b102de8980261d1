package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/state"
)

// flushWithin bounds the whole of a flush.
const flushWithin = 10 * time.Second

// errNothing ends a flush at a speaker that has no BGP, so no routes either.
var errNothing = errors.New("BGP is not started there")

// Flush withdraws every route of this node's vipd from the speaker, and enables
// the neighbors that it disabled and remembers. It returns how many routes there
// were. It is for a stop hook, after a crash: a vipd that still runs would put
// them back.
func Flush(ctx context.Context, cfg *config.Config, log *zap.Logger) (int, error) {
	if !cfg.BGP.Enabled || cfg.BGP.Speaker == config.SpeakerEmbedded {
		return 0, nil // no speaker outlives vipd
	}
	ctx, cancel := context.WithTimeoutCause(ctx, flushWithin, fmt.Errorf("gave up after %s", flushWithin))
	defer cancel()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	options := bgpclient.DialOptions{Target: cfg.BGP.Address, Owner: Owner(cfg.Node)}
	known, memory := recollect(cfg.StateDir)
	// A Reconciler of which nothing is wanted.
	o := bgpclient.Options{Owner: options.Owner, Log: log, Dial: untilEmpty(cfg.BGP, options, give), Disabled: known.Disabled}
	if cfg.StateDir != "" {
		o.Remember = forgetting(cfg.StateDir)
	}
	rec := bgpclient.New(o)
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- rec.Run(life) }() // ends with stop
	err := rec.Settled(ctx)
	if err == nil {
		err = enabled(ctx, rec)
	}
	stop()
	<-done
	if errors.Is(err, errNothing) {
		err = nil
	}
	return int(rec.Status().Removed), errors.Join(err, memory)
}

// recollect reads what the vipd of before remembers. What can't be read must not
// keep its routes from being withdrawn.
func recollect(dir string) (state.State, error) {
	if dir == "" {
		return state.State{}, nil
	}
	known, err := state.Load(dir)
	if err != nil {
		err = fmt.Errorf("neighbors that vipd disabled stay so: %w", err)
	}
	return known, err
}

// forgetting saves which neighbors are disabled still. That no failure is known
// of them is true of the next life, too. The rest is read again: an operator may
// have said something since.
func forgetting(dir string) func(context.Context, []netip.Addr) error {
	return func(_ context.Context, disabled []netip.Addr) error {
		known, err := state.Load(dir)
		if err != nil {
			return err
		}
		known.Disabled, known.Waiting = disabled, disabled
		return state.Save(dir, known)
	}
}

// enabled waits until the speaker shows no neighbor that is disabled by us.
func enabled(ctx context.Context, rec *bgpclient.Reconciler) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for slices.ContainsFunc(rec.Holds(), func(h bgpclient.HoldStatus) bool { return h.Ours }) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("neighbors that vipd disabled stay so: %w", context.Cause(ctx))
		}
	}
	return nil
}

// untilEmpty dials, and gives up on a speaker that is without BGP for a while:
// a gobgpd that has just been started may still read its configuration.
func untilEmpty(b config.BGP, o bgpclient.DialOptions, give context.CancelCauseFunc) func(context.Context) (bgpclient.Conn, error) {
	const enough = 5 // looks, some 1.5 s with the pauses between them
	looks := 0
	return func(ctx context.Context) (bgpclient.Conn, error) {
		conn, err := dialGoBGP(ctx, b, o)
		if err != nil {
			return nil, err
		}
		if g, err := conn.Global(ctx); err != nil || g.ASN != 0 {
			return conn, nil // an error will come again
		}
		if looks++; looks == enough {
			give(errNothing)
		}
		return nil, errors.Join(errNothing, conn.Close())
	}
}
