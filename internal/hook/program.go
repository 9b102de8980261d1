package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxOutput is how much of a program's output is kept: the end of it.
	maxOutput = 4 << 10
	// drainOutput is for output of processes that left the program's group.
	drainOutput = 100 * time.Millisecond
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// A program is started for each event, without a shell, in a process group of
// its own. The group ends with the program or at the timeout: nothing that a
// hook started is left.
type program struct {
	args    []string
	timeout time.Duration
}

func (*program) close() {}

func (p *program) deliver(ctx context.Context, m message) (said string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("killed after %s", p.timeout))
	defer cancel()
	var out tail
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Dir, cmd.Env = "/", environment(m)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(m.json), &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = drainOutput
	if err := cmd.Start(); err != nil {
		return "", err
	}
	// A program that stays real-time could keep vipd itself from running.
	scheduling := ordinary(cmd.Process.Pid)
	err = wait(ctx, cmd)
	if err == nil {
		err = scheduling
	}
	return out.String(), err
}

// wait waits for the program, and kills its group when it has ended, or when ctx
// has. Until cmd.Wait the group's number is nobody else's.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	group := cmd.Process.Pid
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = unix.Kill(-group, unix.SIGKILL)
	})
	ended := exited(group)
	if !stop() {
		<-killed
	}
	_ = unix.Kill(-group, unix.SIGKILL)
	err := cmd.Wait()
	switch {
	case ended != nil:
		return ended
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it has done its work; somebody that it left behind has its output
	}
	return err
}

// exited waits until a child has ended, and leaves it to be waited for.
func exited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// environment is all that a program gets of vipd's.
func environment(m message) []string {
	e := m.event
	env := []string{"HOME=/"}
	for name, other := range map[string]string{"PATH": defaultPath, "LANG": "C.UTF-8"} {
		value := os.Getenv(name)
		if value == "" {
			value = other
		}
		env = append(env, name+"="+value)
	}
	for name, value := range map[string]string{
		"KIND": e.GetKind(), "SUBJECT": e.GetSubject(), "FROM": e.GetFrom(), "TO": e.GetTo(), "REASON": e.GetReason(), "BY": e.GetBy(),
		"SEQUENCE": strconv.FormatUint(e.GetSequence(), 10), "NODE": m.node,
	} {
		// No value can have a zero byte: nothing would be started.
		env = append(env, "VIPD_EVENT_"+name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	return env
}

// A tail is the end of what was written to it.
type tail struct{ kept []byte }

func (t *tail) Write(data []byte) (int, error) {
	t.kept = append(t.kept, data[max(0, len(data)-maxOutput):]...)
	if more := len(t.kept) - maxOutput; more > 0 {
		t.kept = append(t.kept[:0], t.kept[more:]...)
	}
	return len(data), nil
}

func (t *tail) String() string { return string(bytes.ToValidUTF8(t.kept, []byte("?"))) }
