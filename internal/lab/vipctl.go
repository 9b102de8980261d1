package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// vipctl is the program beside vipd.
func vipctl() string { return filepath.Join(filepath.Dir(os.Getenv(binary)), "vipctl") }

// Said is what became of a program that has ended.
type Said struct {
	Asked    string // its arguments
	Code     int    // of its exit; -1 for a signal
	Out, Err string
}

// String tells it as a terminal would show it.
func (s Said) String() string {
	return fmt.Sprintf("$ %s\n%s%s(exit code %d)", s.Asked, s.Out, s.Err, s.Code)
}

// A User is who calls vipctl, by numbers, which need no name.
type User struct{ UID, GID uint32 }

// Ctl runs vipctl to its end, as root.
func (v *Vipd) Ctl(args ...string) Said {
	v.host.lab.Helper()
	return v.CtlAs(User{}, "", args...)
}

// CtlAs runs vipctl to its end as a user who is in no other group than his own,
// with something to read.
func (v *Vipd) CtlAs(u User, input string, args ...string) Said {
	v.host.lab.Helper()
	v.host.needs(vipctl())
	cmd := v.host.command(vipctl(), v.asking(args)...)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID}
	cmd.Stdin = strings.NewReader(input)
	return v.host.say(cmd)
}

// Follow starts a vipctl under a label that goes on by itself, as with -f.
func (v *Vipd) Follow(label string, args ...string) *Process {
	v.host.lab.Helper()
	return v.host.Start(label, vipctl(), v.asking(args)...)
}

// asking puts the server before the verb; where args name another, that counts.
func (v *Vipd) asking(args []string) []string {
	return append([]string{"--server", "unix://" + v.Socket}, args...)
}

// say runs a program to its end, which must come within the limit.
func (h *Host) say(cmd *exec.Cmd) Said {
	h.lab.Helper()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	h.lab.must(h.do(cmd.Start))
	late := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() }) // then its exit code is -1
	defer late.Stop()
	var ended *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
		h.lab.Fatal(err)
	}
	return Said{strings.Join(cmd.Args[1:], " "), cmd.ProcessState.ExitCode(), out.String(), problems.String()}
}
