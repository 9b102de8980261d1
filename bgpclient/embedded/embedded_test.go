package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgpv4"

	"go.uber.org/goleak"
)

// run serves an embedded speaker until the test ends or stop is called.
func run(t *testing.T) (s *Speaker, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	s = New(Options{})
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	<-s.Ready()
	return s, stop
}

func dial(t *testing.T, s *Speaker) bgpclient.Conn {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		c, err := gobgpv4.Dial(ctx, bgpclient.DialOptions{Target: s.Target(), Owner: 1})
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if !errors.Is(err, bgpclient.ErrAbsent) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// Who reaches the API may announce anything: nobody else may.
func TestSocketIsPrivateAndGoes(t *testing.T) {
	s, stop := run(t)
	dial(t, s)
	dir := filepath.Dir(strings.TrimPrefix(s.Target(), "unix://"))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: want mode 0700", info.Mode(), err)
	}
	stop()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Run: %v, want no directory", err)
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, stop := run(t)
	c := dial(t, s)
	start(t, c)
	stop()
	if _, err := c.Global(t.Context()); !errors.Is(err, bgpclient.ErrLost) {
		t.Errorf("after Run: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	// One that ends before it could begin.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(Options{}).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestSocketPathThatIsTooLong(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), strings.Repeat("x", 100)))
	if err := New(Options{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%v, want a hint", err)
	}
}

func start(t *testing.T, c bgpclient.Conn) {
	t.Helper()
	a := netip.MustParseAddr("127.0.0.9")
	if err := c.Start(t.Context(), bgpclient.Global{ASN: 65001, RouterID: a, ListenPort: -1}); err != nil {
		t.Fatal(err)
	}
	if err := c.AddNeighbor(t.Context(), bgpclient.Neighbor{Address: a, ASN: 65000, Port: 1, IPv4: true}); err != nil {
		t.Fatal(err)
	}
}

// GoBGP has a BFD of its own, which would take UDP 3784 from vipd's. It looks
// once a second whether a neighbor wants it: none of ours does.
func TestBFDPortStaysFree(t *testing.T) {
	s, _ := run(t)
	start(t, dial(t, s))
	ticks, end := time.NewTicker(100*time.Millisecond), time.After(2500*time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-end:
			return
		case <-ticks.C:
			if ownsUDP(t, 3784) {
				t.Fatal("UDP 3784 is open")
			}
		}
	}
}

// ownsUDP reports whether this process has a UDP socket on port.
func ownsUDP(t *testing.T, port int) bool {
	own := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil {
			own[link] = true
		}
	}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text()) // sl, local address:port, …, inode at 9
			if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) && own["socket:["+fields[9]+"]"] {
				_ = f.Close()
				return true
			}
		}
		_ = f.Close()
	}
	return false
}
