// Package sock is what a BFD engine needs of Linux's UDP sockets: reading many
// datagrams at a time with what the kernel knows of each, a socket for each
// session to send from, and waiting. It knows neither BFD nor sessions.
//
// Calls that never block are made without telling Go's scheduler: that would
// cost more than the call itself at ten thousand packets a second. Only Wait,
// which may block for long, tells it.
package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchLen   = 64
	payloadLen = 256 // the Length field of a BFD packet has eight bits; the rest is padding (RFC 9764)
	controlLen = 128 // of the control messages that are asked for
	// A burst of packets waits here while the worker does not run.
	receiveBuffer = 4 << 20
)

// A Datagram is a received one. Payload is good until the next Read.
type Datagram struct {
	Payload     []byte // its beginning, if it is longer than any BFD packet
	Peer, Local netip.Addr
	Interface   int       // index of that on which it came; 0: the kernel did not say
	TTL         int       // or hop limit; -1: the kernel did not say
	Port        uint16    // to which it came
	At          time.Time // when the kernel received it

	// Of a Receiver made by Tap: where it came from, and all of it.
	PeerPort uint16
	From     Hardware
	Packet   []byte // IP header and all; nil if it is none that we understand
	unsealed bool   // its UDP checksum was left to a network card that there is not
}

// A Receiver is a socket that receives on a port.
type Receiver struct {
	fd    int
	port  uint16
	tap   bool   // below IP: see Tap
	lost  uint32 // what the kernel counted as lost for want of room
	since time.Time
}

// Listen opens a Receiver. Errors wrap the errno.
func Listen(addr netip.Addr, port uint16) (*Receiver, error) {
	fd, err := unix.Socket(family(addr), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := errors.Join(ask(fd, addr), wrap("bind", unix.Bind(fd, sockaddr(addr, port, 0)))); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Receiver{fd: fd, port: port, since: time.Now()}, nil
}

// ask asks the kernel for what it knows of each datagram.
func ask(fd int, addr netip.Addr) error {
	// The limit of unprivileged users is low: take what can be had.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	options := []struct{ level, name int }{
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL},
		{unix.IPPROTO_IP, unix.IP_PKTINFO}, {unix.IPPROTO_IP, unix.IP_RECVTTL},
	}
	if !addr.Is4() {
		options = append(options[:2], []struct{ level, name int }{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT},
		}...)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return fmt.Errorf("setsockopt %d/%d: %w", o.level, o.name, err)
		}
	}
	return nil
}

// Close closes the socket.
func (r *Receiver) Close() { unix.Close(r.fd) }

// A Batch is room for what one Read gives. It must not be copied: the kernel is
// given addresses within it.
type Batch struct {
	datagrams [batchLen]Datagram
	messages  [batchLen]mmsghdr
	vectors   [batchLen]unix.Iovec
	names     [batchLen]unix.RawSockaddrInet6
	payloads  [batchLen][payloadLen]byte
	controls  [batchLen][controlLen / 8]uint64 // aligned as the kernel's headers are
}

// mmsghdr is the kernel's: Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// NewBatch makes an empty Batch.
func NewBatch() *Batch {
	b := new(Batch)
	for i := range b.messages {
		b.vectors[i].Base = &b.payloads[i][0]
		b.vectors[i].SetLen(payloadLen)
		hdr := &b.messages[i].hdr
		hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		hdr.Iov = &b.vectors[i]
		hdr.SetIovlen(1)
		hdr.Control = (*byte)(unsafe.Pointer(&b.controls[i]))
	}
	return b
}

// Read reads what has come, without waiting. more is true when it may not be
// all. lost counts datagrams that the kernel had no room for since the last Read.
// now is the time at which it is called: no datagram is said to be newer, nor
// older than the last Read that left nothing behind.
func (r *Receiver) Read(b *Batch, now time.Time) (got []Datagram, lost int, more bool, err error) {
	for i := range b.messages {
		b.messages[i].hdr.Namelen = unix.SizeofSockaddrInet6
		b.messages[i].hdr.SetControllen(controlLen)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&b.messages)),
		batchLen, unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
	case unix.EAGAIN:
		r.since = now
		return nil, 0, false, nil
	case unix.EINTR:
		return nil, 0, true, nil
	default:
		return nil, 0, false, os.NewSyscallError("recvmmsg", errno)
	}
	before, wall := r.lost, now.UnixNano()
	for i := range int(n) {
		d := &b.datagrams[i]
		*d = Datagram{Port: r.port, TTL: -1, At: now}
		d.Payload = b.payloads[i][:min(b.messages[i].n, payloadLen)]
		if r.tap {
			d.unpack(d.Payload, (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&b.names[i])))
		} else {
			d.Peer = address(&b.names[i])
		}
		r.control(d, b.control(i), now, wall)
	}
	if more = n == batchLen; !more {
		r.since = now
	}
	return b.datagrams[:n], int(r.lost - before), more, nil
}

// control is what the kernel wrote beside datagram i.
func (b *Batch) control(i int) []byte {
	room := unsafe.Slice((*byte)(unsafe.Pointer(&b.controls[i])), controlLen)
	return room[:min(b.messages[i].hdr.Controllen, controlLen)]
}

func (r *Receiver) control(d *Datagram, c []byte, now time.Time, wall int64) {
	for len(c) >= unix.SizeofCmsghdr {
		hdr := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
		end := int(hdr.Len)
		if end < unix.CmsgLen(0) || end > len(c) {
			return
		}
		data := c[unix.CmsgLen(0):end]
		switch key := [2]int32{hdr.Level, hdr.Type}; {
		case key == [2]int32{unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS} && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			d.At = r.at(now, wall-(*unix.Timespec)(unsafe.Pointer(&data[0])).Nano())
		case key == [2]int32{unix.SOL_PACKET, unix.PACKET_AUXDATA} && len(data) >= 4:
			d.unsealed = *(*uint32)(unsafe.Pointer(&data[0]))&unix.TP_STATUS_CSUMNOTREADY != 0
		case key == [2]int32{unix.SOL_SOCKET, unix.SO_RXQ_OVFL} && len(data) >= 4:
			r.lost = *(*uint32)(unsafe.Pointer(&data[0]))
		case key == [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO} && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			d.Interface, d.Local = int(info.Ifindex), netip.AddrFrom4(info.Addr)
		case key == [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO} && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			d.Interface, d.Local = int(info.Ifindex), netip.AddrFrom16(info.Addr)
		case (key == [2]int32{unix.IPPROTO_IP, unix.IP_TTL} || key == [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT}) && len(data) >= 4:
			d.TTL = int(*(*int32)(unsafe.Pointer(&data[0])))
		}
		c = c[min(unix.CmsgSpace(end-unix.CmsgLen(0)), len(c)):]
	}
}

// at is the time at which the kernel stamped a datagram, age nanoseconds ago by
// the wall clock. That may have been set meanwhile, so it is believed only as far
// as is possible: the datagram was not there at the last Read.
func (r *Receiver) at(now time.Time, age int64) time.Time {
	return now.Add(-min(max(time.Duration(age), 0), now.Sub(r.since)))
}

// InterfaceName is the name of the interface with an index.
func (r *Receiver) InterfaceName(index int) (string, error) {
	request, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	request.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFNAME, request); err != nil {
		return "", fmt.Errorf("interface %d: %w", index, err)
	}
	return request.Name(), nil
}
