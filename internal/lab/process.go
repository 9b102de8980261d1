package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A Process is a program that a host runs for long. It ends with the test.
type Process struct {
	host   *Host
	label  string
	name   string
	args   []string
	log    string // file
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
}

// Start runs a program under a label, which tells several on a host apart. What
// it prints is shown if the test fails. Without the program the test is skipped,
// or fails if VIPD_REQUIRE is 1.
func (h *Host) Start(label, name string, args ...string) *Process {
	h.lab.Helper()
	h.needs(name)
	p := &Process{host: h, label: label, name: name, args: args, log: filepath.Join(h.dir, label+".log")}
	h.lab.Cleanup(func() {
		p.Kill()
		if h.lab.Failed() {
			h.lab.Logf("%s, %s:\n%s", h.Name, label, tail(p.Log(), 6000))
		}
	})
	p.Again()
	return p
}

// needs ends a test for which one of these programs is not there.
func (h *Host) needs(programs ...string) {
	h.lab.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(find(name)); err != nil {
			missing(h.lab, "%s: %v (scripts/deps.sh)", h.Name, err)
		}
	}
}

// Again starts the program anew after it has ended.
func (p *Process) Again() {
	p.host.lab.Helper()
	var out *os.File
	p.host.lab.must(p.host.do(func() (err error) {
		out, err = os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		return err
	}))
	defer out.Close()
	cmd := p.host.command(p.name, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	p.host.lab.must(p.host.do(cmd.Start))
	exited := make(chan struct{})
	go func() { // ends with the process
		defer close(exited)
		_ = cmd.Wait() // its ProcessState tells
	}()
	p.cmd, p.exited = cmd, exited
}

// Signal sends a signal to the program alone.
func (p *Process) Signal(s syscall.Signal) {
	p.host.lab.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.host.lab.Errorf("%s: %s: %s: %v", p.host.Name, p.label, s, err)
	}
}

// Kill ends it, and what it started, without any chance to say goodbye.
func (p *Process) Kill() {
	if p.cmd == nil || p.Exited() {
		return
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.host.lab.Errorf("%s: %s: kill: %v", p.host.Name, p.label, err)
	}
	<-p.exited
}

// Freeze stops it in its tracks; its sockets stay open.
func (p *Process) Freeze() { p.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen one go on.
func (p *Process) Thaw() { p.Signal(syscall.SIGCONT) }

// Stop ends it as systemd does, waits, and returns its exit code.
func (p *Process) Stop(limit time.Duration) int {
	p.host.lab.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(limit)
}

// Wait waits for its end and returns its exit code, -1 for a signal.
func (p *Process) Wait(limit time.Duration) int {
	p.host.lab.Helper()
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.host.lab.Fatalf("%s: %s runs on after %s", p.host.Name, p.label, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Exited reports whether it has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Log is what it has printed so far, in all its lives.
func (p *Process) Log() string {
	var text []byte
	if err := p.host.do(func() (err error) {
		text, err = os.ReadFile(p.log)
		return err
	}); err != nil {
		return err.Error()
	}
	return string(text)
}

// Says waits until it prints a text for the nth time.
func (p *Process) Says(limit time.Duration, text string, n int) {
	p.host.lab.Helper()
	p.host.lab.Within(limit, fmt.Sprintf("%s: %s says %q", p.host.Name, p.label, text), func() error {
		if got := bytes.Count([]byte(p.Log()), []byte(text)); got < n {
			return fmt.Errorf("said %d times, not %d", got, n)
		}
		if p.Exited() {
			return errors.New("it has ended")
		}
		return nil
	})
}

func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return "…" + text[len(text)-n:]
}
