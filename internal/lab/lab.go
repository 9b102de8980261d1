// Package lab is a network in a box: hosts joined by links, on them real
// routers, web servers, clients and vipd, and the faults that befall them. It
// knows the programs as they are installed, and nothing of vipd's inside.
//
// A Host is a namespace without a name: one thread of this process stays in it,
// and the kernel takes it away, with its links, addresses, routes and mounts,
// when that thread and the processes started by it are gone. So nothing is left
// behind, not even by a test that was killed (but files in the temporary folder),
// and nothing is there to collide with another run.
//
// Methods fail the test themselves, so a scenario reads as the story it tells.
// They belong to the test's goroutine.
package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Lab holds the hosts of one test.
type Lab struct {
	testing.TB
	dir string // of files, a folder for each host
}

// New begins an empty network. Where hosts can't be made it skips the test, or
// fails it if VIPD_REQUIRE is 1.
func New(t testing.TB) *Lab {
	t.Helper()
	if os.Getenv("VIPD_LAB") != "1" {
		t.Skip("SKIPPED, NOT TESTED: the lab is opened by make lab (VIPD_LAB=1)")
	}
	if err := possible(); err != nil {
		missing(t, "no network in a box: %v", err)
	}
	// Not t.TempDir: a unix socket's path is short.
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { // daemons of FRR are another user
		t.Fatal(err)
	}
	return &Lab{TB: t, dir: dir}
}

// missing ends a test that lacks something of this machine.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("VIPD_REQUIRE") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf("SKIPPED, NOT TESTED: "+format, args...)
}

// possible tries what every host needs, on a thread that is thrown away.
func possible() error {
	tried := make(chan error)
	go func() { // ends by itself, and its thread with it
		runtime.LockOSThread()
		tried <- unix.Unshare(hostNamespaces)
	}()
	if err := <-tried; err != nil {
		return fmt.Errorf("namespaces: %w (needs root)", err)
	}
	return nil
}

// Within fails the test unless the condition is met in time: nil is met, an
// error says what is seen instead. It asks every few milliseconds.
func (l *Lab) Within(limit time.Duration, what string, met func() error) {
	l.Helper()
	if err := poll(limit, met); err != nil {
		l.Fatalf("not within %s: %s: %v", limit, what, err)
	}
}

// For fails the test if the condition is not met at any time of a span.
func (l *Lab) For(span time.Duration, what string, met func() error) {
	l.Helper()
	var broken error
	if poll(span, func() error {
		broken = met()
		if broken != nil {
			return nil // no need to ask again
		}
		return errors.New("goes on")
	}) == nil {
		l.Fatalf("not for %s: %s: %v", span, what, broken)
	}
}

func poll(limit time.Duration, met func() error) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	end := time.After(limit)
	for {
		err := met()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-end:
			return err
		}
	}
}

func (l *Lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}
