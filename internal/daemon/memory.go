package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/state"
)

// A memory writes what must survive a restart. It has a goroutine of its own,
// so that nobody waits for a disk longer than he wants to.
type memory struct {
	dir   string
	log   *zap.Logger
	asked chan saving

	// Run's goroutine owns these.
	known  state.State
	unread bool // the file could not be read, and is still in its place
}

// A saving is something to remember; done is buffered.
type saving struct {
	change func(*state.State)
	done   chan error
}

// remembering opens the memory. One that can't be read is no reason not to
// serve: what it could tell is told to the operator instead.
func (d *daemon) remembering() error {
	if d.cfg.StateDir == "" {
		return nil
	}
	if err := os.MkdirAll(d.cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	known, err := state.Load(d.cfg.StateDir)
	if err != nil {
		d.Log.Error("neighbors that a former life disabled stay so: what is remembered can't be read", zap.Error(err))
	}
	d.memory = newMemory(d.cfg.StateDir, d.Log, known)
	d.memory.unread = err != nil
	d.disabled, d.failed = known.Disabled, known.Failed()
	return nil
}

func newMemory(dir string, log *zap.Logger, known state.State) *memory {
	return &memory{dir: dir, log: log, asked: make(chan saving), known: known}
}

// Run saves what it is asked to until ctx ends.
func (m *memory) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-m.asked:
			s.done <- m.save(s.change)
		}
	}
}

// save changes what is known. What could not be read may be of use to somebody
// who can: it is not written over.
func (m *memory) save(change func(*state.State)) error {
	if m.unread {
		kept, err := state.SetAside(m.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		m.unread = false
		m.log.Warn("what could not be read was set aside", zap.String("file", kept))
	}
	next := m.known
	change(&next)
	if err := state.Save(m.dir, next); err != nil {
		return err
	}
	m.known = next
	return nil
}

// remember returns nil once it is saved which neighbors are disabled by us, and
// which of them only wait.
func (m *memory) remember(ctx context.Context, disabled, waiting []netip.Addr) error {
	s := saving{func(s *state.State) { s.Disabled, s.Waiting = disabled, waiting }, make(chan error, 1)}
	select {
	case m.asked <- s:
	case <-ctx.Done():
		return fmt.Errorf("state: the disk is busy: %w", context.Cause(ctx))
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("state: the disk is slow: %w", context.Cause(ctx))
	}
}
