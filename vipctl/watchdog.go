package vipctl

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/status"
)

// A watchdog ends a call that may take as long as it needs, but must begin to
// answer in time.
type watchdog struct {
	timer *time.Timer
	ctx   context.Context
	end   context.CancelCauseFunc
}

// newWatchdog returns a context for the call, which ends with the watchdog's.
func newWatchdog(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, end := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, end: end}
	w.timer = time.AfterFunc(limit, func() { end(context.DeadlineExceeded) })
	return ctx, w
}

// fed tells that an answer came: the rest may take its time.
func (w *watchdog) fed() { w.timer.Stop() }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.end(nil)
}

// cause returns the call's error as what it is: gRPC only saw its context end.
func (w *watchdog) cause(err error) error {
	if err != nil && errors.Is(context.Cause(w.ctx), context.DeadlineExceeded) {
		return status.FromContextError(context.DeadlineExceeded).Err()
	}
	return err
}
