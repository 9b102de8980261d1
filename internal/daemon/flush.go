package daemon

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/internal/config"
)

// flushWithin bounds the whole of a flush.
const flushWithin = 10 * time.Second

// Flush withdraws every route of this node's vipd from the speaker, and returns
// how many there were. It is for a stop hook, after a crash: a vipd that still
// runs would put them back.
func Flush(ctx context.Context, cfg *config.Config, log *zap.Logger) (int, error) {
	if !cfg.BGP.Enabled || cfg.BGP.Speaker == config.SpeakerEmbedded {
		return 0, nil // no speaker outlives vipd
	}
	ctx, cancel := context.WithTimeoutCause(ctx, flushWithin, fmt.Errorf("gave up after %s", flushWithin))
	defer cancel()
	options := bgpclient.DialOptions{Target: cfg.BGP.Address, Owner: Owner(cfg.Node)}
	// A Reconciler of which nothing is wanted.
	rec := bgpclient.New(bgpclient.Options{
		Owner: options.Owner, Log: log,
		Dial: func(ctx context.Context) (bgpclient.Conn, error) { return dialGoBGP(ctx, cfg.BGP, options) },
	})
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- rec.Run(life) }()
	err := rec.Settled(ctx)
	stop()
	<-done
	removed := int(rec.Status().Removed)
	return removed, err
}
