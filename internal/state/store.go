package state

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// retry is how long after a failure a Store tries again by itself: the disk
// may have room then.
const retry = 10 * time.Second

// A Store owns the file while vipd runs: one goroutine, Run, writes it, so that
// nobody else ever waits for a disk.
//
// mu guards the fields below it, which several rooms change and Run reads.
type Store struct {
	dir  string
	log  *zap.Logger
	wake chan struct{}

	mu      sync.Mutex
	state   State
	wanted  uint64        // counts changes of state
	tried   uint64        // wanted, as of the last write
	err     error         // of the last write
	written chan struct{} // closed by each write
}

// Open loads what is kept in dir; an empty dir keeps nothing.
func Open(dir string, log *zap.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log, wake: make(chan struct{}, 1), written: make(chan struct{})}
	if dir == "" {
		return s, nil
	}
	var err error
	s.state, err = Load(dir)
	return s, err
}

// State tells what is remembered.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Update changes what is remembered, and waits until it is on the disk or ctx
// ends. After an error it is remembered in this life, and Run tries on.
func (s *Store) Update(ctx context.Context, change func(*State)) error {
	s.mu.Lock()
	change(&s.state)
	s.wanted++
	mine := s.wanted
	s.mu.Unlock()
	if s.dir == "" {
		return nil
	}
	select {
	case s.wake <- struct{}{}:
	default: // Run will see this change with the one that woke it
	}
	for {
		s.mu.Lock()
		tried, err, written := s.tried, s.err, s.written
		s.mu.Unlock()
		if tried >= mine {
			return err
		}
		select {
		case <-written:
		case <-ctx.Done():
			return fmt.Errorf("state: not saved yet: %w", context.Cause(ctx))
		}
	}
}

// Run writes until ctx ends, and then what is left to write.
func (s *Store) Run(ctx context.Context) error {
	var again <-chan time.Time // nil while all is saved
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			left := s.tried != s.wanted || s.err != nil
			s.mu.Unlock()
			if left && s.dir != "" {
				return s.write()
			}
			return nil
		case <-s.wake:
		case <-again:
		}
		again = nil
		if err := s.write(); err != nil {
			again = time.After(retry)
		}
	}
}

// write saves the newest state, and logs what is new about how that went.
func (s *Store) write() error {
	s.mu.Lock()
	state, wanted := s.state, s.wanted
	s.mu.Unlock()
	err := Save(s.dir, state)
	s.mu.Lock()
	before := s.err
	s.tried, s.err = wanted, err
	close(s.written)
	s.written = make(chan struct{})
	s.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		s.log.Error("what a restart should know is not on the disk, trying on", zap.Error(err))
	case err == nil && before != nil:
		s.log.Info("state saved again")
	}
	return err
}
