package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/state"
)

// A memory writes what must survive a restart. It has a goroutine of its own,
// so that nobody waits for a disk longer than he wants to.
type memory struct {
	dir   string
	asked chan saving
}

// A saving is something to remember; done is buffered.
type saving struct {
	state state.State
	done  chan error
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
	d.memory = &memory{dir: d.cfg.StateDir, asked: make(chan saving)}
	d.disabled = known.Disabled
	return nil
}

// Run saves what it is asked to until ctx ends.
func (m *memory) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-m.asked:
			s.done <- state.Save(m.dir, s.state)
		}
	}
}

// remember returns nil once it is saved which neighbors are disabled by us.
func (m *memory) remember(ctx context.Context, disabled []netip.Addr) error {
	s := saving{state.State{Disabled: disabled}, make(chan error, 1)}
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
