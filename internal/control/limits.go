package control

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits is all that is bounded, and docs/api.md lists it: no caller may cost
// vipd more memory, goroutines or time than this.
type limits struct {
	receive, send int   // bytes of a message: 10,000 VIPs fit
	page          int   // bytes of a list's page, so that clients with gRPC's default of 4 MiB can read it
	pending       int64 // bytes that a connection may leave unread before it is closed

	connections       int // of a listener, so that TCP can't close the unix socket to others
	callerConnections int
	streams           uint32 // calls at once on a connection
	watches           int
	callerWatches     int

	mutations rate.Limit // a second and caller
	burst     int

	handshake time.Duration // until a connection must have said who it is
	sending   time.Duration // that a stream may take nothing
	ping      time.Duration // of silence, then the other end is asked whether it lives
	pong      time.Duration // to answer that
	idle      time.Duration // without a call
	stop      time.Duration // for calls under way when vipd stops
}

func defaultLimits() limits {
	return limits{
		receive:           32 << 20,
		send:              32 << 20,
		page:              3 << 20,
		pending:           64 << 20,
		connections:       128,
		callerConnections: 64,
		streams:           64,
		watches:           256,
		callerWatches:     128,
		mutations:         50,
		burst:             200,
		handshake:         10 * time.Second,
		sending:           30 * time.Second,
		ping:              30 * time.Second,
		pong:              10 * time.Second,
		idle:              10 * time.Minute,
		stop:              time.Second,
	}
}

// credit is how much more a connection may have been written than was counted.
const credit = 32 << 20

// headers is how long a client's may be, and clientPings how often it may ask
// whether vipd lives.
const (
	headers     = 16 << 10
	clientPings = 10 * time.Second
)

// A quota bounds how many of something there are, in all and of each caller.
// The mutex guards both counts: connections and streams come and go in
// goroutines of gRPC's, and have no owner who could be asked.
type quota struct {
	all, each int // 0: no bound
	mu        sync.Mutex
	count     int
	of        map[string]int
}

func newQuota(all, each int) *quota { return &quota{all: all, each: each, of: map[string]int{}} }

func (q *quota) enter(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.all > 0 && q.count >= q.all || q.each > 0 && q.of[key] >= q.each {
		return false
	}
	q.count++
	q.of[key]++
	return true
}

func (q *quota) leave(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count--
	if q.of[key]--; q.of[key] == 0 {
		delete(q.of, key)
	}
}

// now is how many there are.
func (q *quota) now() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// paced is how many callers have a pace of their own; it bounds memory.
const paced = 1024

// A pacer bounds how fast each caller goes. The mutex guards the map, for the
// reason that a quota has.
type pacer struct {
	limit rate.Limit
	burst int
	mu    sync.Mutex
	of    map[string]*rate.Limiter
	swept time.Time
}

func newPacer(limit rate.Limit, burst int) *pacer {
	return &pacer{limit: limit, burst: burst, of: map[string]*rate.Limiter{}}
}

// wait returns how long key has to wait until it may go on, and lets it go on
// if that is zero.
func (p *pacer) wait(key string, now time.Time) time.Duration {
	r := p.limiter(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (p *pacer) limiter(key string, now time.Time) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[key] == nil && len(p.of) >= paced {
		p.sweep(now)
		if len(p.of) >= paced {
			key = "" // who comes too late shares one
		}
	}
	if p.of[key] == nil {
		p.of[key] = rate.NewLimiter(p.limit, p.burst)
	}
	return p.of[key]
}

// sweep forgets paces that are as good as new ones, once a second.
func (p *pacer) sweep(now time.Time) {
	if now.Sub(p.swept) < time.Second {
		return
	}
	p.swept = now
	for key, l := range p.of {
		if l.TokensAt(now) >= float64(p.burst) {
			delete(p.of, key)
		}
	}
}
