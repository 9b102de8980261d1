package daemon

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/state"
)

func TestNobodyWaitsForADiskLongerThanHeWantsTo(t *testing.T) {
	m := newMemory(t.TempDir(), zap.NewNop(), state.State{}) // that nobody runs: a disk that hangs
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := m.remember(ctx, nil, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "disk") {
		t.Errorf("error %v", err)
	}
}

func TestMemoryThatCanNotBeReadIsToldAndNoReasonNotToServe(t *testing.T) {
	dir := t.TempDir()
	if err := state.Save(dir, state.State{Disabled: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}); err != nil {
		t.Fatal(err)
	}
	o, logs := options(t, noBGP+"state_dir: "+dir)
	d := &daemon{Options: o, cfg: o.Config}
	if err := d.remembering(); err != nil || len(d.disabled) != 1 || logs.Len() != 0 {
		t.Errorf("have %v, %v, log %v", d.disabled, err, logs.All())
	}
	spoil(t, dir)
	d = &daemon{Options: o, cfg: o.Config}
	if err := d.remembering(); err != nil || d.memory == nil || logs.FilterMessageSnippet("can't be read").Len() != 1 {
		t.Errorf("error %v, log %v", err, logs.All())
	}
}

// Somebody may still make sense of it.
func TestMemoryThatCanNotBeReadIsNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	if err := state.Save(dir, state.State{}); err != nil {
		t.Fatal(err)
	}
	spoil(t, dir)
	m := newMemory(dir, zap.NewNop(), state.State{})
	m.unread = true
	one := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	for range 2 {
		if err := m.save(func(s *state.State) { s.Disabled = one }); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(filepath.Join(dir, "state.json.bad"))
	if have, lerr := state.Load(dir); err != nil || string(kept) != "{" || lerr != nil || len(have.Disabled) != 1 {
		t.Errorf("kept %q, %v; saved %+v, %v", kept, err, have, lerr)
	}
}

// A change of one thing leaves the others as they were.
func TestMemoryOfOtherThingsStays(t *testing.T) {
	dir, one := t.TempDir(), []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	m := newMemory(dir, zap.NewNop(), state.State{Waiting: one})
	if err := m.save(func(s *state.State) { s.Disabled = one }); err != nil {
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
