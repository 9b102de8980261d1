package check

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fiberlb/vipd/healthloop"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		os.Exit(serveBenchmarks())
	}
	goleak.VerifyTestMain(m)
}

const patience = 10 * time.Second // for what should take a moment

// backend serves each connection with handle until the test ends. Its ctx ends
// then too: a handler that wants to be silent waits for it.
func backend(t testing.TB, handle func(ctx context.Context, c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { // ends when l is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { // ends when handle does, which ctx and its closed conn see to
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				defer c.Close()
				handle(ctx, c)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// answers reads a request and answers it with text, then ends the connection,
// or keeps it open and silent.
func answers(t testing.TB, text string, hold bool) string {
	return backend(t, func(ctx context.Context, c net.Conn) {
		if !readRequest(c) {
			return
		}
		_, _ = c.Write([]byte(text))
		if hold {
			<-ctx.Done()
		}
	})
}

func readRequest(c net.Conn) bool {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// drip sends text a few bytes at a time, slowly, until the connection ends.
func drip(ctx context.Context, c net.Conn, text string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.Write([]byte(text)); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func newProber(t testing.TB, kind string, spec Spec) healthloop.Prober {
	t.Helper()
	p, err := New(kind, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// probe asks once, with a timeout that it must keep.
func probe(t testing.TB, kind string, spec Spec, timeout time.Duration) error {
	t.Helper()
	return probeWith(t, newProber(t, kind, spec), timeout)
}

func probeWith(t testing.TB, p healthloop.Prober, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	err := p.Probe(ctx)
	if took := time.Since(start); took > timeout+5*time.Second {
		t.Errorf("the probe took %s, its timeout is %s", took, timeout)
	}
	return err
}

// wantFailure checks class and text; ADDR in text stands for address, and both
// reason and text empty for a good answer.
func wantFailure(t testing.TB, err error, address string, reason healthloop.Reason, text string) {
	t.Helper()
	if reason == "" && text == "" {
		if err != nil {
			t.Errorf("failed: %v", err)
		}
		return
	}
	f, ok := errors.AsType[*healthloop.Failure](err)
	if !ok {
		t.Errorf("error %v (%T), want a Failure", err, err)
		return
	}
	if f.Reason != reason {
		t.Errorf("reason %s, want %s", f.Reason, reason)
	}
	// On a busy machine some of the 200 ms are gone before the probe begins.
	got := regexp.MustCompile(`within 1[0-9]0ms`).ReplaceAllString(f.Error(), "within 200ms")
	if got = strings.ReplaceAll(got, address, "ADDR"); got != text {
		t.Errorf("text\n\t%s\nwant\n\t%s", got, text)
	}
}

// refusing is an address that nobody listens on.
func refusing(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
