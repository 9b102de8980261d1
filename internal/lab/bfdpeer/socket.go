package bfdpeer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// CS6, as RFC 5881 daemons mark their packets.
const trafficClass = 0xc0

// listen opens the socket that all sessions receive by.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for _, o := range []struct{ level, option, value int }{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTTL, 1},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		// As root: no burst is lost here that the other side has sent.
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16 << 20},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Port: packet.Port}))
}

// dial opens the socket that one session sends by.
func dial(local, remote netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for option, value := range map[int]int{unix.IP_TTL: 255, unix.IP_TOS: trafficClass} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, option, value); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local.Addr().As4(), Port: int(local.Port())}); err != nil {
		return -1, fmt.Errorf("%s: bind: %w", local, err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: remote.Addr().As4(), Port: int(remote.Port())}); err != nil {
		return -1, fmt.Errorf("%s: connect: %w", remote, err)
	}
	return fd, nil
}

// A datagram is what came, to which of our addresses, and when by the kernel's
// clock.
type datagram struct {
	payload []byte // until the next receive
	to      [4]byte
	ttl     int
	at      time.Time
}

const batch, room, control = 64, 128, 128

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// A receiver takes in datagrams by the batch.
type receiver struct {
	fd        int
	headers   [batch]mmsghdr
	vectors   [batch]unix.Iovec
	payloads  [batch][room]byte
	controls  [batch][control]byte
	datagrams [batch]datagram
}

// receive returns what is there, up to a batch, without waiting.
func (r *receiver) receive() []datagram {
	for i := range r.headers {
		r.vectors[i].Base = &r.payloads[i][0]
		r.vectors[i].SetLen(room)
		h := &r.headers[i].hdr
		h.Iov, h.Iovlen = &r.vectors[i], 1
		h.Control = &r.controls[i][0]
		h.SetControllen(control)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.headers)), batch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return nil // nothing there, or interrupted: the caller asks again
	}
	for i := range r.datagrams[:n] {
		h := &r.headers[i]
		r.datagrams[i] = read(r.payloads[i][:h.n], r.controls[i][:h.hdr.Controllen])
	}
	return r.datagrams[:n]
}

// read understands what the kernel says beside a datagram (cmsg(3)).
func read(payload, control []byte) datagram {
	d := datagram{payload: payload}
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		data := control[unix.SizeofCmsghdr:h.Len]
		switch [2]int32{h.Level, h.Type} {
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}:
			d.to = [4]byte(data[8:12]) // in_pktinfo: interface, local address, destination
		case [2]int32{unix.IPPROTO_IP, unix.IP_TTL}:
			d.ttl = int(binary.NativeEndian.Uint32(data))
		case [2]int32{unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS}:
			d.at = time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
		}
		next := (int(h.Len) + 7) &^ 7
		if next > len(control) {
			break
		}
		control = control[next:]
	}
	return d
}

// wait blocks until something may be received, or until a time.
func (r *receiver) wait(until time.Time) {
	left := max(0, time.Until(until))
	timeout := unix.NsecToTimespec(int64(left))
	// Interrupted is as good as late: the caller looks.
	_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, &timeout, nil)
}
