package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A failing disk refuses its at-th deed, counted from 1, with err; a forever
// failing one all that come after, too.
type failing struct {
	osDisk
	at, deeds int
	err       error
	forever   bool
	first     string // deed that was refused
}

func (f *failing) refuse(deed string) error {
	f.deeds++
	if f.deeds == f.at || f.forever && f.deeds > f.at {
		if f.first == "" {
			f.first = deed
		}
		return &fs.PathError{Op: deed, Path: "it", Err: f.err}
	}
	return nil
}

func (f *failing) lock(dir string) (handle, error) {
	if err := f.refuse("lock"); err != nil {
		return nil, err
	}
	h, err := f.osDisk.lock(dir)
	return failed{h, f, "names"}, err
}

func (f *failing) create(name string) (handle, error) {
	if err := f.refuse("create"); err != nil {
		return nil, err
	}
	h, err := f.osDisk.create(name)
	return failed{h, f, "file"}, err
}

func (f *failing) rename(from, to string) error {
	if err := f.refuse("rename"); err != nil {
		return err
	}
	return f.osDisk.rename(from, to)
}

func (f *failing) remove(name string) error {
	if err := f.refuse("remove"); err != nil {
		return err
	}
	return f.osDisk.remove(name)
}

type failed struct {
	handle
	f    *failing
	what string
}

func (h failed) Write(data []byte) (int, error) {
	if err := h.f.refuse("write"); err != nil {
		n, _ := h.handle.Write(data[:len(data)/2])
		return n, err
	}
	return h.handle.Write(data)
}

func (h failed) Sync() error {
	if err := h.f.refuse("sync " + h.what); err != nil {
		return err
	}
	return h.handle.Sync()
}

func (h failed) Close() error {
	return errors.Join(h.handle.Close(), h.f.refuse("close "+h.what))
}

func TestDiskThatFailsLeavesTheOldFile(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EDQUOT} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at++ {
				f := &failing{at: at, err: cause, forever: forever}
				dir := lay(t, t.TempDir(), map[string]string{fileName: versionTwo})
				err := save(f, dir, all())
				if f.first == "" { // there was no such deed
					if err != nil || at < 8 {
						t.Errorf("deed %d: error %v", at, err)
					}
					break
				}
				what := fmt.Sprintf("%v at %s (forever: %v)", cause, f.first, forever)
				want := some()
				switch have := fmt.Sprint(err); {
				case f.first == "close names": // all was done before
					if want = all(); err != nil {
						t.Errorf("%s: error %v", what, err)
					}
				case !strings.HasPrefix(have, "state: not saved: ") || !errors.Is(err, cause):
					t.Errorf("%s: error %v", what, err)
				case strings.Contains(have, "may find the old one"):
					want = all()
				}
				if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, want) {
					t.Errorf("%s: have %+v, %v; want %+v", what, have, err, want)
				}
				if err := Save(dir, all()); err != nil { // it works again
					t.Errorf("%s: %v", what, err)
				}
				wantFiles(t, dir, fileName)
			}
		}
	}
}

// A real one, as small as it can be.
func TestFullAndReadOnlyDiskLeaveTheOldFile(t *testing.T) {
	dir, do := disk4k(t, 4)
	try := func(want error, have State) {
		t.Helper()
		do(func() {
			switch err := Save(dir, all()); {
			case want == nil && err != nil:
				t.Error(err)
			case want != nil && (!errors.Is(err, want) || !strings.HasPrefix(err.Error(), "state: not saved: ")):
				t.Errorf("error %v, want %v", err, want)
			}
			if s, err := Load(dir); err != nil || !reflect.DeepEqual(s, have) {
				t.Errorf("have %+v, %v; want %+v", s, err, have)
			}
			wantFiles(t, dir, "other", fileName)
		})
	}
	do(func() {
		lay(t, dir, map[string]string{fileName: versionTwo})
		if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 100<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal("the disk is not full:", err)
		}
	})
	try(syscall.ENOSPC, some())
	remount := func(flags uintptr) {
		do(func() {
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, "other"), 0); err != nil && flags == 0 {
				t.Fatal(err)
			}
		})
	}
	remount(unix.MS_RDONLY)
	try(syscall.EROFS, some())
	remount(0)
	try(nil, all())
}

// disk4k mounts a disk of so many pages where nobody else sees it, and returns
// what runs a func there. It takes root.
func disk4k(t *testing.T, pages int) (dir string, do func(f func())) {
	t.Helper()
	dir = t.TempDir()
	work, mounted, left := make(chan func()), make(chan error), make(chan struct{})
	go func() { // until the test ends
		defer close(left)
		runtime.LockOSThread() // never unlocked: the mount ends with the thread
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
		}
		if err == nil {
			err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*os.Getpagesize()))
		}
		mounted <- err
		for f := range work {
			f()
		}
	}()
	t.Cleanup(func() {
		close(work)
		<-left
	})
	switch err := <-mounted; {
	case err != nil && os.Getenv("VIPD_REQUIRE") == "1":
		t.Fatal("a disk needs root, and VIPD_REQUIRE is set: ", err)
	case err != nil:
		t.Skip("SKIPPED: a disk needs root: ", err)
	}
	return dir, func(f func()) {
		done := make(chan struct{})
		work <- func() {
			defer close(done)
			f()
		}
		<-done
	}
}

// A daemon and `vipd flush` may save at once: each file is one of theirs.
func TestTwoWhoSaveAtOnce(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{fileName: versionTwo})
	var both sync.WaitGroup
	for _, s := range []State{all(), some()} {
		both.Go(func() {
			for range 50 {
				if err := Save(dir, s); err != nil {
					t.Error(err)
					return
				}
				if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, all()) && !reflect.DeepEqual(have, some()) {
					t.Errorf("have %+v, %v", have, err)
					return
				}
			}
		})
	}
	both.Wait()
	wantFiles(t, dir, fileName)
}

func TestSaveNeedsItsDirectory(t *testing.T) {
	if err := Save(filepath.Join(t.TempDir(), "absent"), some()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "not saved") {
		t.Errorf("have %v", err)
	}
}

// Who runs `vipd flush` as root must not shut the daemon's user out.
func TestFileIsItsDirectorysOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("VIPD_REQUIRE") == "1" {
			t.Fatal("owners need root, and VIPD_REQUIRE is set")
		}
		t.Skip("SKIPPED: owners need root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 4321, 1234); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, some()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 4321 || owner.Gid != 1234 || info.Mode() != 0o600 {
		t.Errorf("owner %d:%d, mode %v", owner.Uid, owner.Gid, info.Mode())
	}
}

func TestWhatCanNotBeReadIsKept(t *testing.T) {
	dir := t.TempDir()
	if _, err := SetAside(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there was nothing to keep, and the error is", err)
	}
	for n := 1; n <= maxAside; n++ {
		if err := os.WriteFile(filepath.Join(dir, fileName), fmt.Append(nil, n), 0o600); err != nil {
			t.Fatal(err)
		}
		bad, err := SetAside(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := fileName + ".bad"
		if n > 1 {
			want = fmt.Sprint(want, ".", n)
		}
		if bad != filepath.Join(dir, want) {
			t.Errorf("kept as %s, want %s", bad, want)
		}
		if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, State{}) {
			t.Errorf("have %+v, %v", have, err)
		}
	}
	for n := 1; n <= maxAside; n++ {
		name := fileName + ".bad"
		if n > 1 {
			name = fmt.Sprint(name, ".", n)
		}
		if have := content(t, dir, name); have != fmt.Sprint(n) {
			t.Errorf("%s has %q", name, have)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SetAside(dir); err == nil || !strings.Contains(err.Error(), "state: not set aside: ") || !strings.Contains(err.Error(), "look at them") {
		t.Errorf("error %v", err)
	}
	if have := content(t, dir, fileName); have != "{" {
		t.Errorf("it has %q", have)
	}
}
