package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiberlb/vipd/internal/state"
)

var someNeighbor = []netip.Addr{netip.MustParseAddr("10.0.0.1")}

func TestNobodyWaitsForADiskLongerThanHeWantsTo(t *testing.T) {
	m := newMemory(t.TempDir(), state.State{}) // that nobody runs: a disk that hangs
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := m.keep(ctx, func(*state.State) {}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "disk") {
		t.Errorf("error %v", err)
	}
}

// Who was told that it failed must not find later that it was done.
func TestSavingThatNobodyWaitsForIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory("", state.State{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		slow := func(s *state.State) {
			time.Sleep(time.Minute)
			s.Disabled = someNeighbor
		}
		if err := m.keep(ctx, slow); err == nil || !strings.Contains(err.Error(), "slow") {
			t.Errorf("error %v, want it to say that the disk is slow", err)
		}
		time.Sleep(time.Hour)
		cancel()
		<-done
		if len(m.known.Disabled) > 0 {
			t.Error("it was kept all the same")
		}
	})
}

func TestMemoryThatCanNotBeReadStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := state.Save(dir, state.State{Disabled: someNeighbor}); err != nil {
		t.Fatal(err)
	}
	o, logs := options(t, noBGP+"state_dir: "+dir)
	d := &daemon{Options: o, cfg: o.Config}
	if known, err := d.remembering(); err != nil || len(known.Disabled) != 1 || logs.Len() != 0 {
		t.Errorf("have %+v, %v, log %v", known, err, logs.All())
	}
	spoil(t, dir)
	d = &daemon{Options: o, cfg: o.Config}
	if _, err := d.remembering(); err == nil || !strings.Contains(err.Error(), "--ignore-state") {
		t.Errorf("error %v, want one that names a way out", err)
	}
	d.IgnoreState = true
	known, err := d.remembering()
	kept, _ := filepath.Glob(filepath.Join(dir, "*.bad*"))
	if err != nil || len(known.Disabled) != 0 || len(kept) != 1 || logs.FilterMessageSnippet("ignored").Len() != 1 {
		t.Errorf("have %+v, %v, kept %v, log %v", known, err, kept, logs.All())
	}
}

// Where the disk can't tell which of both it has, it is given the old one again.
func TestRefusedChangeIsNotLeftOnTheDisk(t *testing.T) {
	m := newMemory(t.TempDir(), state.State{Waiting: someNeighbor})
	var written []state.State
	m.write = func(_ string, s state.State) error {
		if written = append(written, s); len(written) == 1 {
			return fmt.Errorf("state: %w: bad disk", state.ErrUnsure)
		}
		return nil
	}
	if err := m.save(func(s *state.State) { s.Disabled = someNeighbor }); err == nil {
		t.Error("nobody is told")
	}
	if len(written) != 2 || len(written[1].Disabled) > 0 || len(written[1].Waiting) != 1 || len(m.known.Disabled) > 0 {
		t.Errorf("written %+v", written)
	}
}

// A flush enables neighbors, and forgets nothing but them.
func TestFlushKeepsWords(t *testing.T) {
	dir := t.TempDir()
	if err := state.Save(dir, state.State{Disabled: someNeighbor, Drain: &state.Drain{By: "me"}}); err != nil {
		t.Fatal(err)
	}
	known, err := recollect(dir)
	if err != nil || len(known.Disabled) != 1 {
		t.Fatal(known, err)
	}
	known.Overrides = []state.Override{{VIP: "a", Word: "withdraw"}} // said meanwhile
	known.VIPs = []state.VIP{{Owner: "lb", Version: 7, Spec: []byte(`{"name":"c"}`)}}
	if err := state.Save(dir, known); err != nil {
		t.Fatal(err)
	}
	if err := forgetting(dir)(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left, err := state.Load(dir)
	if err != nil || len(left.Disabled) > 0 || left.Drain == nil || len(left.Overrides) != 1 || len(left.VIPs) != 1 || left.VIPs[0].Version != 7 {
		t.Errorf("left %+v, %v", left, err)
	}
	spoil(t, dir)
	if err := forgetting(dir)(t.Context(), nil); err == nil {
		t.Error("what can't be read was written over")
	}
}

// A change of one thing leaves the others as they were.
func TestMemoryOfOtherThingsStays(t *testing.T) {
	dir := t.TempDir()
	m := newMemory(dir, state.State{Waiting: someNeighbor})
	if err := m.save(func(s *state.State) { s.Disabled = someNeighbor }); err != nil {
		t.Fatal(err)
	}
	if have, err := state.Load(dir); err != nil || len(have.Waiting) != 1 || len(have.Disabled) != 1 {
		t.Errorf("have %+v, %v", have, err)
	}
}

// spoil damages what is kept in dir.
func spoil(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, files[0].Name()), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}
