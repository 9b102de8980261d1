package check

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

func TestOnlyWatchedProbersAreWatchers(t *testing.T) {
	for _, kind := range []string{"tcp", "http", "https"} {
		for _, watch := range []bool{false, true} {
			p := newProber(t, kind, Spec{Address: "10.1.0.11:80", Watch: watch})
			if _, ok := p.(healthloop.Watcher); ok != watch {
				t.Errorf("%s, watch %v: is a Watcher: %v", kind, watch, ok)
			}
		}
	}
}

// watching starts Watch on a backend and hands over the backend's side.
func watching(t *testing.T, ctx context.Context) (net.Conn, <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newProber(t, "http", Spec{Address: l.Addr().String(), Watch: true}).(*watched)
	connected := make(chan struct{})
	open := w.open
	w.open = func(ctx context.Context) (net.Conn, error) {
		defer close(connected)
		return open(ctx)
	}
	done := make(chan error, 1)
	go func() { done <- w.Watch(ctx) }() // ends with the connection or with ctx
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	<-connected // on our side too: a reset before would be a failed connect
	return c, done
}

func TestWatchEndsWithTheConnection(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"FIN":   func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"a word, then the end": func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			_ = c.Close()
		},
	} {
		c, done := watching(t, t.Context())
		end(c.(*net.TCPConn))
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, done := watching(t, ctx)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchCannotConnect(t *testing.T) {
	address := refusing(t)
	w := newProber(t, "tcp", Spec{Address: address, Watch: true}).(healthloop.Watcher)
	err := w.Watch(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "watch "+address+": connect: connection refused" {
		t.Errorf("got %v", err)
	}
}

// piped is a watched backend made of pipes: each connection that is opened goes
// to serve, with the time since the first.
func piped(serve func(net.Conn)) (*watched, *[]time.Duration) {
	var opened []time.Duration
	start := time.Now()
	return &watched{address: "b:80", open: func(context.Context) (net.Conn, error) {
		opened = append(opened, time.Since(start))
		ours, theirs := net.Pipe()
		go serve(theirs) // ends with the connection
		return ours, nil
	}}, &opened
}

// The loop probes after each Watch, and watches after each good probe: a
// backend that ends every connection at once must not make that a busy loop.
func TestWatchSlowsDownWhereItIsPointless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, opened := piped(func(c net.Conn) { _ = c.Close() })
		for range 10 {
			if err := w.Watch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}
		for i, at := range *opened {
			if at != want[i]*time.Second {
				t.Errorf("connection %d opened after %s, want %s", i, at, want[i]*time.Second)
			}
		}
	})
}

func TestWatchReopensAtOnceAfterALongLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := 100 * time.Millisecond
		w, opened := piped(func(c net.Conn) {
			time.Sleep(life)
			_ = c.Close()
		})
		_ = w.Watch(t.Context())
		life = time.Minute
		_ = w.Watch(t.Context())
		_ = w.Watch(t.Context())
		want := []time.Duration{0, 1100 * time.Millisecond, 61100 * time.Millisecond}
		for i, at := range *opened {
			if at != want[i] {
				t.Errorf("connection %d opened after %s, want %s", i, at, want[i])
			}
		}
	})
}

func TestWatchEndsAtOnceWhileItPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := piped(func(c net.Conn) { _ = c.Close() })
		w.pause = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := w.Watch(ctx); err != nil || time.Since(start) != time.Second {
			t.Errorf("ended after %s with %v", time.Since(start), err)
		}
	})
}

func TestWatchToleratesAGreetingButNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := piped(func(c net.Conn) {
			_, _ = io.WriteString(c, "220 mx.example ESMTP\r\n")
			time.Sleep(time.Minute)
			_ = c.Close()
		})
		start := time.Now()
		if err := w.Watch(t.Context()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("ended after %s with %v", time.Since(start), err)
		}
		w, _ = piped(func(c net.Conn) {
			defer c.Close()
			_, _ = io.Copy(c, strings.NewReader(strings.Repeat("x", 2*watchTolerates)))
		})
		if err := w.Watch(t.Context()); err == nil ||
			err.Error() != "watch b:80: the backend sent more than 65536 bytes unasked" {
			t.Errorf("got %v", err)
		}
	})
}
