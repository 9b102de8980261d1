package daemon

import (
	"context"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/hook"
	"github.com/fiberlb/vipd/internal/web"
)

// Hooks runs those of the configuration in force.
type hooks struct {
	d      *daemon
	wake   chan struct{}
	runner atomic.Pointer[hook.Runner] // the newest one
	list   []config.Hook               // of it; set's goroutine owns it
}

func newHooks(d *daemon) *hooks { return &hooks{d: d, wake: make(chan struct{}, 1)} }

// set says which hooks there are from now on: they hear of what is noted after
// it, whenever Run comes to them.
func (h *hooks) set(list []config.Hook) {
	if reflect.DeepEqual(h.list, list) {
		return
	}
	h.list = list
	var all []hook.Hook
	for _, c := range list {
		one := hook.Hook{Kinds: c.Kinds, URL: c.URL, Exec: c.Exec, Timeout: c.Timeout}
		for _, header := range c.Headers {
			one.Headers = append(one.Headers, hook.Header(header))
		}
		all = append(all, one)
	}
	h.runner.Store(hook.New(all, h.d.board, h.d.cfg.Node, h.d.Log.Named("hook"), h.missed))
	wake(h.wake)
}

// Run runs them until ctx ends, and others once they changed.
func (h *hooks) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-h.wake:
	}
	for ctx.Err() == nil {
		h.play(ctx)
	}
	return nil
}

// play runs the newest ones. What happens while they take over is told twice.
func (h *hooks) play(ctx context.Context) {
	life, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	runner := h.runner.Load()
	running.Go(func() { _ = runner.Run(life) }) // nil, when life ends
	select {
	case <-ctx.Done():
	case <-h.wake:
	}
}

func (h *hooks) missed(n int) {
	h.d.note(&vipdv1.Event{Kind: kindHook, To: "missed", Reason: "a hook is too slow: events were not offered to it", Inputs: map[string]string{"events": strconv.Itoa(n)}})
}

// stats is how the present hooks fare.
func (h *hooks) stats() (out []web.Hook) {
	runner := h.runner.Load()
	if runner == nil {
		return nil
	}
	for _, s := range runner.Stats() {
		out = append(out, web.Hook{Target: s.Hook, Sent: s.Sent, Failed: s.Failed, Missed: s.Missed})
	}
	return out
}
