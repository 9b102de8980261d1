package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sockPath is the longest path of a socket: sun_path of unix(7) less its zero.
const sockPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// A socket is a unix socket in the file system.
type socket struct {
	*net.UnixListener
	path string
	file fs.FileInfo // as it was made
	lock *os.File
}

// openUnix makes the socket at path, of which nobody but vipd's own user sees
// anything before group and mode are as they are to be.
func openUnix(path, group string) (_ net.Listener, err error) {
	switch {
	case !filepath.IsAbs(path):
		return nil, errors.New("is no absolute path (write unix:///run/vipd/vipd.sock)")
	case len(path) > sockPath:
		return nil, fmt.Errorf("the path has %d bytes, and a socket's at most %d: choose a shorter one", len(path), sockPath)
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	s := &socket{path: path}
	if s.lock, err = lock(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err := vacate(path); err != nil {
		return nil, err
	}
	if s.UnixListener, err = bind(path); err != nil {
		return nil, err
	}
	if s.file, err = os.Lstat(path); err != nil {
		return nil, err
	}
	if gid >= 0 {
		if err := os.Lchown(path, -1, gid); err != nil {
			return nil, fmt.Errorf("api.group: %w: vipd's user must be root or in group %s", err, group)
		}
	}
	return s, os.Chmod(path, 0o660)
}

// bind makes a socket for vipd's own user alone. Linux gives its file the mode
// that the socket has when it is bound: so there is no moment at which umask
// opens it to others.
func bind(path string) (*net.UnixListener, error) {
	narrow := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); failed != nil {
			return failed
		}
		return err
	}}
	ln, err := narrow.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	s := ln.(*net.UnixListener)
	s.SetUnlinkOnClose(false) // it may be another's by then
	return s, nil
}

// groupID returns -1 for none.
func groupID(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if id, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(id), nil
	}
	g, err := osuser.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("api.group: there is no group %q: make it (groupadd --system %s), or write another", group, group)
	}
	return strconv.Atoi(g.Gid)
}

// lock keeps two vipd that start at once from taking each other's socket for
// one that nobody serves. The kernel drops it with the process, however it ends.
func lock(path string) (*os.File, error) {
	// Like systemd's RuntimeDirectory, for who starts vipd by hand: /run is empty
	// after each boot. What is there already, or can't be made, shows below.
	_ = os.Mkdir(filepath.Dir(path), 0o755)
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		return nil, fmt.Errorf("there is no directory %s: make it (systemd: RuntimeDirectory=%s), or choose another path in api.listen, or none: []", dir, filepath.Base(dir))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: let vipd's user write in %s, or choose another path", err, filepath.Dir(path))
	case err != nil:
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, served(path)
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f, nil
}

func served(path string) error {
	return fmt.Errorf("another vipd serves %s: stop it, or give this one a path of its own", path)
}

// vacate removes a socket that nobody serves, and nothing else.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is no socket: vipd removes nothing that it can't have made; move it away or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return served(path)
	case errors.Is(err, syscall.EAGAIN): // somebody listens, and is busy
		return served(path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("who serves %s can't be told: %w", path, err)
}

// Close removes the file first: as long as the socket is open, no other file
// can have its inode.
func (s *socket) Close() error {
	var err error
	if s.UnixListener != nil {
		if now, gone := os.Lstat(s.path); gone == nil && os.SameFile(now, s.file) {
			err = os.Remove(s.path)
		}
		err = errors.Join(err, s.UnixListener.Close())
	}
	return errors.Join(err, s.lock.Close())
}
