package state

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func some() State {
	two := []netip.Addr{netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("fe80::1%eth0")}
	return State{Disabled: two, Waiting: two[1:]}
}

func TestWhoWaitsHasNotFailed(t *testing.T) {
	s := some()
	if have := s.Failed(); !reflect.DeepEqual(have, s.Disabled[:1]) {
		t.Errorf("failed: %v", have)
	}
	s.Waiting = nil
	if have := s.Failed(); !reflect.DeepEqual(have, s.Disabled) {
		t.Errorf("failed: %v", have)
	}
}

// Version 1 had nobody wait.
func TestFileOfTheVersionBeforeIsRead(t *testing.T) {
	dir := t.TempDir()
	const content = `{"version":1,"sha256":"dc3371625f9a7ac2bad3b1a6a7a15ae611c8c00b0b9f7cd25f603645707db788","state":{"disabled_neighbors":["10.0.0.254"]}}`
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || len(have.Failed()) != 1 {
		t.Errorf("have %+v, %v", have, err)
	}
}

func TestWhatCanNotBeReadIsKept(t *testing.T) {
	dir := t.TempDir()
	if _, err := SetAside(dir); err == nil {
		t.Error("there was nothing to keep")
	}
	for _, content := range []string{"{", "["} {
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		bad, err := SetAside(dir)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(bad); err != nil || string(have) != content {
			t.Errorf("kept %q, %v", have, err)
		}
		if have, err := Load(dir); err != nil || have.Disabled != nil {
			t.Errorf("have %+v, %v", have, err)
		}
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []State{some(), {}, some()} {
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		have, err := Load(dir)
		if err != nil || !reflect.DeepEqual(have, want) {
			t.Fatalf("have %+v, %v; want %+v", have, err, want)
		}
	}
	wantFiles(t, dir, fileName)
}

func TestNothingSavedIsNothingToRemember(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if have, err := Load(dir); err != nil || have.Disabled != nil {
			t.Errorf("have %+v, %v", have, err)
		}
	}
}

func TestFileThatCanNotBeBelieved(t *testing.T) {
	good, err := encode(some())
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, with string) string { return strings.Replace(string(good), old, with, 1) }
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "is damaged or was edited: unexpected end"},
		{"cut off", string(good[:len(good)/2]), "is damaged or was edited"},
		{"zeros after a power failure", string(make([]byte, len(good))), "is damaged or was edited"},
		{"edited", replaced("10.0.0.254", "10.0.0.253"), "its checksum does not fit"},
		{"without state", `{"version":1,"sha256":""}`, "is damaged or was edited"},
		{"null", "null", "is damaged or was edited"},
		{"version 0", replaced(`"version": 2`, `"version": 0`), "its checksum does not fit"},
		{"newer", replaced(`"version": 2`, `"version": 3`), "is of version 3, and this vipd reads up to 2 (run the newer vipd"},
		{"newer, with other fields", `{"version":7,"sum":1}`, "is of version 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			have, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "move ") {
				t.Errorf("have %+v, %v; want an error with %q and what to do", have, err, c.want)
			}
			if have.Disabled != nil {
				t.Errorf("half believed: %+v", have)
			}
		})
	}
}

// White space is the operator's: an editor that reindents has changed nothing.
func TestReindentedFileIsTheSame(t *testing.T) {
	dir := t.TempDir()
	data, err := encode(some())
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("  "), []byte("\t"))
	if err := os.WriteFile(filepath.Join(dir, fileName), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
		t.Errorf("have %+v, %v", have, err)
	}
}

// /dev/full answers a write as a full disk does.
func full(t *testing.T, dir string) {
	t.Helper()
	if err := os.Symlink("/dev/full", filepath.Join(dir, tempName)); err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, some()); err != nil {
		t.Fatal(err)
	}
	full(t, dir)
	if err := Save(dir, State{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("have %v, want no space", err)
	}
	if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
		t.Errorf("have %+v, %v; want the old one", have, err)
	}
	wantFiles(t, dir, fileName)
	if err := Save(dir, State{}); err != nil { // there is room again
		t.Error(err)
	}
}

// What a crash left half written is neither read nor in the way.
func TestTemporaryFileOfACrash(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, tempName), bytes.Repeat([]byte("x"), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || have.Disabled != nil {
		t.Errorf("have %+v, %v", have, err)
	}
	if err := Save(dir, some()); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
		t.Errorf("have %+v, %v", have, err)
	}
	wantFiles(t, dir, fileName)
}

func TestSaveNeedsItsDirectory(t *testing.T) {
	if err := Save(filepath.Join(t.TempDir(), "absent"), some()); err == nil || !strings.Contains(err.Error(), "not saved") {
		t.Errorf("have %v", err)
	}
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("files %v, want %v", have, want)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := encode(some())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"sha256":"","state":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := decode(again); err != nil || !reflect.DeepEqual(have, s) {
			t.Errorf("have %+v, %v; want %+v", have, err, s)
		}
	})
}
