package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A target is where a check connects to.
type target struct {
	address string         // as configured
	literal netip.AddrPort // invalid when the host is a name
	pool    *Pool
}

func newTarget(address string, pool *Pool) (target, error) {
	if pool == nil {
		pool = NewPool()
	}
	t := target{address: address, pool: pool}
	host, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || notNumber != nil || number == 0 {
		return t, fmt.Errorf("address %q: not host:port", address)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		t.literal = netip.AddrPortFrom(ip, uint16(number))
	}
	return t, nil
}

// host is the address without its port, and without the zone, which means
// nothing to the other side.
func (t target) host() string {
	if t.literal.IsValid() {
		return t.literal.Addr().WithZone("").String()
	}
	host, _, _ := net.SplitHostPort(t.address) // newTarget saw that it can be split
	return host
}

// A conn is the connection of a probe. Its end resets it, and whoever waits for
// it waits no longer than the probe's context lasts.
type conn interface {
	net.Conn
	syscall.Conn
}

// dial connects. With eager we speak first, or nobody does.
func (t target) dial(ctx context.Context, eager bool) (conn, error) {
	if t.literal.IsValid() && t.literal.Addr().Zone() == "" {
		return connect(ctx, t.literal, eager)
	}
	c, err := t.pool.dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn) // which network "tcp" promises
	return &dialed{tcp, cutOff(ctx, c)}, nil
}

// A dialed is a conn that net.Dialer made.
type dialed struct {
	*net.TCPConn
	stop func() bool
}

// Close ends the connection.
func (d *dialed) Close() error {
	d.stop()
	return d.TCPConn.Close()
}

// cutOff makes every read and write on c fail from the moment that ctx ends, by
// its deadline or otherwise. The function returned calls that off.
func cutOff(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// resetOnClose makes a socket end with a reset instead of a FIN, whoever closes
// it: a dial that was too late does so too. Who closes first by FIN keeps the
// connection for a minute in TIME_WAIT. At 10,000 probes per second that were
// 600,000 of them here, more than the kernel holds by default
// (tcp_max_tw_buckets), and long before that each connect searches long for a
// free port. A reset leaves none on either side, and takes nothing from the
// backend: its answer was read, or is of no interest any more. HAProxy closes
// its checks in the same way unless told to "linger".
func resetOnClose(fd int) error { return linger(fd, &unix.Linger{Onoff: 1}) }

func linger(fd int, l *unix.Linger) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, l)
}

// endByFIN takes back that closing c resets it.
func endByFIN(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return onDescriptor(raw, func(fd int) error { return linger(fd, &unix.Linger{}) })
}

func onDescriptor(raw syscall.RawConn, f func(fd int) error) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}
