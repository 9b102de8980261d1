package bfdengine

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallThatWasGivenUpNeverRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCalls(), &worker{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ran := false
		if err := c.do(ctx, func(*worker) { ran = true }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for _, k := range c.take() {
			k.try(w)
		}
		if ran {
			t.Error("it ran after its caller was told that it had not")
		}
	})
}

func TestCallsRunInOrderAndAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCalls(), &worker{}
		wakes, order := 0, []int(nil)
		c.open(func() { wakes++ })
		for i := range 3 {
			go func() {
				if err := c.do(t.Context(), func(*worker) { order = append(order, i) }); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		for _, k := range c.take() {
			k.try(w)
		}
		synctest.Wait()
		if wakes != 3 || len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
			t.Errorf("woken %d times, ran %v", wakes, order)
		}
	})
}

func TestAfterTheEndCallersAreToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls()
		c.open(func() {})
		waiting := make(chan error, 1)
		go func() { waiting <- c.do(t.Context(), func(*worker) {}) }()
		synctest.Wait()
		c.close()
		if err := <-waiting; err != ErrStopped {
			t.Errorf("who waited got %v", err)
		}
		if err := c.do(t.Context(), func(*worker) {}); err != ErrStopped {
			t.Errorf("who came later got %v", err)
		}
	})
}

// A thread that does not run is found by who asks, and holds up nobody.
func TestAnEngineThatDoesNotAnswerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		e.running.Store(true) // but nobody takes calls
		began := time.Now()
		if err := e.Answers(t.Context()); err == nil || errors.Is(err, ErrStopped) {
			t.Errorf("answers: %v", err)
		}
		if all := e.Sessions(); all != nil {
			t.Errorf("sessions %+v", all)
		}
		if s, ok := e.Session(Key{Peer: netip.MustParseAddr("10.0.0.1")}); ok {
			t.Errorf("session %+v", s)
		}
		if s := e.Stats(); s.Wakes != 0 || len(s.Stalls.Bounds) == 0 {
			t.Errorf("stats %+v", s)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
