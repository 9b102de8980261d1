package bfdengine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrStopped is what is left to say after Run has returned.
var ErrStopped = errors.New("bfd engine: stopped")

// calls is how other goroutines reach what the worker owns: they have it run a
// func. It is a list without a lock, because a thread that lost its CPU while it
// held one would hold up the worker.
type calls struct {
	newest atomic.Pointer[call]
	done   chan struct{} // closed when no call will run any more

	// mu guards only the life of what wake uses: many may wake at a time, and
	// close waits for them. The worker takes it once, at its end.
	mu   sync.RWMutex
	wake func() // nil while nobody takes calls
}

type call struct {
	run   func(*worker)
	taken atomic.Bool // by the worker, or by a caller who gave up
	done  chan struct{}
	older *call
}

func newCalls() *calls { return &calls{done: make(chan struct{})} }

// open has wake called for each new call. Those that wait already are taken.
func (c *calls) open(wake func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake = wake
}

// do runs f on the worker and waits for it. After an error f did not run, and
// will not.
func (c *calls) do(ctx context.Context, f func(*worker)) error {
	k := &call{run: f, done: make(chan struct{})}
	for {
		k.older = c.newest.Load()
		if c.newest.CompareAndSwap(k.older, k) {
			break
		}
	}
	c.poke()
	var err error
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-c.done:
		err = ErrStopped
	}
	if k.taken.CompareAndSwap(false, true) {
		return err
	}
	<-k.done // it has begun
	return nil
}

func (c *calls) poke() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.wake != nil {
		c.wake()
	}
}

// take gives the calls that wait, oldest first.
func (c *calls) take() (all []*call) {
	if c.newest.Load() == nil {
		return nil
	}
	for k := c.newest.Swap(nil); k != nil; k = k.older {
		all = append(all, k)
	}
	slices.Reverse(all)
	return all
}

// try runs a call unless its caller has given up.
func (k *call) try(w *worker) {
	if k.taken.CompareAndSwap(false, true) {
		k.run(w)
		close(k.done)
	}
}

// close ends the queue: who waits or comes later gets ErrStopped.
func (c *calls) close() {
	c.open(nil)
	close(c.done)
}
