package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/state"
)

// A memory writes what must survive a restart. It has a goroutine of its own,
// so that nobody waits for a disk longer than he wants to.
type memory struct {
	dir   string // empty: nothing survives
	asked chan saving
	write func(dir string, s state.State) error

	saves, failures atomic.Uint64

	known state.State // it is who saves that has it, one at a time
}

// keepWithin bounds how long anybody waits for the disk.
const keepWithin = 5 * time.Second

// A saving is something to remember; done is buffered. Who asked may give up:
// then what was saved nevertheless is taken back.
type saving struct {
	change  func(*state.State)
	done    chan error
	decided *atomic.Bool // by whoever is first: the one who saved, or the one who gave up
}

// remembering opens the memory. One that can't be read stops the start: words of
// the operator's would be as never said. With IgnoreState it is kept aside.
func (d *daemon) remembering() (state.State, error) {
	dir := d.Options.Config.StateDir
	d.memory = newMemory(dir, state.State{})
	if dir == "" {
		return state.State{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return state.State{}, fmt.Errorf("state_dir: %w", err)
	}
	known, err := state.Load(dir)
	if err != nil && !d.IgnoreState {
		return state.State{}, err
	}
	if err != nil {
		kept, aside := state.SetAside(dir)
		if aside != nil && !errors.Is(aside, fs.ErrNotExist) {
			return state.State{}, errors.Join(err, aside)
		}
		d.Log.Warn("what is remembered is ignored, as asked for: overrides, a drain and VIPs of the API are as never said, and neighbors that vipd disabled stay so",
			zap.Error(err), zap.String("kept_aside", kept))
	}
	d.memory.known = known
	return known, nil
}

func newMemory(dir string, known state.State) *memory {
	return &memory{dir: dir, asked: make(chan saving), write: state.Save, known: known}
}

// keeps tells whether anything survives.
func (m *memory) keeps() bool { return m.dir != "" }

// Run saves what it is asked to until ctx ends. A disk that hangs then is left
// alone: it must not keep vipd from ending.
func (m *memory) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-m.asked:
			_, _ = aside(ctx, func() struct{} { m.answer(s); return struct{}{} })
		}
	}
}

func (m *memory) answer(s saving) {
	before := m.known
	err := m.save(s.change)
	if err == nil && !s.decided.CompareAndSwap(false, true) {
		err = m.save(func(now *state.State) { *now = before })
	}
	s.done <- err
}

// save changes what is known, all or nothing.
func (m *memory) save(change func(*state.State)) error {
	next := m.known
	change(&next)
	if m.keeps() {
		if err := m.write(m.dir, next); err != nil {
			m.failures.Add(1)
			if errors.Is(err, state.ErrUnsure) { // what is refused must not come back with the next life
				err = errors.Join(err, m.write(m.dir, m.known))
			}
			return err
		}
		m.saves.Add(1)
	}
	m.known = next
	return nil
}

// keep returns nil once a change is saved. After an error nothing is changed,
// unless the disk fails again while a change that came too late is taken back.
func (m *memory) keep(ctx context.Context, change func(*state.State)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, keepWithin, fmt.Errorf("no answer within %s", keepWithin))
	defer cancel()
	s := saving{change, make(chan error, 1), new(atomic.Bool)}
	select {
	case m.asked <- s:
	case <-ctx.Done():
		return fmt.Errorf("state: the disk is busy: %w", context.Cause(ctx))
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		if s.decided.CompareAndSwap(false, true) {
			return fmt.Errorf("state: the disk is slow: %w", context.Cause(ctx))
		}
		return <-s.done // it was just saved
	}
}
