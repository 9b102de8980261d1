// Package testns gives a package's tests a network namespace of their own, so
// that they may bind BFD's ports whatever else runs on the machine. Only tests
// import it.
package testns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// inside is set in the environment of the tests that run in the namespace.
const inside = "BFD_TEST_NAMESPACE"

// Main is for TestMain: it runs the tests in a new namespace where loopback is
// up, and gives the exit code. Root needs nothing for that; others need user
// namespaces, and where these are forbidden Need skips.
func Main(m *testing.M) int {
	if os.Getenv(inside) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "testns:", err)
			return 1
		}
		return run(m)
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testns:", err)
		return 1
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), inside+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err = c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testns: tests that bind BFD's ports are skipped:", err)
		return run(m)
	}
	return 0
}

// run runs the tests and then looks for goroutines that they left behind.
func run(m *testing.M) int {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "testns:", err)
		return 1
	}
	return code
}

// Need skips a test that binds BFD's ports where there is no namespace for it.
func Need(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv(inside) != "":
	case os.Getenv("VIPD_REQUIRE") == "1":
		t.Fatal("no network namespace for this test, and VIPD_REQUIRE is set")
	default:
		t.Skip("SKIPPED: no network namespace for this test: run it as root, or allow user namespaces")
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("lo up", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo))
}
