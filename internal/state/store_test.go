package state

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running runs a Store until stop or the test's end.
func running(t *testing.T, dir string) (s *Store, logs *observer.ObservedLogs, stop func() error) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	s, err := Open(dir, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() error { cancel(); err := <-done; done <- err; return err }
	t.Cleanup(func() { _ = stop() })
	return s, logs, stop
}

func put(list ...netip.Addr) func(*State) { return func(s *State) { s.Disabled = list } }

func TestUpdateReturnsWhenItIsOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	s, logs, _ := running(t, dir)
	for i := range 10 {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		if err := s.Update(t.Context(), put(a)); err != nil {
			t.Fatal(err)
		}
		if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, State{[]netip.Addr{a}}) || !reflect.DeepEqual(s.State(), have) {
			t.Fatalf("have %v, %v", have, err)
		}
	}
	if logs.Len() != 0 {
		t.Errorf("logged %v", logs.All())
	}
}

func TestFailureIsToldOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		full(t, dir)
		s, logs, stop := running(t, dir)
		if err := s.Update(t.Context(), put(some().Disabled...)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("have %v, want no space", err)
		}
		if !reflect.DeepEqual(s.State(), some()) {
			t.Error("not remembered in this life")
		}
		time.Sleep(retry)
		synctest.Wait() // Save removed the way to /dev/full: there is room again
		if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
			t.Errorf("have %+v, %v", have, err)
		}
		if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 || logs.Len() != 2 {
			t.Errorf("logged %v", logs.All())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestLastWriteIsNotLostAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(ended, put(some().Disabled...)); !errors.Is(err, context.Canceled) {
		t.Errorf("have %v", err)
	}
	if err := s.Run(ended); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
		t.Errorf("have %+v, %v", have, err)
	}
}

func TestNoDirectoryKeepsNothing(t *testing.T) {
	s, _, stop := running(t, "")
	if err := s.Update(t.Context(), put(some().Disabled...)); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(s.State(), some()) {
		t.Errorf("have %+v", s.State())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatItCanNotBelieve(t *testing.T) {
	dir := t.TempDir()
	if err := replace(dir, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, zap.NewNop()); err == nil {
		t.Error("opened")
	}
}
