package vipctl

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// A sink is what vipctl writes to while a test looks.
type sink struct {
	mu   sync.Mutex // guards the rest: vipctl writes, the test reads
	text bytes.Buffer
	more chan struct{} // closed when there is more
}

func newSink() *sink { return &sink{more: make(chan struct{})} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// forget forgets what came so far.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Reset()
}

// wait waits until all words were written, in this order.
func (s *sink) wait(t testing.TB, words ...string) {
	t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		text, more := s.text.String(), s.more
		s.mu.Unlock()
		missing := ""
		for _, w := range words {
			_, rest, ok := strings.Cut(text, w)
			if !ok {
				missing = w
				break
			}
			text = rest
		}
		if missing == "" {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%q does not come; there is\n%s", missing, s)
		}
	}
}

// A live is a vipctl that runs.
type live struct {
	testing.TB
	stdout, stderr *sink
	stop           func()
	done           chan int
}

// live starts a vipctl whose output is no terminal.
func (r *rig) live(args ...string) *live {
	r.Helper()
	l := &live{TB: r.TB, stdout: newSink(), stderr: newSink()}
	l.start(Process{Args: args, Env: r.env(), Stdin: strings.NewReader(""), Stdout: l.stdout, Stderr: l.stderr})
	return l
}

func (l *live) start(p Process) {
	ctx, cancel := context.WithCancel(l.Context())
	l.stop, l.done = cancel, make(chan int, 1)
	go func() { l.done <- run(ctx, p, noon) }() // ends with ctx, or by itself
	l.Cleanup(func() { cancel(); l.wait() })
}

// wait returns the exit code.
func (l *live) wait() int {
	code := <-l.done
	l.done <- code
	return code
}

// interrupt is ^C, which is how one leaves what goes on for ever.
func (l *live) interrupt() {
	l.Helper()
	l.stop()
	if code := l.wait(); code != exitDone {
		l.Errorf("interrupted, it ends with %d: %s", code, l.stderr)
	}
}

// onTerminal starts a vipctl on a terminal of 80 by 24.
func (r *rig) onTerminal(env []string, args ...string) *live {
	r.Helper()
	l := &live{TB: r.TB, stdout: newSink(), stderr: newSink()}
	l.start(Process{Args: args, Env: r.env(env...), Stdin: strings.NewReader(""), Stdout: r.terminal(l.stdout), Stderr: l.stderr})
	return l
}

// terminal returns one of 80 by 24, what is written to which a sink gets.
func (r *rig) terminal(to *sink) *os.File {
	r.Helper()
	master, slave := pty(r.TB, 80, 24)
	copied := make(chan struct{})
	go func() { // ends when the last who has the terminal open closes it
		defer close(copied)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			if n > 0 {
				_, _ = to.Write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	r.Cleanup(func() { _ = slave.Close(); <-copied; _ = master.Close() })
	return slave
}

// pty opens a terminal.
func pty(t testing.TB, columns, rows uint16) (master, slave *os.File) {
	t.Helper()
	give := func(what string, err error) {
		t.Helper()
		if os.Getenv("VIPD_REQUIRE") == "1" {
			t.Fatalf("no terminal: %s: %v", what, err)
		}
		t.Skipf("SKIPPED, no terminal here: %s: %v", what, err)
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		give("open", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		give("number", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		give("unlock", err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		give("open its other side", err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		give("size", err)
	}
	return master, slave
}

// Colours are for terminals, unless somebody says otherwise.
func TestColoursOnlyOnATerminal(t *testing.T) {
	const escape = "\x1b["
	r := newRig(t, small())
	for _, tt := range []struct {
		name string
		tty  bool
		env  []string
		args []string
		want bool
	}{
		{"a file", false, nil, nil, false},
		{"a file, always", false, nil, []string{"--color", "always"}, true},
		{"a terminal", true, nil, nil, true},
		{"a terminal, never", true, nil, []string{"--color", "never"}, false},
		{"a terminal with NO_COLOR", true, []string{"NO_COLOR=1"}, nil, false},
		{"a terminal with NO_COLOR, always", true, []string{"NO_COLOR=1"}, []string{"--color=always"}, true},
		{"a terminal with an empty NO_COLOR", true, []string{"NO_COLOR="}, nil, true},
		{"a dumb terminal", true, []string{"TERM=dumb"}, nil, false},
		{"a terminal, by variable", true, []string{"VIPCTL_COLOR=never"}, nil, false},
		{"JSON on a terminal", true, nil, []string{"-o", "json"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &rig{TB: t, fake: r.fake, socket: r.socket}
			args := append([]string{"vips"}, tt.args...)
			text := r.vipctl(args...).stdout
			if tt.tty {
				l := r.onTerminal(tt.env, args...)
				l.stdout.wait(t, "192.0.2.10/32", "\n")
				if code := l.wait(); code != exitDone {
					t.Fatal(code, l.stderr)
				}
				text = l.stdout.String()
			}
			if got := strings.Contains(text, escape); got != tt.want {
				t.Errorf("coloured: %v, want %v:\n%q", got, tt.want, text)
			}
		})
	}
}

// A row is a line: on a terminal it is cut, elsewhere it is whole.
func TestRowsAreCutToTheTerminal(t *testing.T) {
	r := newRig(t, small())
	l := r.onTerminal(nil, "vips", "--color", "never")
	l.wait()
	l.stdout.wait(t, "web ")
	for line := range strings.Lines(l.stdout.String()) {
		if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(r.vipctl("vips").stdout, "rpc AddPath: deadline exceeded\n") {
		t.Error("a file's row is cut too")
	}
}
