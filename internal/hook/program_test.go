package hook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// run gives an event to a shell script, which finds a file to write to in $0.
func run(t *testing.T, ctx context.Context, timeout time.Duration, script string) (file, said string, err error) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	p := &program{args: []string{"/bin/sh", "-c", script, file}, timeout: timeout}
	said, err = p.deliver(ctx, sample(t))
	return file, said, err
}

func sample(t *testing.T) message {
	t.Helper()
	e := &vipdv1.Event{Sequence: 17, Kind: "vip", Subject: "web", From: "advertised", To: "withdrawn", Reason: "a\n\"b\" $(c) \x00d", By: "uid 0 (root)"}
	text, err := encode("lb-1", e)
	if err != nil {
		t.Fatal(err)
	}
	return message{e, "lb-1", text}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestProgramGetsTheEvent(t *testing.T) {
	file, said, err := run(t, t.Context(), 10*time.Second, `cat > "$0"; pwd >> "$0"`)
	if err != nil || said != "" {
		t.Fatalf("error %v, said %q", err, said)
	}
	if have := lines(t, file); len(have) != 1 || have[0] != string(sample(t).json)+"/" {
		t.Errorf("it has %q", have)
	}
}

func TestProgramHasThisEnvironmentAndNoOther(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("LANG", "")
	t.Setenv("VIPD_SECRET", "secret")
	file, _, err := run(t, t.Context(), 10*time.Second, `exec env -0 > "$0"`)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, v := range strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		have[name] = value
	}
	for _, shells := range []string{"_", "PWD", "OLDPWD", "SHLVL"} {
		delete(have, shells)
	}
	want := map[string]string{
		"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/",
		"VIPD_EVENT_KIND": "vip", "VIPD_EVENT_SUBJECT": "web", "VIPD_EVENT_FROM": "advertised", "VIPD_EVENT_TO": "withdrawn",
		"VIPD_EVENT_REASON": "a\n\"b\" $(c) d", "VIPD_EVENT_BY": "uid 0 (root)", "VIPD_EVENT_SEQUENCE": "17", "VIPD_EVENT_NODE": "lb-1",
	}
	if !maps.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
}

func TestProgramThatFails(t *testing.T) {
	for _, tt := range []struct{ name, script, err, said string }{
		{"exit status", "echo out; echo err >&2; exit 3", "exit status 3", "out\nerr\n"},
		{"signal", "kill -SEGV $$", "signal: segmentation fault", ""},
		{"much output", "i=0; while [ $i -lt 3000 ]; do echo number $i; i=$((i+1)); done; exit 1", "exit status 1", "number 2999\n"},
		{"output that is no text", `printf '\377x'; exit 1`, "exit status 1", "?x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, said, err := run(t, t.Context(), 10*time.Second, tt.script)
			if fmt.Sprint(err) != tt.err || !strings.HasSuffix(said, tt.said) || len(said) > maxOutput {
				t.Errorf("error %v, said %q", err, said)
			}
			if tt.name == "much output" && len(said) != maxOutput {
				t.Errorf("%d bytes of output", len(said))
			}
		})
	}
	p := &program{args: []string{"/absent"}, timeout: time.Second}
	if _, err := p.deliver(t.Context(), sample(t)); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/absent") {
		t.Errorf("error %v", err)
	}
}

func TestProgramNeedNotReadItsInput(t *testing.T) {
	m := sample(t)
	m.json = make([]byte, 1<<20)
	p := &program{args: []string{"/bin/sh", "-c", "exit 0"}, timeout: 10 * time.Second}
	if said, err := p.deliver(t.Context(), m); err != nil {
		t.Errorf("error %v, said %q", err, said)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.After(10 * time.Second); !is(); {
		select {
		case <-late:
			t.Fatalf("10 s, and not yet: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// gone waits for the end of the process whose number a script wrote.
func gone(t *testing.T, file string) {
	t.Helper()
	pid, err := strconv.Atoi(lines(t, file)[0])
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the process has ended", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ") // its new parent's to bury
	})
}

func TestNothingIsLeftOfAProgram(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		timeout      time.Duration
		err          string
	}{
		{"at the timeout", `trap "" TERM; sleep 1000 & echo $! > "$0"; wait`, 300 * time.Millisecond, "killed after 300ms"},
		{"when it ends", `sleep 1000 & echo $! > "$0"; exit 0`, time.Minute, ""},
		{"when it fails", `sleep 1000 & echo $! > "$0"; exit 3`, time.Minute, "exit status 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, _, err := run(t, t.Context(), tt.timeout, tt.script)
			if have := fmt.Sprint(err); have != tt.err && !(tt.err == "" && err == nil) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			gone(t, file)
		})
	}
}

// Who left the group is left alone, but nobody waits for it.
func TestProgramMayLeaveADaemonBehind(t *testing.T) {
	file, _, err := run(t, t.Context(), time.Minute, `setsid sh -c 'echo $$ > "$1"; exec sleep 1000' - "$0" & while [ ! -s "$0" ]; do :; done`)
	if err != nil {
		t.Error(err)
	}
	pid, err := strconv.Atoi(lines(t, file)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestRunEndsInTheMidstOfAProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	b := newBoard()
	s := play(t, b, Hook{Exec: []string{"/bin/sh", "-c", `sleep 1000 & echo $! > "$0".new; mv "$0".new "$0"; wait`, file}, Timeout: time.Hour})
	note(b, "vip", "web")
	until(t, "the program runs", func() bool { _, err := os.Stat(file); return err == nil })
	s.stop()
	gone(t, file)
	s.wantStat(t, Stat{Hook: "/bin/sh"})
}

func TestProgramOfAHookIsRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	b := newBoard()
	s := play(t, b, Hook{Exec: []string{"/bin/sh", "-c", `echo "$VIPD_EVENT_SUBJECT" >> "$0"; [ "$VIPD_EVENT_SUBJECT" != dns ]`, file}, Timeout: 10 * time.Second})
	for _, subject := range []string{"web", "dns", "api"} {
		note(b, "vip", subject)
	}
	until(t, "three were told", func() bool { return s.Stats()[0].Sent+s.Stats()[0].Failed == 3 })
	s.wantStat(t, Stat{Hook: "/bin/sh", Sent: 2, Failed: 1})
	if have := lines(t, file); !slices.Equal(have, []string{"web", "dns", "api"}) {
		t.Errorf("told of %v", have)
	}
}
