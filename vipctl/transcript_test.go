package vipctl

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the transcripts and the examples of docs/vipctl.md anew")
	goleak.VerifyTestMain(m)
}

// worlds are what a transcript may begin with, by the name behind its @.
func worlds() map[string]func(r *rig) {
	return map[string]func(r *rig){
		"as ever": func(*rig) {},
		"all is well": func(r *rig) {
			r.fake.vips, r.fake.neighbors, r.fake.sessions = []*vipdv1.Vip{webVIP()}, r.fake.neighbors[1:], r.fake.sessions[1:2]
			r.fake.node.Uplinks = &vipdv1.Uplinks{Alive: 1, Total: 1}
		},
		"nothing is there": func(r *rig) {
			r.fake.vips, r.fake.neighbors, r.fake.sessions, r.fake.events = nil, nil, nil, nil
			r.fake.node.Speaker, r.fake.node.Uplinks = nil, nil
		},
		"vipd is away": func(r *rig) { r.stop() },
		"vipd is draining": func(r *rig) {
			r.fake.node.Drain = &vipdv1.Drain{Phase: "withdrawn", By: "uid 0 (root)", Reason: "kernel update", Since: ago(time.Minute), Until: ago(-time.Hour), Connections: 35, Measured: "sockets"}
			r.fake.node.Problems = []string{"the state can't be saved: no space left on device"}
			r.fake.node.LastReload = &vipdv1.Reload{At: ago(time.Minute), Error: "vipd.yaml:3:1: vips: is missing"}
		},
		"the speaker is away": func(r *rig) {
			s := r.fake.node.Speaker
			s.Connected, s.Problem, s.RoutesInstalled = false, "127.0.0.1:50051: connection refused", 0
			r.fake.unseen = true
		},
		"connections are left": func(r *rig) {
			r.fake.progress[2].Outcome, r.fake.progress[2].Drain.Connections = "connections_left", 3
		},
		"somebody undrains":    func(r *rig) { r.fake.progress[2] = &vipdv1.DrainProgress{Outcome: "ended"} },
		"the drain is cut off": func(r *rig) { r.fake.progress = r.fake.progress[:2] },
		"nothing is allowed": func(r *rig) {
			err := status.Error(codes.PermissionDenied, "uid 1000 (bob) has the read-only role, and SetOverride needs read-write")
			for _, m := range []string{"SetOverride", "Drain", "UpsertVip", "DeleteVip", "ReplaceVips", "Reload"} {
				r.fake.refuse[m] = err
			}
		},
		"an evil backend": func(r *rig) {
			r.fake.vips[1].Backends[0].Error = "\x1b]0;owned\a\u009b31m\nsecond line\u202e"
		},
		"100 VIPs": func(r *rig) { r.fake.vips = many(100) },
	}
}

// A transcript is a file of commands, each with what it prints:
//
//	@ a world, for the commands that follow
//	$ a command
//	what it writes to standard output
//	! what it writes to standard error
//	= its exit code, where it is not 0
//
// Lines that begin with # are for readers.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			compareFile(t, name, string(content), replay(t, string(content)))
		})
	}
}

// compareFile compares what a file says with what it should, or updates it.
func compareFile(t *testing.T, name, have, want string) {
	t.Helper()
	if have == want {
		return
	}
	if updating() {
		if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		if x != y {
			t.Fatalf("%s:%d: it says\n  %s\nand vipctl now\n  %s\n(-update writes it anew)", name, i+1, x, y)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// replay runs the commands of a transcript and returns it with what they print.
func replay(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	r := newRig(t, small())
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
			b.WriteString(line + "\n")
		case strings.HasPrefix(line, "@ "):
			b.WriteString(line + "\n")
			r = newWorld(t, strings.TrimPrefix(line, "@ "))
		case strings.HasPrefix(line, "$ "):
			got := r.command(strings.TrimPrefix(line, "$ "))
			b.WriteString(line + "\n" + got.stdout)
			for l := range strings.Lines(got.stderr) {
				b.WriteString("! " + l)
			}
			if got.code != exitDone {
				fmt.Fprintf(&b, "= %d\n", got.code)
			}
		}
	}
	return b.String()
}

func newWorld(t *testing.T, name string) *rig {
	t.Helper()
	r := newRig(t, small())
	alter, ok := worlds()[name]
	if !ok {
		t.Fatalf("no world is called %q", name)
	}
	alter(r)
	return r
}

// command runs a command line as a shell would.
func (r *rig) command(line string) outcome {
	r.Helper()
	p, done := r.process(line)
	defer done()
	got := call(r.Context(), p)
	return outcome{r.same(got.stdout), r.same(got.stderr), got.code}
}

// same takes out what differs between runs.
func (r *rig) same(text string) string {
	return strings.NewReplacer(r.socket, "/run/vipd/vipd.sock", runtime.Version(), "go1.26").Replace(text)
}

func (r *rig) process(line string) (p Process, done func()) {
	r.Helper()
	p, done = Process{Env: r.env()}, func() {}
	words := shellWords(line)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		p.Env, words = append(p.Env, words[0]), words[1:]
	}
	if len(words) == 0 || words[0] != "vipctl" {
		r.Fatalf("no command of vipctl: %s", line)
	}
	p.Args = words[1:]
	if n := len(words); n > 2 && words[n-2] == "<" {
		f, err := os.Open(words[n-1])
		if err != nil {
			r.Fatal(err)
		}
		p.Args, p.Stdin, done = words[1:n-2], f, func() { _ = f.Close() }
	}
	return p, done
}

// shellWords splits a line at blanks outside of quotes.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, begun := rune(0), false
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == 0 && c == ' ':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// many is a large node's VIPs, every tenth without a healthy backend.
func many(n int) []*vipdv1.Vip {
	var all []*vipdv1.Vip
	for i := range n {
		v := webVIP()
		if i%10 == 0 {
			v = dnsVIP()
		}
		v.Name = fmt.Sprintf("vip-%05d", i)
		v.Prefix = fmt.Sprintf("10.%d.%d.%d/32", 100+i/65536, i/256%256, i%256)
		all = append(all, v)
	}
	return all
}
