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

// aside runs f where it keeps nobody: it may wait for a disk as long as that
// likes. Who gives up leaves it alone, for the reading of a file can't be ended.
func aside[T any](ctx context.Context, f func() T) (T, error) {
	done := make(chan T, 1)
	go func() { done <- f() }() // ends with f
	select {
	case out := <-done:
		return out, nil
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// reading is aside for requests, of which slots bounds how many read at a time: one
// whose disk hangs keeps a thread for as long.
func reading[T any](ctx context.Context, slots chan struct{}, f func() T) (T, error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
	return aside(ctx, func() T {
		defer func() { <-slots }()
		return f()
	})
}

// wake is for a channel of one place: many wakes are one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
