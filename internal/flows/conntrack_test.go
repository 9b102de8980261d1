package flows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// track has the kernel track connections of the namespace, and send those to
// port 80 of one VIP elsewhere, as a load balancer does. It skips where that
// can't be: the tests' kernel may be without it.
func track(t *testing.T, to netip.AddrPort) {
	t.Helper()
	need(t)
	rules := fmt.Sprintf(`
table ip flows {
	chain out {
		type nat hook output priority -100
		ip daddr 192.0.2.11 tcp dport 80 dnat to %s
	}
}
table inet flows {
	chain in {
		type filter hook input priority 0
		ct state established accept
	}
}
`, to)
	t.Cleanup(func() {
		_ = nft("delete table ip flows")
		_ = nft("delete table inet flows")
	})
	if err := nft(rules); err != nil {
		_, tool := exec.LookPath("nft")
		if _, kernel := os.Stat("/proc/sys/net/netfilter/nf_conntrack_count"); tool == nil && kernel == nil && os.Getenv("VIPD_REQUIRE") == "1" {
			t.Fatal("no connection tracking, and VIPD_REQUIRE is set: ", err)
		}
		t.Skip("SKIPPED: connection tracking needs nft and a kernel with nf_conntrack: ", err)
	}
}

func nft(rules string) error {
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// tracked counts the entries, without those that an earlier test left.
func tracked(t *testing.T, of ...string) func() int {
	t.Helper()
	before := count(t, "conntrack", prefixes(of...))
	return func() int { return count(t, "conntrack", prefixes(of...)) - before }
}

func TestConntrackCountsByTheFirstDestination(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	backend := netip.MustParseAddrPort(l.Addr().String())
	track(t, backend)
	vip, other, local := tracked(t, "192.0.2.11/32"), tracked(t, "192.0.2.10/32"), tracked(t, backend.Addr().String()+"/32")
	d := net.Dialer{Timeout: 10 * time.Second}
	var clients []net.Conn
	for range 3 {
		c, err := d.Dial("tcp", "192.0.2.11:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	wantSoon(t, 3, vip)
	if other() != 0 || local() != 0 || count(t, "sockets", prefixes("192.0.2.10/32")) != 0 {
		t.Errorf("another VIP has %d, its backend %d", other(), local())
	}
	// Closed by both ends, it is a TIME_WAIT for two minutes.
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(clients[0].Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
	wantSoon(t, 2, vip)
}

func TestConntrackCountsBothFamiliesAndDatagrams(t *testing.T) {
	track(t, netip.MustParseAddrPort("127.0.0.1:9"))
	four, six := tracked(t, "192.0.2.10/32"), tracked(t, "2001:db8::10/128")
	connect(t, "192.0.2.10", "192.0.2.10", "127.0.0.1", 2)
	connect(t, "2001:db8::10", "2001:db8::10", "::1", 3)
	wantSoon(t, 2, four)
	wantSoon(t, 3, six)
	l, err := net.ListenPacket("udp", "192.0.2.10:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("udp", l.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	wantSoon(t, 3, four)
}

// withoutNetAdmin runs f on a thread that may do less.
func withoutNetAdmin(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends without it
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		err := unix.Capget(&head, &sets[0])
		if err == nil {
			sets[unix.CAP_NET_ADMIN/32].Effective &^= 1 << (unix.CAP_NET_ADMIN % 32)
			err = unix.Capset(&head, &sets[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestConntrackNamesTheCapabilityThatItNeeds(t *testing.T) {
	c, err := New("conntrack")
	if err != nil {
		t.Fatal(err)
	}
	withoutNetAdmin(t, func() {
		_, err = c.Count(context.Background(), prefixes("192.0.2.10/32"))
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("SKIPPED: this kernel has no netfilter")
	}
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "count connections by conntrack: needs CAP_NET_ADMIN") {
		t.Errorf("error %v", err)
	}
}

// Everybody may see sockets.
func TestSocketsNeedNoCapability(t *testing.T) {
	need(t)
	connect(t, "192.0.2.10", "192.0.2.10", "127.0.0.1", 1)
	c, err := New("sockets")
	if err != nil {
		t.Fatal(err)
	}
	withoutNetAdmin(t, func() {
		if n, err := c.Count(context.Background(), prefixes("192.0.2.10/32")); err != nil || n != 1 {
			t.Errorf("counted %d, %v", n, err)
		}
	})
}
