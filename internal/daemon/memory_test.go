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

	"github.com/fiberlb/vipd/internal/state"
)

func TestNobodyWaitsForADiskLongerThanHeWantsTo(t *testing.T) {
	m := &memory{dir: t.TempDir(), asked: make(chan saving)} // that nobody runs: a disk that hangs
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := m.remember(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "disk") {
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
