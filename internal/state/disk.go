package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxAside is how many files are kept that nobody could read. More are a fault
// that somebody must look at.
const maxAside = 100

// ErrUnsure is that the disk can't tell what the next start will find.
var ErrUnsure = errors.New("it is in its place, but the next start may find the old one")

// A disk is what Save and SetAside do to files. The tests have one that loses
// its power, and one that fails.
type disk interface {
	// lock opens a directory that no other process has locked, until it is
	// closed; waiting for that is waiting for one Save.
	lock(dir string) (handle, error)
	create(name string) (handle, error) // one that was not there
	rename(from, to string) error
	remove(name string) error
}

// A handle is an open file or directory.
type handle interface {
	io.WriteCloser
	Sync() error // makes its content, or its names, outlive a power failure
}

// replace writes beside the file and renames, so that at any instant there is
// the old file or the new one. A name is the directory's content: it is synced
// too, or a power failure could bring the old file back.
func replace(d disk, dir string, data []byte) error {
	names, err := d.lock(dir)
	if err != nil {
		return err
	}
	defer names.Close()
	temp := filepath.Join(dir, tempName)
	if err := d.remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a crash, and perhaps somebody else's
	}
	err = write(d, temp, data)
	if err == nil {
		err = d.rename(temp, filepath.Join(dir, fileName))
	}
	if err != nil {
		_ = d.remove(temp) // it takes space; if it stays, the next Save removes it
		return err
	}
	if err := names.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return nil
}

func write(d disk, name string, data []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// moveAside syncs, for a Save that follows must not come to the disk before it.
func moveAside(d disk, dir string) (string, error) {
	names, err := d.lock(dir)
	if err != nil {
		return "", err
	}
	defer names.Close()
	bad, err := freeName(filepath.Join(dir, fileName) + ".bad")
	if err != nil {
		return "", err
	}
	if err := d.rename(filepath.Join(dir, fileName), bad); err != nil {
		return "", err
	}
	return bad, names.Sync()
}

// freeName returns name, or name.2, name.3 …: the first that no file has.
func freeName(name string) (string, error) {
	free := name
	for i := 2; i <= maxAside+1; i++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s.%d", name, i)
	}
	return "", fmt.Errorf("%s and %d more were set aside before (look at them, and remove what is not needed)", name, maxAside-1)
}

// An osDisk is the real one.
type osDisk struct{}

func (osDisk) lock(dir string) (handle, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	// `vipd flush` may save while a daemon does: their temporary file is one.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// create gives the file to the directory's owner: root may save by `vipd flush`
// what a daemon without privileges reads next.
func (osDisk) create(name string) (handle, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil || os.Geteuid() != 0 {
		return f, err
	}
	info, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return f, nil
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(owner.Uid), int(owner.Gid)) // a file system without owners has no need of it
	}
	return f, nil
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(name string) error     { return os.Remove(name) }
