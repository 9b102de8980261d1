package bfdengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

const defaultFarewell = 3 * time.Second

// Options of an Engine. All may be left out.
type Options struct {
	// Listen are the addresses to receive on; none: 0.0.0.0, and :: if there is
	// IPv6.
	Listen      []netip.Addr
	Unsolicited Unsolicited
	Scheduling  Scheduling
	// Farewell is for how long at most AdminDown is said to the peer of a session
	// that is removed, and to all when Run ends: for a detection time, but not
	// longer than this. 0: 3 s; negative: not at all, and the peer sees a failure.
	Farewell time.Duration
}

// options are Options with their defaults, and what only tests change.
type options struct {
	Options
	port, multihopPort uint16
	window             time.Duration
	optional6          bool // IPv6 may be missing
}

// An Engine runs BFD sessions. Make one with New, then call Listen and Run once
// each. Its methods may be called from any goroutine; those that change
// sessions wait for Run to begin.
type Engine struct {
	options options
	hub     *hub
	calls   *calls
	worker  *worker // nil before Listen
	running atomic.Bool
}

// New checks options. It starts nothing and opens nothing.
func New(o Options) (*Engine, error) {
	opts := options{Options: o, port: packet.Port, multihopPort: packet.PortMultihop, window: defaultWindow}
	if len(o.Listen) == 0 {
		opts.Listen, opts.optional6 = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, true
	}
	for i, a := range opts.Listen {
		if !a.IsValid() || a.IsMulticast() || a.Zone() != "" {
			return nil, fmt.Errorf("listen on %s: must be an address of this system, without a zone", a)
		}
		if slices.Contains(opts.Listen[:i], a) {
			return nil, fmt.Errorf("listen on %s: it is there twice", a)
		}
	}
	if err := o.Scheduling.check(); err != nil {
		return nil, fmt.Errorf("bfd engine: %w", err)
	}
	opts.Farewell = cmp.Or(o.Farewell, defaultFarewell)
	opts.Unsolicited.Max = cmp.Or(o.Unsolicited.Max, defaultUnsolicited)
	params, err := o.Unsolicited.Params.normal()
	if err != nil {
		return nil, fmt.Errorf("unsolicited sessions: %w", err)
	}
	opts.Unsolicited.Params = params
	return &Engine{options: opts, hub: newHub(), calls: newCalls()}, nil
}

// Listen opens the sockets, so that an error is told before Run.
func (e *Engine) Listen() error {
	if e.worker != nil {
		return errors.New("bfd engine: Listen comes once")
	}
	var all []*sock.Receiver
	undo := func(err error) error {
		for _, r := range all {
			r.Close()
		}
		return err
	}
	for _, a := range e.options.Listen {
		for _, port := range []uint16{e.options.port, e.options.multihopPort} {
			r, err := sock.Listen(a, port)
			if errors.Is(err, unix.EAFNOSUPPORT) && e.options.optional6 && a.Is6() {
				continue
			}
			if err != nil {
				return undo(listenError(a, port, err))
			}
			all = append(all, r)
		}
	}
	if u := e.options.Unsolicited; len(u.Prefixes) > 0 && u.Params.RequiredMinEchoRx > 0 {
		// Nobody would be told once a peer asks.
		if err := TryEcho(); err != nil {
			return undo(fmt.Errorf("bfd engine: unsolicited sessions: %w", err))
		}
	}
	waiter, err := sock.NewWaiter(all)
	if err != nil {
		return undo(fmt.Errorf("bfd engine: %w", err))
	}
	e.worker = newWorker(e.options, e.hub, e.calls)
	e.worker.use(all, waiter)
	e.calls.open(waiter.Wake)
	return nil
}

// Run runs the sessions until ctx ends, then says AdminDown to their peers, and
// returns when they had the time to hear it. An error is about Scheduling.
func (e *Engine) Run(ctx context.Context) error {
	if e.worker == nil || e.running.Swap(true) {
		return errors.New("bfd engine: Run comes once, after Listen")
	}
	defer context.AfterFunc(ctx, func() {
		e.worker.stop.Store(true)
		e.calls.poke()
	})()
	// The worker keeps one for itself unless all is calm (see sock.Waiter).
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	defer func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1) }()
	done := make(chan error)
	go func() { // until the worker has finished
		// Never unlocked: Go ends the thread with the goroutine, and nobody
		// inherits how it was scheduled.
		runtime.LockOSThread()
		err := e.options.Scheduling.apply()
		if err == nil && e.options.Scheduling.Realtime > 0 {
			err = lift()
		}
		if err == nil {
			e.worker.run()
		}
		done <- err
	}()
	err := <-done
	e.calls.close()
	e.worker.close()
	e.hub.end()
	if err != nil {
		return fmt.Errorf("bfd engine: %w", err)
	}
	return nil
}

// Add starts a session.
func (e *Engine) Add(ctx context.Context, s Spec) error {
	s, err := s.normal()
	if err != nil {
		return err
	}
	if !s.Echo && !slices.ContainsFunc(e.options.Listen, func(a netip.Addr) bool { return a.Is4() == s.Peer.Is4() }) {
		return fmt.Errorf("session %s: nothing listens for its address family", s.Key)
	}
	return e.do(ctx, func(w *worker) error { return w.add(s) })
}

// Update changes the Params of the session that has s.Key. It stays up: what the
// peer must know first takes effect when it has confirmed it. Another type of
// authentication takes both ends.
func (e *Engine) Update(ctx context.Context, s Spec) error {
	s, err := s.normal()
	if err != nil {
		return err
	}
	return e.do(ctx, func(w *worker) error { return w.update(s) })
}

// Remove ends a session. Its peer is told AdminDown for a while after Remove has
// returned; added again meanwhile, the session goes on.
func (e *Engine) Remove(ctx context.Context, k Key) error {
	return e.on(ctx, k, func(w *worker, s *entry) { w.leave(s, w.now) })
}

// SetAdmin takes a session to AdminDown, with packet.AdministrativelyDown or
// packet.PathDown as the reason, or back from there.
func (e *Engine) SetAdmin(ctx context.Context, k Key, down bool, why packet.Diag) error {
	if k.Echo {
		// "the AdminDown state is not utilized in Unaffiliated BFD Echo" (RFC 9747 §2)
		return fmt.Errorf("session %s: there is nobody to tell AdminDown (remove the session)", k)
	}
	return e.on(ctx, k, func(w *worker, s *entry) {
		if down {
			w.apply(s, s.session.Disable(w.now, why), w.now)
		} else {
			w.apply(s, s.session.Enable(w.now), w.now)
		}
	})
}

// on runs f on the session of a key.
func (e *Engine) on(ctx context.Context, k Key, f func(*worker, *entry)) error {
	k, err := k.normal()
	if err != nil {
		return err
	}
	return e.do(ctx, func(w *worker) error {
		s := w.table.key(k)
		if s == nil || s.life != stays {
			return fmt.Errorf("session %s: there is none", k)
		}
		f(w, s)
		return nil
	})
}

func (e *Engine) do(ctx context.Context, f func(*worker) error) (err error) {
	if stopped := e.calls.do(ctx, func(w *worker) { err = f(w) }); stopped != nil {
		return stopped
	}
	return err
}
