package daemon

import (
	"context"

	"github.com/fiberlb/vipd/internal/control"
)

// do runs f in the goroutine that owns the configuration and what operators
// said. What was begun is carried out as a whole, whoever hangs up meanwhile:
// f's context does not end with ctx.
func (d *daemon) do(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	select {
	case d.calls <- func() { done <- f(context.WithoutCancel(ctx)) }:
		return <-done
	case <-d.gone:
		return control.Refuse(control.Unavailable, "vipd is stopping and takes no more orders")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
