package flows

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// inside is set in the environment of the tests that run in the namespace.
const inside = "FLOWS_TEST_NAMESPACE"

// The VIPs are addresses of loopback, in a network namespace of the tests' own:
// what else the machine is connected to would be counted, too.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	switch os.Getenv(inside) {
	case "":
		code, err := again()
		if err == nil {
			return code
		}
		fmt.Fprintln(os.Stderr, "flows: tests that need a network namespace are skipped:", err)
	case "bare": // those who fuzz are started by this one, and find it furnished
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "flows:", err)
			return 1
		}
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "flows:", err)
		return 1
	}
	return code
}

// again runs this program in a namespace, and returns its exit code. Root needs
// nothing for that; others need user namespaces.
func again() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), inside+"=bare")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err = c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func furnish() error {
	for _, args := range []string{
		"link set lo up",
		"addr add 192.0.2.10/32 dev lo", "addr add 192.0.2.11/32 dev lo", "addr add 198.51.100.1/32 dev lo",
		"addr add 2001:db8::10/128 dev lo", "addr add 2001:db8::1/128 dev lo",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return os.Setenv(inside, "furnished")
}

// need skips a test without a namespace.
func need(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv(inside) != "":
	case os.Getenv("VIPD_REQUIRE") == "1":
		t.Fatal("no network namespace for this test, and VIPD_REQUIRE is set")
	default:
		t.Skip("SKIPPED: no network namespace for this test: run it as root, or allow user namespaces")
	}
}
