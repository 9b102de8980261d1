package vipctl

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (o outcome) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	rest := o.stderr
	for _, w := range words {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("it does not say %q, but\n%s", w, o.stderr)
			return
		}
		rest = after
	}
}

func reach(server string) Process {
	return Process{Args: []string{"status", "--server", server}, Env: []string{"LANG=C.UTF-8"}}
}

func TestNobodyThere(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		path := socketPath(t)
		for _, server := range []string{"unix://" + path, path} {
			call(t.Context(), reach(server)).want(t, exitUnreachable,
				"no socket "+path, "systemctl start vipd", "vipd run", "--server", "VIPCTL_SERVER")
		}
	})
	t.Run("the socket of a vipd that was killed", func(t *testing.T) {
		path := socketPath(t)
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		ln.Close()
		call(t.Context(), reach("unix://"+path)).want(t, exitUnreachable, "nobody listens at unix://"+path, "systemctl start vipd")
	})
	t.Run("no port", func(t *testing.T) {
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		ln.Close()
		p := reach(address)
		p.Args = append(p.Args, "--insecure-loopback")
		call(t.Context(), p).want(t, exitUnreachable, "nobody listens at "+address, "systemctl start vipd")
	})
	t.Run("somebody who never answers", func(t *testing.T) {
		path := socketPath(t)
		ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() // nobody accepts
		p := reach("unix://" + path)
		p.Args = append(p.Args, "--timeout", "50ms")
		call(t.Context(), p).want(t, exitUnreachable, "did not answer within 50ms (--timeout)")
	})
	t.Run("somebody who hangs up", func(t *testing.T) {
		r := newRig(t, small())
		stall := make(chan struct{})
		r.fake.stall["GetStatus"] = stall
		l := r.live("status")
		<-r.fake.stalled
		r.stop()
		if code := l.wait(); code != exitUnreachable {
			t.Errorf("exit code %d", code)
		}
		l.stderr.wait(t, "hung up before it answered: it has stopped or was restarted")
	})
}

// Who may not open the socket is told whom it is for.
func TestSocketOfOthers(t *testing.T) {
	r := newRig(t, small())
	if err := os.Chmod(r.socket, 0o660); err != nil {
		t.Fatal(err)
	}
	gid := os.Getgid()
	if os.Getuid() == 0 {
		gid = 65530 // nobody should join root's
		if err := os.Chown(r.socket, 0, gid); err != nil {
			t.Fatal(err)
		}
	}
	group := groupName(uint32(gid))
	want := []string{"permission denied: " + r.socket + " (mode 0660) is for group " + group, "sudo usermod -aG " + group, "use sudo"}
	if os.Getuid() != 0 {
		if err := os.Chmod(r.socket, 0); err != nil {
			t.Fatal(err)
		}
		want[0] = strings.Replace(want[0], "0660", "0000", 1)
		r.vipctl("status").want(t, exitUnreachable, want...)
		return
	}
	// Root may open anything, so this test becomes somebody else: a thread has
	// a file system identity of its own (setfsuid(2)), and ends with its goroutine.
	if err := os.Chmod(filepath.Dir(r.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	refused := make(chan error)
	go func() { // ends at once
		runtime.LockOSThread()
		if _, err := unix.SetfsgidRetGid(65534); err != nil {
			refused <- err
			return
		}
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			refused <- err
			return
		}
		conn, err := net.Dial("unix", r.socket)
		if err == nil {
			conn.Close()
		}
		refused <- err
	}()
	err := <-refused
	if !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("another user gets %v", err)
	}
	text := endpoint{network: "unix", address: r.socket}.unreachable(err, false)
	outcome{stderr: text, code: exitUnreachable}.want(t, exitUnreachable, want...)

	// Where the socket can't even be seen, its folder is told; nobody is to join
	// group root.
	text = endpoint{network: "unix", address: "/etc/no-such.sock"}.unreachable(fs.ErrPermission, false)
	if !strings.Contains(text, "permission denied: /etc (mode 0755) is for group root\n  use sudo, or") {
		t.Error(text)
	}
}

func TestSlowDaemon(t *testing.T) {
	f := small()
	r := newRig(t, f)
	for _, method := range []string{"GetStatus", "Drain", "Watch", "SetOverride", "ListVips"} {
		f.stall[method] = make(chan struct{})
	}
	slow := func(args ...string) outcome { return r.vipctl(append(args, "--timeout", "100ms")...) }
	slow("status").want(t, exitFailed, "no answer within 100ms (--timeout)")
	slow("vips", "-w").want(t, exitFailed, "no answer within 100ms (--timeout)")
	slow("drain").want(t, exitFailed, "no answer within 100ms (--timeout)")
	// It asks whether the word was kept.
	slow("withdraw", "web").want(t, exitFailed, `vipd did not take the word within 100ms (--timeout): web is still "auto"`)
	f.set(func() { f.stall["GetVip"] = make(chan struct{}) })
	start := time.Now()
	slow("withdraw", "web").want(t, exitFailed, "no answer within 100ms (--timeout)")
	if took := time.Since(start); took > looking+10*time.Second {
		t.Errorf("asking what became of it took %v", took)
	}
	// Suggestions and completion are bounded too.
	f.set(func() { f.refuse["Explain"] = status.Error(codes.NotFound, "no vip is called \"x\"") })
	r.vipctl("explain", "x").want(t, exitFailed, `no vip is called "x"`)
	if o := r.vipctl("__complete", "explain", ""); o.code != exitDone || o.stdout != ":4\n" {
		t.Errorf("%+v", o)
	}
}

// A drain takes as long as it takes, but a vipd that says nothing at all is not
// waited for; a --timeout that is given ends the waiting.
func TestSlowDrain(t *testing.T) {
	f := small()
	f.between = make(chan struct{})
	r := newRig(t, f)
	patient := &live{TB: t, stdout: newSink(), stderr: newSink()}
	patient.start(Process{Args: []string{"drain"}, Env: r.env("VIPCTL_TIMEOUT=50ms"), Stdin: strings.NewReader(""),
		Stdout: patient.stdout, Stderr: patient.stderr})
	patient.stderr.wait(t, "withdrawing: 2 routes left")
	r.vipctl("drain", "--timeout", "150ms").want(t, exitFailed, "withdrawing: 2 routes left",
		"the drain goes on, but it was not seen to end: no answer within 150ms (--timeout)")
	close(f.between)
	if code := patient.wait(); code != exitDone {
		t.Errorf("exit code %d: %s", code, patient.stderr)
	}
	f.set(func() { f.stall["Drain"] = make(chan struct{}) })
	call(t.Context(), Process{Args: []string{"drain"}, Env: r.env("VIPCTL_TIMEOUT=50ms")}).want(t, exitFailed, "no answer within 50ms (--timeout)")
}

// On a terminal its progress is one line, which is gone in the end.
func TestProgressOfADrainOnATerminal(t *testing.T) {
	r := newRig(t, small())
	l := &live{TB: t, stdout: newSink(), stderr: newSink()}
	l.start(Process{Args: []string{"drain"}, Env: r.env(), Stdin: strings.NewReader(""), Stdout: l.stdout, Stderr: r.terminal(l.stderr)})
	if code := l.wait(); code != exitDone {
		t.Error(code)
	}
	l.stderr.wait(t, "\rwithdrawing: 2 routes left, 35 connections left\x1b[K", "\rdrained: 0 routes left, 0 connections left\x1b[K", "\r\x1b[K")
	if strings.Contains(l.stderr.String(), "\n") {
		t.Errorf("%q", l.stderr)
	}
}

// What the user interrupts did not succeed.
func TestInterrupted(t *testing.T) {
	r := newRig(t, small())
	r.fake.stall["SetOverride"] = make(chan struct{})
	l := r.live("withdraw", "web")
	<-r.fake.stalled
	l.stop()
	if code := l.wait(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	l.stderr.wait(t, "interrupted before vipd answered")
}

// Each refusal has its exit code, and its text reaches the user.
func TestRefusals(t *testing.T) {
	invalid, err := status.New(codes.InvalidArgument, "vip.prefix: is bad; vip.backends[0].address: is worse").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "vip.prefix", Description: `"x" is no prefix (192.0.2.10/32)`},
			{Field: "vip.backends[0].address", Description: "is missing (host:port)"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"all that is wrong, a line each", invalid.Err(), exitUsage, "vipctl: vipd refused the request:\n" +
			"  vip.prefix: \"x\" is no prefix (192.0.2.10/32)\n  vip.backends[0].address: is missing (host:port)\n"},
		{"wrong, in one sentence", status.Error(codes.InvalidArgument, "vip: is missing"), exitUsage, "vipctl: vipd refused the request: vip: is missing\n"},
		{"the state forbids it", status.Error(codes.FailedPrecondition, "vip web is of the file"), exitFailed, "vipctl: vipd refused: vip web is of the file\n"},
		{"another version", status.Error(codes.Aborted, "its version is 4"), exitFailed, "vipctl: vipd refused: its version is 4\n"},
		{"the disk is full", status.Error(codes.ResourceExhausted, "no space left"), exitFailed, "vipctl: vipd refused: no space left\n"},
		{"by role", status.Error(codes.PermissionDenied, "bob may read only"), exitFailed, "vipctl: vipd refused permission: bob may read only\n"},
		{"unknown caller", status.Error(codes.Unauthenticated, "the certificate has expired"), exitFailed, "vipctl: vipd refused permission: the certificate has expired\n"},
		{"vipd stops", status.Error(codes.Unavailable, "vipd is stopping"), exitFailed, "vipctl: vipd refused: vipd is stopping\n"},
		{"an older vipd", status.Error(codes.Unimplemented, "unknown method Reload"), exitFailed,
			"vipctl: this vipd does not know the request; it is older than this vipctl (see vipctl version): unknown method Reload\n"},
		{"lines stay lines, without what steers a terminal", status.Error(codes.FailedPrecondition, "a.yaml:1:1: x\na.yaml:2:1: \x1by\n"), exitFailed,
			"vipctl: vipd refused: a.yaml:1:1: x\na.yaml:2:1: ?y\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, small())
			r.fake.refuse["Reload"] = tt.err
			if got := r.vipctl("reload"); got.code != tt.code || got.stderr != tt.want || got.stdout != "" {
				t.Errorf("got %d\n%s%swant %d\n%s", got.code, got.stdout, got.stderr, tt.code, tt.want)
			}
		})
	}
}

// Output that can't be written is a failure, not half a success.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: no /dev/full")
	}
	defer full.Close()
	r := newRig(t, small())
	for _, args := range []string{"status", "vips", "vips -o json", "version", "man", "completion bash"} {
		p := Process{Args: strings.Fields(args), Env: r.env(), Stdout: full, Stderr: newSink(), Stdin: strings.NewReader("")}
		if code := run(context.Background(), p, noon); code != exitFailed {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
}

// The program itself: version, exit code and a signal.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: builds a program")
	}
	binary := filepath.Join(t.TempDir(), "vipctl")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v9", "-o", binary, "github.com/fiberlb/vipd/cmd/vipctl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := newRig(t, small())
	program := func(args ...string) *exec.Cmd {
		c := exec.Command(binary, args...)
		c.Env = r.env()
		return c
	}
	out, err := program("version").Output()
	if err != nil || !strings.HasPrefix(string(out), "vipctl v9 ") {
		t.Errorf("%v %s", err, out)
	}
	var exit *exec.ExitError
	if err := program("explain", "nothing").Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Error(err)
	}
	follow := program("events", "-f")
	output := newSink()
	follow.Stdout = output
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	output.wait(t, "bad deploy")
	if err := follow.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
