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
	runner atomic.Pointer[hook.Runner]

	mu   sync.Mutex // guards list: reloads write it, Run reads it
	list []config.Hook
}

func newHooks(d *daemon) *hooks { return &hooks{d: d, wake: make(chan struct{}, 1)} }

// set says which hooks there are from now on.
func (h *hooks) set(list []config.Hook) {
	h.mu.Lock()
	same := reflect.DeepEqual(h.list, list)
	h.list = list
	h.mu.Unlock()
	if same {
		return
	}
	wake(h.wake)
}

// Run runs them until ctx ends, and begins anew when they changed.
func (h *hooks) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		life, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		runner := h.start()
		go func() { done <- runner.Run(life) }() // ends with life
		select {
		case <-ctx.Done():
		case <-h.wake:
		}
		stop()
		if err := <-done; err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (h *hooks) start() *hook.Runner {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []hook.Hook
	for _, c := range h.list {
		one := hook.Hook{Kinds: c.Kinds, URL: c.URL, Exec: c.Exec, Timeout: c.Timeout}
		for _, header := range c.Headers {
			one.Headers = append(one.Headers, hook.Header(header))
		}
		list = append(list, one)
	}
	runner := hook.New(list, h.d.board, h.d.config.Load().Node, h.d.Log.Named("hook"), h.missed)
	h.runner.Store(runner)
	return runner
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
