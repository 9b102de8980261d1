// Package hook tells others of events: it posts them to a URL or gives them to a
// program. It does not know what happened, and nobody waits for it.
//
// One goroutine deals events out to a bounded queue for each hook; one goroutine
// a hook delivers what is in its queue, one event at a time, in order. A hook
// that is too slow loses the oldest of its queue, and that is counted and told.
//
//	board ──▶ deal ──┬─▶ queue ──▶ POST to a URL, up to 3 times
//	                 └─▶ queue ──▶ a program, once
//
// What a receiver gets is the event as JSON, with the names of the API's
// messages, and the node: {"node": "lb-1", "sequence": "17", "kind": "vip", …}.
// A request that was answered too late is sent again: node, at and sequence tell
// that it is the same event.
package hook

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

const (
	queueSize = 4096
	dealt     = 256 // events at a time
)

// ownKind is of events about hooks. A hook that is told of its own failure would
// fail again.
const ownKind = "hook"

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

// A Stat is what became of one hook's events.
type Stat struct {
	// Hook names it without what may be secret: scheme and host of its URL, or
	// the path of its program. It is unique.
	Hook   string
	Sent   uint64
	Failed uint64
	Missed uint64 // not offered, since it was too slow; at most so many
	Err    string // of the last one that failed; empty since one was sent
}

// A Runner runs hooks.
type Runner struct {
	queues []*queue
	reader *board.Reader
	told   uint64 // sequence of the last event
}

// New returns a Runner of these hooks, who are told of what is noted on b from
// now on. missed is told how many events were lost before a hook came to them;
// several goroutines may call it.
func New(hooks []Hook, b *board.Board, node string, log *zap.Logger, missed func(n int)) *Runner {
	_, told, _ := b.Events(board.EventQuery{Limit: 1})
	r := &Runner{reader: b.Read(board.Cursor{}, true), told: told}
	names := map[string]int{}
	for _, h := range hooks {
		name := h.name()
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, names[name])
		}
		r.queues = append(r.queues, &queue{
			hook: h, name: name, node: node, log: log.With(zap.String("hook", name)), missed: missed,
			courier: h.courier(), waiting: make(chan *vipdv1.Event, queueSize),
		})
	}
	return r
}

// Run runs hooks until ctx ends. What is under way then is broken off.
func (r *Runner) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, q := range r.queues {
		all.Go(func() { q.run(ctx) })
	}
	r.deal(ctx)
	all.Wait()
	return nil
}

// deal puts events into queues until ctx ends. It only moves pointers: it falls
// behind the board's ring when the machine has no time for it.
func (r *Runner) deal(ctx context.Context) {
	for {
		news, err := r.reader.Next(ctx, dealt)
		if err != nil {
			return // ctx has ended
		}
		for _, w := range news {
			for _, q := range r.queues {
				if w.GetSnapshot().GetMissed() {
					q.lost.Add(w.GetSequence() - r.told)
				}
				if e := w.GetChange().GetEvent(); e != nil && q.wants(e) {
					q.put(e)
				}
			}
			r.told = w.GetSequence()
		}
	}
}

// Stats returns what became of each hook's events, in the order of the hooks.
func (r *Runner) Stats() []Stat {
	var all []Stat
	for _, q := range r.queues {
		all = append(all, q.stat())
	}
	return all
}
