package check

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/healthloop"
)

// When its time is up, a probe looks once more, and what it finds is judged by
// when it came: it may be this process that was late.
func TestWhatCameInTimeIsAnAnswer(t *testing.T) {
	const limit = 300 * time.Millisecond
	for name, c := range map[string]struct {
		after time.Duration // the answer
		want  error
	}{
		"before the end": {0, nil},
		"after the end":  {limit + 200*time.Millisecond, os.ErrDeadlineExceeded},
		"never":          {time.Hour, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			s, end := late(t, limit, func(ctx context.Context, conn net.Conn) {
				defer close(answered)
				select {
				case <-ctx.Done():
				case <-time.After(c.after):
					_, _ = io.WriteString(conn, "here")
				}
			})
			if c.after < time.Minute {
				<-answered
				<-time.After(time.Until(end.Add(100 * time.Millisecond)))
			}
			b := make([]byte, 10)
			n, err := s.Read(b)
			if !errors.Is(err, c.want) || err == nil && string(b[:n]) != "here" {
				t.Errorf("read %q, %v, want %v", b[:n], err, c.want)
			}
		})
	}
}

// late is a connection whose time is up, with when that was.
func late(t *testing.T, limit time.Duration, serve func(context.Context, net.Conn)) (*socket, time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	s, err := connect(ctx, netip.MustParseAddrPort(backend(t, serve)), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	<-ctx.Done()
	s.await()
	if err := s.SetDeadline(time.Unix(1, 0)); err != nil { // as cutOff does about now
		t.Fatal(err)
	}
	end, _ := ctx.Deadline()
	return s, end
}

func TestAHandshakeInTimeIsConnected(t *testing.T) {
	s, _ := late(t, 300*time.Millisecond, func(ctx context.Context, c net.Conn) { <-ctx.Done() })
	<-time.After(100 * time.Millisecond)
	if err := s.established(); err != nil {
		t.Errorf("in time: %v", err)
	}
	early, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	s.ctx = early
	if err := s.established(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an hour too late: %v", err)
	}
}

// The kernel would choose the port by chance, so it is given.
func TestAConnectionToItselfIsNoBackend(t *testing.T) {
	for _, at := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		family, sa := sockaddr(netip.AddrPortFrom(at, 0))
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		s := &socket{fd: fd, ctx: ctx}
		defer s.Close()
		if err := unix.Bind(fd, sa); err != nil {
			t.Skipf("SKIPPED: no %s here: %v", at, err)
		}
		if s.to, err = unix.Getsockname(fd); err != nil {
			t.Fatal(err)
		}
		if err := s.established(); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v, want refused", at, err)
		}
	}
}

func TestLiteralsOfEachFamilyConnect(t *testing.T) {
	_, port, _ := net.SplitHostPort(backend(t, func(context.Context, net.Conn) {}))
	for _, address := range []string{"127.0.0.1:" + port, "[::ffff:127.0.0.1]:" + port} {
		if err := probe(t, "tcp", Spec{Address: address}, patience); err != nil {
			t.Error(err)
		}
	}
}

func TestAFullQueueIsATimeout(t *testing.T) {
	_, address := full(t)
	err := probe(t, "tcp", Spec{Address: address}, 200*time.Millisecond)
	wantFailure(t, err, address, healthloop.ReasonTimeout, "connect ADDR: no answer within 200ms")
}

// The kernel sends a SYN again after a second.
func TestAHandshakeMayTakeAWhile(t *testing.T) {
	t.Parallel()
	fd, address := full(t)
	asked := time.Now()
	room := time.AfterFunc(200*time.Millisecond, func() {
		if c, _, err := unix.Accept(fd); err == nil {
			_ = unix.Close(c)
		}
	})
	defer room.Stop()
	if err := probe(t, "tcp", Spec{Address: address}, patience); err != nil {
		t.Error(err)
	}
	if took := time.Since(asked); took < 200*time.Millisecond {
		t.Errorf("connected after %s, which is before there was room", took)
	}
}

// full is a listener whose queue is full, which lets a SYN go unanswered.
func full(t *testing.T) (fd int, address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	at := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(fd, at), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(bound.(*unix.SockaddrInet4).Port)).String()
	c, err := net.Dial("tcp", address) // which is all that it holds
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return fd, address
}

func TestProbesLeaveNoDescriptors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepts := l.Addr().String() // by its kernel
	defer l.Close()
	_, silent := full(t)
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := open()
	for range 20 {
		if err := probe(t, "tcp", Spec{Address: accepts}, patience); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"tcp", "http"} {
			if err := probe(t, kind, Spec{Address: silent}, 5*time.Millisecond); err == nil {
				t.Fatalf("%s: good, with a queue that is full", kind)
			}
		}
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}
