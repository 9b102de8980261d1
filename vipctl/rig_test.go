package vipctl

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
)

// A rig is a fake that is served on a socket.
type rig struct {
	testing.TB
	fake   *fake
	socket string
	server *grpc.Server
	done   chan struct{}
}

// socketPath is short: a socket's path has 107 bytes at most.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vipctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "vipd.sock")
}

func newRig(t testing.TB, f *fake) *rig {
	t.Helper()
	r := &rig{TB: t, fake: f, socket: socketPath(t)}
	r.start()
	t.Cleanup(r.stop)
	return r
}

// start serves the fake, as a vipd that was started.
func (r *rig) start() {
	r.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "unix", r.socket)
	if err != nil {
		r.Fatal(err)
	}
	server, done := r.fake.server(), make(chan struct{})
	r.server, r.done = server, done
	go func() { // ends with stop
		defer close(done)
		_ = server.Serve(ln) // its error is that of stop
	}()
}

// stop ends it at once, as a kill does.
func (r *rig) stop() {
	if r.server == nil {
		return
	}
	r.server.Stop()
	<-r.done
	r.server = nil
}

// An outcome is what a call of vipctl left.
type outcome struct {
	stdout, stderr string
	code           int
}

func (r *rig) env(more ...string) []string {
	return append([]string{"LANG=C.UTF-8", "VIPCTL_SERVER=unix://" + r.socket}, more...)
}

// vipctl calls it with no terminal and nothing on standard input.
func (r *rig) vipctl(args ...string) outcome {
	r.Helper()
	return call(r.Context(), Process{Args: args, Env: r.env()})
}

// call runs vipctl at noon.
func call(ctx context.Context, p Process) outcome {
	var stdout, stderr bytes.Buffer
	p.Version = "v1.4.0"
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	p.Stdout, p.Stderr = &stdout, &stderr
	code := run(ctx, p, noon)
	return outcome{stdout.String(), stderr.String(), code}
}
