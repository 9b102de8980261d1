package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A process is a vipd and what it says.
type process struct {
	t      *testing.T
	ctx    context.Context
	cmd    *exec.Cmd
	stdout bytes.Buffer  // whole once it has exited
	exited chan struct{} // closed then

	mu    sync.Mutex // guards lines and grown: the reader of the log writes, a story reads
	lines []logLine
	grown chan struct{} // closed and renewed with each line
}

// A logLine is a line of standard error; fields is nil where it is no JSON.
type logLine struct {
	text   string
	fields map[string]any
}

// vipdEnv is the caller's environment without what could change vipd's meaning.
func vipdEnv(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "VIPD_") && !strings.HasPrefix(e, "BGP_") && !strings.HasPrefix(e, "NOTIFY_") &&
			!strings.HasPrefix(e, "WATCHDOG_") {
			env = append(env, e)
		}
	}
	// The race detector sleeps a second at exit otherwise.
	return append(append(env, beVipd+"=1", "GORACE=atexit_sleep_ms=0"), more...)
}

// start runs vipd in dir. It is killed at the end of the test, at the latest.
func start(ctx context.Context, t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ctx: ctx, cmd: exec.Command(exe, args...), exited: make(chan struct{}), grown: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout = dir, vipdEnv(env...), &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.exited)
		p.read(stderr)
		_ = p.cmd.Wait() // its ProcessState tells
	}()
	t.Cleanup(func() {
		p.kill9()
		for _, bug := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
			if strings.Contains(p.stderr(), bug) {
				t.Errorf("vipd said %q", bug)
			}
		}
		if t.Failed() {
			t.Logf("vipd %s:\n%s", strings.Join(args, " "), p.stderr())
		}
	})
	return p
}

func (p *process) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		l := logLine{text: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &l.fields) // a line that is no JSON has its text
		p.mu.Lock()
		p.lines = append(p.lines, l)
		close(p.grown)
		p.grown = make(chan struct{})
		p.mu.Unlock()
	}
}

// stderr is all that it wrote there so far.
func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// said is how many lines it has logged: a place from which to listen.
func (p *process) said() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// textFrom is what it has logged from a line on.
func (p *process) textFrom(from int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, l := range p.lines[from:] {
		out = append(out, l.text)
	}
	return out
}

// waitLog waits for a line whose message begins so and that has these fields,
// given as key and part of the value, and returns it.
func (p *process) waitLog(msg string, keysAndParts ...string) logLine {
	p.t.Helper()
	return p.waitLogFrom(0, msg, keysAndParts...)
}

// waitLogFrom does so from a line on.
func (p *process) waitLogFrom(from int, msg string, keysAndParts ...string) logLine {
	p.t.Helper()
	for {
		p.mu.Lock()
		lines, grown := p.lines, p.grown
		p.mu.Unlock()
		for ; from < len(lines); from++ {
			if lines[from].says(msg, keysAndParts) {
				return lines[from]
			}
		}
		select {
		case <-grown:
		case <-p.ctx.Done():
			p.t.Fatalf("vipd did not say %q %q", msg, keysAndParts)
		}
	}
}

func (l logLine) says(msg string, keysAndParts []string) bool {
	if have, _ := l.fields["msg"].(string); !strings.HasPrefix(have, msg) {
		return false
	}
	for i := 0; i < len(keysAndParts); i += 2 {
		value, ok := l.fields[keysAndParts[i]]
		if !ok || !strings.Contains(fmt.Sprint(value), keysAndParts[i+1]) {
			return false
		}
	}
	return true
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("vipd: %s: %v", s, err)
	}
}

// exit waits for its end and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-p.ctx.Done():
		p.t.Fatal("vipd did not exit")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// wantExit fails the test unless vipd ends with this code and these words.
func (p *process) wantExit(code int, words ...string) {
	p.t.Helper()
	if have := p.exit(); have != code {
		p.t.Fatalf("exit code %d, want %d", have, code)
	}
	for _, word := range words {
		if !strings.Contains(p.stderr(), word) {
			p.t.Errorf("standard error lacks %q:\n%s", word, p.stderr())
		}
	}
}

// kill9 ends it without any chance to say goodbye.
func (p *process) kill9() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Logf("vipd: %v", err)
	}
	<-p.exited
}
