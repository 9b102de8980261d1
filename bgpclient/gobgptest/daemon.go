package gobgptest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Versions are the versions of gobgpd that tests run: Debian's package, and the
// last of each API.
func Versions() []string { return []string{"3.10", "3.37.0", "4.8.0"} }

// TB is the part of testing.TB that is needed here. The demo uses this package
// too, and has no tests.
type TB interface {
	Helper()
	Cleanup(func())
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
}

// A Daemon is a gobgpd process whose API is on a unix socket of its own. It has
// no configuration but what its arguments give it.
type Daemon struct {
	t      TB
	binary string
	args   []string
	dir    string

	mu  sync.Mutex // guards log: the process writes, a failing test reads
	log bytes.Buffer

	process *exec.Cmd
	exited  chan struct{} // closed when process has been waited for
}

// Start runs gobgpd with more arguments until the test ends. Without that
// version it skips the test, or fails it where VIPD_REQUIRE is 1.
func Start(t TB, version string, args ...string) *Daemon {
	t.Helper()
	binary := need(t, version)
	// Not t.TempDir: a unix socket's path is short.
	dir, err := os.MkdirTemp("", "gobgpd")
	if err != nil {
		t.Fatalf("gobgpd: %v", err)
	}
	d := &Daemon{t: t, binary: binary, dir: dir}
	d.args = append([]string{"--api-hosts", d.Target(), "--pprof-disable", "--log-plain"}, args...)
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("gobgpd %s:\n%s", version, d.Log())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("gobgpd: %v", err)
		}
	})
	d.run()
	return d
}

// need is the binary of a version that the test can't do without.
func need(t TB, version string) string {
	t.Helper()
	binary, err := find(version)
	if err != nil {
		if os.Getenv("VIPD_REQUIRE") == "1" {
			t.Fatalf("gobgpd %s: %v", version, err)
		}
		t.Skipf("SKIPPED, NOT TESTED: gobgpd %s: %v", version, err)
	}
	return binary
}

// find looks where the package puts gobgpd, and where scripts/gobgpd.sh does.
func find(version string) (string, error) {
	if version == "3.10" {
		path, err := exec.LookPath("gobgpd")
		if err != nil {
			return "", fmt.Errorf("%w (apt-get install gobgpd)", err)
		}
		out, err := exec.Command(path, "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 3.10.") {
			return "", fmt.Errorf("%s says %q: %w", path, out, errors.Join(errors.New("another version"), err))
		}
		return path, nil
	}
	path := os.Getenv("VIPD_GOBGPD_" + strings.ReplaceAll(version, ".", "_"))
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(cache, "vipd", "gobgpd-"+version)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (scripts/gobgpd.sh %s builds it)", err, version)
	}
	return path, nil
}

// Target is where its API listens, for bgpclient.DialOptions.
func (d *Daemon) Target() string { return "unix://" + d.socket() }

func (d *Daemon) socket() string { return filepath.Join(d.dir, "api.sock") }

// Log is what it has written so far.
func (d *Daemon) Log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// Write takes in a piece of the log.
func (d *Daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

func (d *Daemon) run() {
	d.t.Helper()
	// A gobgpd that finds the socket of a killed one runs on without any API.
	if err := os.Remove(d.socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatalf("gobgpd: %v", err)
	}
	cmd := exec.Command(d.binary, d.args...)
	cmd.Stdout, cmd.Stderr = d, d
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("gobgpd: %v", err)
	}
	exited := make(chan struct{})
	go func() { // ends with the process
		defer close(exited)
		_ = cmd.Wait() // killed, mostly
	}()
	d.process, d.exited = cmd, exited
	d.awaitAPI()
}

// awaitAPI returns when the API takes connections. There is no event to wait
// for, so it asks again and again.
func (d *Daemon) awaitAPI() {
	d.t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.Dial("unix", d.socket())
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-d.exited:
			d.t.Fatalf("gobgpd exited:\n%s", d.Log())
		case <-deadline:
			d.t.Fatalf("gobgpd: no API after 20 s: %v\n%s", err, d.Log())
		}
	}
}

// Kill ends it without any chance to say goodbye.
func (d *Daemon) Kill() { d.signal(syscall.SIGKILL) }

// Stop ends it as systemd does.
func (d *Daemon) Stop() { d.signal(syscall.SIGTERM) }

func (d *Daemon) signal(s syscall.Signal) {
	if d.process == nil {
		return
	}
	if err := d.process.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Logf("gobgpd: %s: %v", s, err)
	}
	<-d.exited
	d.process = nil
}

// Restart kills it, if need be, and runs it anew, empty.
func (d *Daemon) Restart() {
	d.t.Helper()
	d.Kill()
	d.run()
}

// Replace kills it, if need be, and runs another version at the same socket, as
// an upgrade does.
func (d *Daemon) Replace(version string) {
	d.t.Helper()
	d.Kill()
	d.binary = need(d.t, version)
	d.run()
}
