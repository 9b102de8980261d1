// Package hook tells others of events: it posts them to a URL or hands them to
// a program. It does not know what happened, and nothing waits for it.
package hook

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/board"
)

// A Hook is one who is told: by URL or by Exec.
type Hook struct {
	Kinds   []string // of events; none: all
	URL     string
	Exec    []string // the path of a program, and its arguments
	Timeout time.Duration
	Headers []Header // of requests to URL
}

// A Header is one of an HTTP request.
type Header struct {
	Name, Value string
}

// Stat is what became of one hook's events.
type Stat struct {
	Hook                 string // its URL without what may be secret, or its program
	Sent, Failed, Missed uint64
	Err                  string // of the last one that failed; empty since one was sent
}

// A Runner runs hooks.
type Runner struct{}

// New returns a Runner of these hooks. missed is told how many events were gone
// before a hook was through with those before them.
func New(hooks []Hook, b *board.Board, node string, log *zap.Logger, missed func(n int)) *Runner {
	return &Runner{}
}

// Run runs hooks until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Stats returns what became of each hook's events, in the order of the hooks.
func (r *Runner) Stats() []Stat { return nil }
