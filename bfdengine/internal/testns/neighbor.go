package testns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Neighbor is another namespace, joined to this one by a cable. Here its end is
// "near", there "far".
type Neighbor struct {
	t    testing.TB
	work chan func()
}

// NewNeighbor makes one that lives until the test ends. It takes the tool ip.
func NewNeighbor(t testing.TB) *Neighbor {
	t.Helper()
	Need(t)
	n := &Neighbor{t: t, work: make(chan func())}
	entered, left := make(chan error), make(chan struct{})
	path := ""
	go func() { // until the test ends
		defer close(left)
		runtime.LockOSThread() // never unlocked: the namespace ends with the thread
		path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		entered <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.work {
			f()
		}
	}()
	t.Cleanup(func() {
		close(n.work)
		<-left
	})
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	IP(t, "link add near type veth peer name far netns "+path)
	t.Cleanup(func() { IP(t, "link del near") })
	IP(t, "link set near up")
	n.IP("link set far up")
	return n
}

// Do runs f on a thread in the namespace: what it opens is there.
func (n *Neighbor) Do(f func() error) {
	n.t.Helper()
	done := make(chan error)
	n.work <- func() { done <- f() }
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// IP runs the tool ip there.
func (n *Neighbor) IP(args string) {
	n.t.Helper()
	n.Do(func() error { return ip(args) })
}

// Set writes a value below /proc/sys/net there.
func (n *Neighbor) Set(name, value string) {
	n.t.Helper()
	n.Do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// IP runs the tool ip here.
func IP(t testing.TB, args string) {
	t.Helper()
	if err := ip(args); err != nil {
		t.Fatal(err)
	}
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}
