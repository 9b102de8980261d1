package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/internal/config"
)

const (
	// bfdRetry is the pause before a session is added again that could not be.
	bfdRetry = 5 * time.Second
	// bfdLook is how often sessions are asked for what no transition tells:
	// whether their packets leave, and that a peer became AdminDown.
	bfdLook = 10 * time.Second
	// measureWithin bounds how long the next transitions wait for the measuring
	// of those before.
	measureWithin = 20 * time.Millisecond
)

// A liveness runs the BFD engine and joins it to those who need to know of its
// sessions.
//
//	configure ──wanted──▶ keep ───Add, Update, Remove──▶ engine
//	engine ───changes───▶ follow ──words──▶ checks
//	                             └─changed─▶ uplinks
//
// Nothing runs and no port is open until a session is wanted for the first time.
type liveness struct {
	log      *zap.Logger
	detected func(after time.Duration)
	changed  func([]bfdengine.Change) // called by follow's goroutine
	shown    func()                   // called when sessions came, went or were changed

	opened chan struct{}     // closed once the engine listens
	engine *bfdengine.Engine // nil before
	wanted atomic.Pointer[map[bfdengine.Key]bfdengine.Spec]
	wake   chan struct{}             // keep
	beat   atomic.Pointer[time.Time] // when the engine last answered; nil: it need not yet

	// mu guards words: follow writes them, probes read them.
	mu    sync.Mutex
	words map[bfdengine.Key]*word
}

func newLiveness(log *zap.Logger) *liveness {
	l := &liveness{
		log: log, detected: func(time.Duration) {}, changed: func([]bfdengine.Change) {}, shown: func() {},
		opened: make(chan struct{}), wake: make(chan struct{}, 1), words: map[bfdengine.Key]*word{},
	}
	l.wanted.Store(&map[bfdengine.Key]bfdengine.Spec{})
	return l
}

// open opens the ports if there is anything to listen for. It may be called
// again, by one goroutine at a time.
func (l *liveness) open(b config.BFD) error {
	if hasEcho(b) {
		// Later it would only be an error in the log, and the session missing.
		if err := bfdengine.TryEcho(); err != nil {
			return fmt.Errorf("bfd: %w", err)
		}
	}
	if l.isOpen() || len(b.Sessions) == 0 && b.Unsolicited == nil {
		return nil
	}
	options := bfdOptions(b)
	engine, err := bfdengine.New(options)
	if err != nil {
		return err
	}
	// Later it would end the engine, and vipd with it.
	if err := options.Scheduling.Try(); err != nil {
		return fmt.Errorf("bfd.scheduling: %w", err)
	}
	if err := engine.Listen(); err != nil {
		return err
	}
	l.engine = engine
	close(l.opened)
	return nil
}

// session is what the engine knows of a session now.
func (l *liveness) session(key bfdengine.Key) (bfdengine.Snapshot, bool) {
	if !l.isOpen() {
		return bfdengine.Snapshot{}, false
	}
	return l.engine.Session(key)
}

func (l *liveness) isOpen() bool {
	select {
	case <-l.opened:
		return true
	default:
		return false
	}
}

// want says which sessions there should be from now on. Those that stay as they
// are hear nothing of it.
func (l *liveness) want(specs map[bfdengine.Key]bfdengine.Spec) {
	l.wanted.Store(&specs)
	wake(l.wake)
}

// Run runs sessions until ctx ends, and then for as long as the peers must be
// told that it was on purpose.
func (l *liveness) Run(ctx context.Context) error {
	select {
	case <-l.opened:
	case <-ctx.Done():
		return nil
	}
	changes := l.engine.Subscribe()
	defer changes.Close()
	l.answered()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.engine.Run(ctx) })
	group.Go(func() error { return l.keep(ctx) })
	group.Go(func() error { return l.follow(ctx, changes) })
	return group.Wait()
}

// keep makes the engine's sessions the wanted ones.
func (l *liveness) keep(ctx context.Context) error {
	have := map[bfdengine.Key]bfdengine.Spec{}
	told := map[bfdengine.Key]string{} // what was logged of those that could not be
	problems := map[bfdengine.Key]string{}
	again := time.NewTimer(0)
	defer again.Stop()
	look := time.NewTicker(bfdLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if l.engine.Answers(ctx) == nil {
				l.answered()
				problems = l.look(problems)
				l.shown() // intervals change, and sessions of peers that asked go, without a transition
			}
			continue
		case <-again.C:
		case <-l.wake:
		}
		if !l.reconcile(ctx, have, told) {
			again.Reset(bfdRetry)
		}
		l.shown()
	}
}

// reconcile is one pass; it reports whether have is as wanted then.
func (l *liveness) reconcile(ctx context.Context, have map[bfdengine.Key]bfdengine.Spec, told map[bfdengine.Key]string) (done bool) {
	wanted, done := *l.wanted.Load(), true
	note := func(key bfdengine.Key, err error) bool {
		if err == nil {
			delete(told, key)
			return true
		}
		done = false
		if ctx.Err() == nil && told[key] != err.Error() {
			told[key] = err.Error()
			l.log.Error("bfd session not as wanted, trying on", zap.Stringer("peer", key), zap.Error(err))
		}
		return false
	}
	for key := range maps.Clone(have) {
		if _, stays := wanted[key]; !stays && note(key, l.engine.Remove(ctx, key)) {
			delete(have, key)
			l.forget(key)
			l.log.Info("bfd session removed", zap.Stringer("peer", key))
		}
	}
	for key, spec := range wanted {
		old, there := have[key]
		switch {
		case !there:
			if note(key, l.engine.Add(ctx, spec)) {
				have[key] = spec
				l.reader(key)() // so that it is counted from the start
			}
		case !reflect.DeepEqual(old, spec):
			if note(key, l.engine.Update(ctx, spec)) {
				have[key] = spec
				l.log.Info("bfd session changed", zap.Stringer("peer", key))
			}
		}
	}
	return done
}

// alive is nil while the engine answers.
func (l *liveness) alive() error {
	last := l.beat.Load()
	if last == nil || time.Since(*last) <= bfdBeat {
		return nil
	}
	return fmt.Errorf("the bfd engine has stood for %s", time.Since(*last).Round(time.Second))
}

func (l *liveness) answered() {
	now := time.Now()
	l.beat.Store(&now)
}

// look listens to all sessions, and logs once why packets of one don't leave. It
// returns what is known of that now.
func (l *liveness) look(known map[bfdengine.Key]string) map[bfdengine.Key]string {
	now := map[bfdengine.Key]string{}
	for _, s := range l.engine.Sessions() {
		l.listen(s)
		if s.Problem == "" {
			continue
		}
		now[s.Key] = s.Problem
		if known[s.Key] != s.Problem {
			l.log.Warn("bfd session can't send", zap.Stringer("peer", s.Key), zap.String("reason", s.Problem))
		}
	}
	return now
}

// follow hands on every transition.
func (l *liveness) follow(ctx context.Context, changes *bfdengine.Subscription) error {
	for {
		all, err := changes.Next(ctx)
		if ctx.Err() != nil {
			return nil // the engine's farewell is no news to anybody here
		}
		if err != nil {
			if errors.Is(err, bfdengine.ErrStopped) {
				return nil // its Run says why
			}
			return err
		}
		l.changed(all) // first who acts
		for _, c := range all {
			l.say(c)
		}
		began := time.Now()
		for _, c := range all {
			l.tell(c)
			if time.Since(began) < measureWithin {
				l.measure(c)
			}
		}
	}
}

// tell logs a transition.
func (l *liveness) tell(c bfdengine.Change) {
	fields := []zap.Field{
		zap.Stringer("peer", c.Key), zap.Stringer("from", c.From), zap.Stringer("to", c.To),
		zap.Stringer("diag", c.Diag), zap.Stringer("remote_diag", c.RemoteDiag),
	}
	if c.Missed > 0 {
		fields = append(fields, zap.Uint64("missed", c.Missed))
	}
	level := zap.DebugLevel
	if c.From == packet.Up || c.To == packet.Up {
		level = zap.InfoLevel
	}
	l.log.Log(level, "bfd session "+c.To.String(), fields...)
}

// measure takes the time that a failure took to be found.
func (l *liveness) measure(c bfdengine.Change) {
	if c.From != packet.Up || c.Diag != packet.ControlDetectionTimeExpired && c.Diag != packet.EchoFunctionFailed {
		return
	}
	if s, ok := l.engine.Session(c.Key); ok && s.Heard.Before(c.At) {
		l.detected(c.At.Sub(s.Heard))
	}
}
