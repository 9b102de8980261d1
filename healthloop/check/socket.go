package check

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is the connection of one probe, made with few system calls, since
// they are most of what a probe costs. net.Dialer makes several more, and one of
// them binds a source port, which no other probe can have then, whatever its
// target. What waits is the runtime, as for any file.
type socket struct {
	*os.File // nil until something is to be waited for
	fd       int
	to       unix.Sockaddr
	ctx      context.Context // of the probe
	stop     func() bool
}

// connect opens a connection.
//
// With eager, the acknowledgement that ends the handshake waits for what we say,
// and goes with it. If we say nothing it is never sent, and the reset goes in its
// place: the backend's kernel has accepted, which is what was asked, and its
// program need not wake up for us. HAProxy does so too.
func connect(ctx context.Context, to netip.AddrPort, eager bool) (*socket, error) {
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err = resetOnClose(fd); err == nil && eager {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	}
	if err == nil {
		err = unix.Connect(fd, sa)
	}
	s := &socket{fd: fd, to: sa, ctx: ctx}
	if underWay(err) {
		err = s.outcome() // which is there already if the backend is near
	}
	if underWay(err) {
		err = s.established()
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func sockaddr(to netip.AddrPort) (family int, sa unix.Sockaddr) {
	if a := to.Addr().Unmap(); a.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: a.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// await makes the socket one that the runtime waits for, as long as the probe's
// time lasts. That is not for nothing: a probe that only connects to a backend
// that is near never comes here.
func (s *socket) await() {
	if s.File == nil {
		s.File = os.NewFile(uintptr(s.fd), "socket")
		s.stop = cutOff(s.ctx, s)
	}
}

// outcome is how far connecting has come. To connect again tells how the first
// time went. Writability alone does not: the runtime may wake us for nothing.
func (s *socket) outcome() error {
	err := unix.Connect(s.fd, s.to)
	if err == unix.EISCONN {
		err = nil
	}
	if err == nil && toItself(s.fd, s.to) {
		err = unix.ECONNREFUSED
	}
	return err
}

// established waits for the handshake.
func (s *socket) established() error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var outcome error
	look := func(uintptr) bool {
		outcome = s.outcome()
		return !underWay(outcome)
	}
	err = raw.Write(look)
	if s.timedOut(err) {
		late := func(fd uintptr) {
			if look(fd) && (outcome != nil || s.inTime(int(fd))) {
				err = nil
			}
		}
		if failed := raw.Control(late); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	return outcome
}

// toItself tells whether a socket is connected to itself. That happens when
// nobody listens on a port of this machine and the kernel chooses just that port
// for our side: both ends of the handshake are then ours (RFC 9293 §3.5,
// simultaneous open), and a dead backend would look alive.
func toItself(fd int, to unix.Sockaddr) bool {
	from, err := syscall.Getsockname(fd) // unix's asks for the protocol, too
	if err != nil {
		return false
	}
	switch to := to.(type) {
	case *unix.SockaddrInet4:
		from, ok := from.(*syscall.SockaddrInet4)
		return ok && from.Port == to.Port && from.Addr == to.Addr
	case *unix.SockaddrInet6:
		from, ok := from.(*syscall.SockaddrInet6)
		return ok && from.Port == to.Port && from.Addr == to.Addr
	}
	return false
}

func underWay(err error) bool {
	return err == unix.EINPROGRESS || err == unix.EALREADY || err == unix.EINTR
}

// Read reads. When the time is up it looks once more: what had come by then is an
// answer, and only this process was too late to see it.
func (s *socket) Read(b []byte) (n int, err error) {
	s.await()
	n, err = s.File.Read(b)
	if !s.timedOut(err) || len(b) == 0 {
		return n, err
	}
	raw, failed := s.SyscallConn()
	if failed != nil {
		return n, err
	}
	_ = raw.Control(func(fd uintptr) {
		if s.inTime(int(fd)) {
			n, err = readNow(int(fd), b, err)
		}
	})
	return n, err
}

// Write writes.
func (s *socket) Write(b []byte) (n int, err error) {
	s.await()
	return s.File.Write(b)
}

// SyscallConn gives the descriptor.
func (s *socket) SyscallConn() (syscall.RawConn, error) {
	s.await()
	return s.File.SyscallConn()
}

// readNow reads what is there; if nothing is, it returns the error given.
func readNow(fd int, b []byte, nothing error) (int, error) {
	switch n, err := unix.Read(fd, b); {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nothing
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	default:
		return n, nil
	}
}

// timedOut tells whether err is for the probe's time being up.
func (s *socket) timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && s.ctx.Err() == context.DeadlineExceeded
}

// kernelTick is how fine the kernel's times in TCP_INFO are at worst.
const kernelTick = 10 * time.Millisecond

// inTime tells whether the last that came from the other side came before the
// probe's time was up.
func (s *socket) inTime(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return false
	}
	ago := time.Duration(min(info.Last_data_recv, info.Last_ack_recv)) * time.Millisecond
	end, _ := s.ctx.Deadline() // there is one: it has passed
	return time.Since(end) <= ago+kernelTick
}

// Close ends the connection.
func (s *socket) Close() error {
	if s.File == nil {
		return unix.Close(s.fd)
	}
	s.stop()
	return s.File.Close()
}

// LocalAddr and RemoteAddr make a net.Conn of it, which TLS asks for.
func (*socket) LocalAddr() net.Addr  { return nil }
func (*socket) RemoteAddr() net.Addr { return nil }
