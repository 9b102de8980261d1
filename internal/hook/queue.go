package hook

import (
	"context"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// How often a hook that fails, or loses events, is spoken of.
const (
	complainEvery = time.Minute
	confessEvery  = 10 * time.Second
)

// A courier delivers one event, and comes back when ctx ends.
type courier interface {
	// deliver returns what the other side had to say to it that failed, for the
	// log.
	deliver(ctx context.Context, m message) (said string, err error)
	close()
}

// A message is an event and what is sent of it.
type message struct {
	event *vipdv1.Event
	node  string
	json  []byte
}

// A queue is one hook with the events that it has yet to be told.
type queue struct {
	hook    Hook
	name    string
	node    string
	log     *zap.Logger
	missed  func(n int)
	courier courier

	// waiting has one sender, who takes the oldest out when it is full.
	waiting            chan *vipdv1.Event
	sent, failed, lost atomic.Uint64
	err                atomic.Pointer[string] // of the last failure; nil: it works

	// run's goroutine owns these.
	confessed            uint64 // of lost
	confession, complain time.Time
	silent               int // failures that were not logged
}

// name shows nothing that may be a secret: many a URL has a token in it, and so
// have arguments.
func (h Hook) name() string {
	if len(h.Exec) > 0 {
		return h.Exec[0]
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return "url"
	}
	return u.Scheme + "://" + u.Host
}

func (h Hook) courier() courier {
	if len(h.Exec) > 0 {
		return &program{args: h.Exec, timeout: h.Timeout}
	}
	return newWebhook(h)
}

func (q *queue) wants(e *vipdv1.Event) bool {
	return e.GetKind() != ownKind && (len(q.hook.Kinds) == 0 || slices.Contains(q.hook.Kinds, e.GetKind()))
}

// put never waits. What is newest tells more of how things are than what is
// oldest.
func (q *queue) put(e *vipdv1.Event) {
	for {
		select {
		case q.waiting <- e:
			return
		default:
		}
		select {
		case <-q.waiting:
			q.lost.Add(1)
		default: // run has just made room
		}
	}
}

// run delivers until ctx ends.
func (q *queue) run(ctx context.Context) {
	defer q.courier.close()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-q.waiting:
			said, err := q.deliver(ctx, e)
			if ctx.Err() != nil {
				return // not the hook's fault
			}
			q.note(e, said, err)
			q.confess(len(q.waiting) == 0)
		}
	}
}

func (q *queue) deliver(ctx context.Context, e *vipdv1.Event) (said string, err error) {
	text, err := encode(q.node, e)
	if err != nil {
		return "", err
	}
	return q.courier.deliver(ctx, message{e, q.node, text})
}

// note counts what became of an event. It speaks of the first failure and of the
// end of all, and between them once in a while.
func (q *queue) note(e *vipdv1.Event, said string, err error) {
	if err == nil {
		q.sent.Add(1)
		if q.err.Swap(nil) != nil {
			q.log.Info("hook works again", zap.Int("not_logged", q.silent))
			q.silent = 0
		}
		return
	}
	q.failed.Add(1)
	text := err.Error()
	now := time.Now()
	if q.err.Swap(&text) != nil && now.Before(q.complain) {
		q.silent++
		return
	}
	fields := []zap.Field{zap.String("kind", e.GetKind()), zap.String("subject", e.GetSubject()), zap.Uint64("sequence", e.GetSequence()), zap.Error(err)}
	if said != "" {
		fields = append(fields, zap.String("output", said))
	}
	if q.silent > 0 {
		fields = append(fields, zap.Int("not_logged", q.silent))
	}
	q.log.Warn("hook failed", fields...)
	q.complain, q.silent = now.Add(complainEvery), 0
}

// confess tells of events that were lost, when there is time for it, but not of
// each.
func (q *queue) confess(idle bool) {
	n, now := q.lost.Load()-q.confessed, time.Now()
	if n == 0 || !idle && now.Before(q.confession) {
		return
	}
	q.log.Warn("hook is too slow: it was not told of some events", zap.Uint64("events", n))
	q.missed(int(n))
	q.confessed += n
	q.confession = now.Add(confessEvery)
}

func (q *queue) stat() Stat {
	s := Stat{Hook: q.name, Sent: q.sent.Load(), Failed: q.failed.Load(), Missed: q.lost.Load()}
	if err := q.err.Load(); err != nil {
		s.Err = *err
	}
	return s
}
