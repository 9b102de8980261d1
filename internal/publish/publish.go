// Package publish keeps the board as the rooms are: whoever changed something
// says only what, and the publisher reads it again and puts it up. It decides
// nothing and knows nobody's inside.
package publish

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/board"
)

const (
	// pace is the least time between passes: what changes often within it is
	// shown once, as it is then.
	pace = 5 * time.Millisecond
	// share is how many times as long as a pass took the next one waits: a VIP of
	// many backends that change all the time must not have the rooms all to itself.
	share, longest = 3, 500 * time.Millisecond
	// atOnce is how many VIPs the health loop is asked for at a time.
	atOnce = 256
)

// Sources is where the present state is read. Its funcs are called by Run's
// goroutine.
type Sources struct {
	// Look reads the health loop; what it does not know is left out.
	Look func(ctx context.Context, names []string) ([]healthloop.VIPStatus, error)
	// VIP makes the message for one; nil when it is gone.
	VIP func(healthloop.VIPStatus) *vipdv1.Vip
	// Name tells whose a prefix is.
	Name      func(netip.Prefix) (string, bool)
	Neighbors func() []*vipdv1.Neighbor
	// Turned is told of each neighbor that was put up; was is nil for a new one.
	Turned   func(was, is *vipdv1.Neighbor)
	Sessions func(context.Context) []*vipdv1.BfdSession
	Node     func() *vipdv1.Node
}

// A Publisher's methods may be called by any goroutine, and return at once:
// they only note what is to be read again.
type Publisher struct {
	sources Sources
	board   *board.Board
	wake    chan struct{}
	syncs   chan chan struct{}
	ended   chan struct{} // closed when Run has ended

	mu    sync.Mutex // guards stale: everybody adds, Run's goroutine takes
	stale stale
}

// A stale is what is to be read again.
type stale struct {
	vips                      map[string]struct{}
	prefixes                  map[netip.Prefix]struct{}
	node, neighbors, sessions bool
}

// New returns a Publisher that has not read anything yet.
func New(b *board.Board, s Sources) *Publisher {
	return &Publisher{
		sources: s, board: b, wake: make(chan struct{}, 1), syncs: make(chan chan struct{}), ended: make(chan struct{}), stale: fresh(),
	}
}

func fresh() stale { return stale{vips: map[string]struct{}{}, prefixes: map[netip.Prefix]struct{}{}} }

// VIP, Prefix, Neighbors, Sessions and Node tell that something changed about
// one VIP, the route for one prefix, any neighbor, any BFD session, the node.
func (p *Publisher) VIP(name string) { p.note(func(s *stale) { s.vips[name] = struct{}{} }) }
func (p *Publisher) Prefix(prefix netip.Prefix) {
	p.note(func(s *stale) { s.prefixes[prefix] = struct{}{} })
}
func (p *Publisher) Neighbors() { p.note(func(s *stale) { s.neighbors = true }) }
func (p *Publisher) Sessions()  { p.note(func(s *stale) { s.sessions = true }) }
func (p *Publisher) Node()      { p.note(func(s *stale) { s.node = true }) }

func (p *Publisher) note(add func(*stale)) {
	p.mu.Lock()
	add(&p.stale)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Sync returns when the board shows everything that was told before the call, or
// nobody publishes any more.
func (p *Publisher) Sync(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case p.syncs <- done:
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run publishes until ctx ends. It can be called once.
func (p *Publisher) Run(ctx context.Context) error {
	defer close(p.ended)
	for {
		var asked chan struct{}
		select {
		case <-ctx.Done():
			return nil
		case asked = <-p.syncs:
		case <-p.wake:
		}
		began := time.Now()
		p.pass(ctx)
		if asked != nil {
			close(asked)
			continue
		}
		p.rest(ctx, min(max(pace, share*time.Since(began)), longest))
	}
}

// rest lets changes gather, unless somebody waits for them.
func (p *Publisher) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case asked := <-p.syncs:
		p.pass(ctx)
		close(asked)
	}
}

// pass reads again what is stale. What could not be read stays so.
func (p *Publisher) pass(ctx context.Context) {
	now := p.take()
	names := make([]string, 0, len(now.vips)+len(now.prefixes))
	for prefix := range now.prefixes {
		now.node = true // counts of routes
		if name, ok := p.sources.Name(prefix); ok {
			now.vips[name] = struct{}{}
		}
	}
	for name := range now.vips {
		names = append(names, name)
	}
	if now.neighbors {
		p.putNeighbors()
	}
	if now.sessions {
		p.putSessions(ctx)
	}
	for len(names) > 0 {
		n := min(len(names), atOnce)
		if !p.putVIPs(ctx, names[:n]) {
			p.note(func(s *stale) {
				for _, name := range names {
					s.vips[name] = struct{}{}
				}
			})
			break
		}
		names = names[n:]
	}
	if now.node {
		p.board.PutNode(p.sources.Node())
	}
}

func (p *Publisher) take() stale {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.stale
	p.stale = fresh()
	return now
}

func (p *Publisher) putVIPs(ctx context.Context, names []string) bool {
	all, err := p.sources.Look(ctx, names)
	if err != nil {
		return false // ctx ended
	}
	gone := make(map[string]struct{}, len(names))
	for _, name := range names {
		gone[name] = struct{}{}
	}
	for _, status := range all {
		if v := p.sources.VIP(status); v != nil {
			delete(gone, status.Name)
			p.board.PutVIP(v)
		}
	}
	for name := range gone {
		p.board.RemoveVIP(name)
	}
	return true
}

func (p *Publisher) putNeighbors() {
	gone := map[string]*vipdv1.Neighbor{}
	for _, n := range p.board.Neighbors() {
		gone[n.GetAddress()] = n
	}
	for _, n := range p.sources.Neighbors() {
		p.sources.Turned(gone[n.GetAddress()], n)
		delete(gone, n.GetAddress())
		p.board.PutNeighbor(n)
	}
	for address := range gone {
		p.board.RemoveNeighbor(address)
	}
}

func (p *Publisher) putSessions(ctx context.Context) {
	gone := map[string]*vipdv1.BfdSession{}
	for _, s := range p.board.Sessions() {
		gone[s.GetId()] = s
	}
	for _, s := range p.sources.Sessions(ctx) {
		was := gone[s.GetId()]
		delete(gone, s.GetId())
		if !sameButCounters(was, s) {
			p.board.PutSession(s)
		}
	}
	for id := range gone {
		p.board.RemoveSession(id)
	}
}

// sameButCounters: a session sends and receives all the time, which is no news.
// was is on the board, where nobody changes it.
func sameButCounters(was, is *vipdv1.BfdSession) bool {
	if was == nil {
		return false
	}
	sent, received, dropped, gap := is.Sent, is.Received, is.Dropped, is.MaxGap
	is.Sent, is.Received, is.Dropped, is.MaxGap = was.Sent, was.Received, was.Dropped, was.MaxGap
	same := proto.Equal(was, is)
	is.Sent, is.Received, is.Dropped, is.MaxGap = sent, received, dropped, gap
	return same
}
