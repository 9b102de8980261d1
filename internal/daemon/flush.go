package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/internal/config"
)

// flushWithin bounds the whole of a flush.
const flushWithin = 10 * time.Second

// errNothing ends a flush at a speaker that has no BGP, so no routes either.
var errNothing = errors.New("BGP is not started there")

// Flush withdraws every route of this node's vipd from the speaker, and returns
// how many there were. It is for a stop hook, after a crash: a vipd that still
// runs would put them back.
func Flush(ctx context.Context, cfg *config.Config, log *zap.Logger) (int, error) {
	if !cfg.BGP.Enabled || cfg.BGP.Speaker == config.SpeakerEmbedded {
		return 0, nil // no speaker outlives vipd
	}
	ctx, cancel := context.WithTimeoutCause(ctx, flushWithin, fmt.Errorf("gave up after %s", flushWithin))
	defer cancel()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	options := bgpclient.DialOptions{Target: cfg.BGP.Address, Owner: Owner(cfg.Node)}
	// A Reconciler of which nothing is wanted.
	rec := bgpclient.New(bgpclient.Options{Owner: options.Owner, Log: log, Dial: untilEmpty(cfg.BGP, options, give)})
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- rec.Run(life) }()
	err := rec.Settled(ctx)
	stop()
	<-done
	if errors.Is(err, errNothing) {
		err = nil
	}
	return int(rec.Status().Removed), err
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
