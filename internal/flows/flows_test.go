package flows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// A pair is both ends of a connection to a VIP.
type pair struct{ client, server *net.TCPConn }

// connect opens connections from an address that is no VIP's.
func connect(t testing.TB, listen, to, from string, n int) (pairs []pair) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(listen, "192.") || strings.HasPrefix(listen, "198.") {
		network = "tcp4" // or the listener of 0.0.0.0 would be one of ::
	}
	l, err := net.Listen(network, net.JoinHostPort(listen, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for range n {
		client, err := d.Dial("tcp", net.JoinHostPort(to, port))
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
		pairs = append(pairs, pair{client.(*net.TCPConn), server.(*net.TCPConn)})
	}
	return pairs
}

func count(t testing.TB, measure string, of []netip.Prefix) int {
	t.Helper()
	c, err := New(measure)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Count(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantSoon is for what the kernel does when packets come.
func wantSoon(t *testing.T, want int, have func() int) {
	t.Helper()
	for late := time.After(10 * time.Second); have() != want; {
		select {
		case <-late:
			t.Fatalf("counted %d, want %d", have(), want)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestSocketsWhoseLocalAddressIsAVIPs(t *testing.T) {
	need(t)
	connect(t, "192.0.2.10", "192.0.2.10", "127.0.0.1", 3)
	connect(t, "192.0.2.11", "192.0.2.11", "127.0.0.1", 2)
	connect(t, "198.51.100.1", "198.51.100.1", "127.0.0.1", 1)
	connect(t, "2001:db8::10", "2001:db8::10", "::1", 4)
	connect(t, "::", "192.0.2.10", "127.0.0.1", 5) // ::ffff:192.0.2.10
	udp, err := net.Dial("udp", "192.0.2.10:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	for _, tt := range []struct {
		of   []netip.Prefix
		want int
	}{
		{nil, 0},
		{prefixes("192.0.2.10/32"), 8},
		{prefixes("192.0.2.11/32"), 2},
		{prefixes("192.0.2.10/32", "192.0.2.11/32"), 10},
		{prefixes("192.0.2.0/24"), 10},
		{prefixes("192.0.2.77/24"), 10}, // as it is written
		{prefixes("192.0.2.0/24", "192.0.2.10/32", "192.0.2.10/31"), 10},
		{prefixes("198.51.100.0/24", "2001:db8::/64"), 5},
		{prefixes("2001:db8::10/128"), 4},
		{prefixes("::/0"), 8},                                  // both ends of IPv6
		{prefixes("203.0.113.0/24", "2001:db8:1::/48"), 0},     // not here
		{prefixes("::ffff:192.0.2.10/128", "192.0.2.9/32"), 0}, // no VIP is written so
	} {
		if have := count(t, "sockets", tt.of); have != tt.want {
			t.Errorf("%v: %d, want %d", tt.of, have, tt.want)
		}
	}
}

// A drain waits for those who still say something to each other.
func TestSocketsThatAreConnections(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(p pair) error
		want int
	}{
		{"both open", func(pair) error { return nil }, 1},
		{"the client has closed: CLOSE_WAIT", func(p pair) error { return p.client.Close() }, 1},
		{"the server has said all: FIN_WAIT2", func(p pair) error { return p.server.CloseWrite() }, 1},
		{"the server has closed: FIN_WAIT2 of nobody", func(p pair) error { return p.server.Close() }, 0},
		{"the server, then the client: TIME_WAIT", func(p pair) error { return errors.Join(p.server.Close(), p.client.Close()) }, 0},
		{"the client, then the server: nothing", func(p pair) error { return errors.Join(p.client.Close(), p.server.Close()) }, 0},
		{"reset", func(p pair) error { return errors.Join(p.server.SetLinger(0), p.server.Close()) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			need(t)
			p := connect(t, "192.0.2.10", "192.0.2.10", "127.0.0.1", 1)[0] // and a socket that listens
			if n := count(t, "sockets", prefixes("192.0.2.10/32")); n != 1 {
				t.Fatalf("counted %d to begin with", n)
			}
			if err := tt.do(p); err != nil {
				t.Fatal(err)
			}
			wantSoon(t, tt.want, func() int { return count(t, "sockets", prefixes("192.0.2.10/32")) })
		})
	}
}

// As when a VIP's program has no time: the kernel has accepted what it has not.
func TestSocketThatWaitsToBeAcceptedCounts(t *testing.T) {
	need(t)
	l, err := net.Listen("tcp", "192.0.2.10:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.1")}}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantSoon(t, 1, func() int { return count(t, "sockets", prefixes("192.0.2.10/32")) })
}

func TestCountEndsWithItsContext(t *testing.T) {
	for _, measure := range []string{"sockets", "conntrack"} {
		c, err := New(measure)
		if err != nil {
			t.Fatal(err)
		}
		enough := errors.New("it took too long")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		if _, err := c.Count(ctx, prefixes("192.0.2.10/32")); !errors.Is(err, enough) && !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: error %v", measure, err)
		}
	}
}

func TestMeasureThatDoesNotExist(t *testing.T) {
	for _, measure := range []string{"", "none", "Sockets"} {
		if _, err := New(measure); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q (sockets, conntrack)", measure)) {
			t.Errorf("%q: error %v", measure, err)
		}
	}
}

func BenchmarkSockets10000(b *testing.B) {
	need(b)
	const n = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < n+5000 {
		b.Skipf("SKIPPED: %d files may be open, %v", limit.Cur, err)
	}
	for range n / 1000 {
		for _, p := range connect(b, "192.0.2.10", "192.0.2.10", "127.0.0.1", 1000) {
			if err := p.client.Close(); err != nil { // its file is needed for others
				b.Fatal(err)
			}
		}
	}
	many := prefixes("192.0.2.10/32")
	for i := range 10_000 {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32))
	}
	b.ReportAllocs()
	for b.Loop() {
		if have := count(b, "sockets", many); have != n {
			b.Fatalf("counted %d", have)
		}
	}
}
