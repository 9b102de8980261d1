package sock

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	trafficClass = 0xc0 // CS6, network control (RFC 4594 §3.1)
	priority     = 6    // the highest for which no capability is needed
	ttl          = 255  // RFC 5881 §5
)

// A Path is where a session's packets go and where they leave.
type Path struct {
	Local      netip.Addr // not valid: the kernel chooses
	Peer       netip.Addr
	Interface  string // empty: the kernel chooses
	SourcePort uint16
	Port       uint16
}

// A Sender is a socket connected to a peer. The zero Sender is a closed one.
type Sender struct {
	file      int // descriptor + 1, so that zero is none
	peer      unix.Sockaddr
	Interface int // index of Path.Interface, 0 when that is empty
}

// Dial opens a Sender. Connecting saves the kernel a route look-up for each
// packet, and tells the local address once and for all. It sends nothing.
func Dial(p Path) (Sender, error) {
	fd, err := unix.Socket(family(p.Peer), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return Sender{}, wrap("socket", err)
	}
	index, err := p.prepare(fd)
	s := Sender{file: fd + 1, Interface: index, peer: sockaddr(p.Peer.WithZone(""), p.Port, index)}
	if err == nil {
		err = s.Refresh()
	}
	if err != nil {
		unix.Close(fd)
		return Sender{}, err
	}
	return s, nil
}

func (p Path) prepare(fd int) (index int, err error) {
	if err := mark(fd, p.Peer.Is4()); err != nil {
		return 0, err
	}
	if p.Interface != "" {
		if index, err = bindInterface(fd, p.Interface, p.Peer.Is4()); err != nil {
			return 0, fmt.Errorf("interface %s: %w", p.Interface, err)
		}
	}
	local := p.Local.WithZone("")
	if !local.IsValid() {
		local = netip.IPv6Unspecified()
		if p.Peer.Is4() {
			local = netip.IPv4Unspecified()
		}
	}
	if err := unix.Bind(fd, sockaddr(local, p.SourcePort, index)); err != nil {
		return 0, fmt.Errorf("bind %s: %w", netip.AddrPortFrom(local, p.SourcePort), err)
	}
	return index, nil
}

// mark sets what every packet carries. Nothing is ever read from this socket, so
// it gets the least room there is.
func mark(fd int, v4 bool) error {
	level, hops, class := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
	if v4 {
		level, hops, class = unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
	}
	for _, o := range [...]struct{ level, name, value int }{
		{level, hops, ttl}, {level, class, trafficClass},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, priority}, // after IP_TOS, which sets it too
		{unix.SOL_SOCKET, unix.SO_RCVBUF, 0},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt %d/%d: %w", o.level, o.name, err)
		}
	}
	return nil
}

// bindInterface makes packets leave by an interface. Since Linux 5.7 that needs no
// capability; before, the route decides, with the interface as a wish.
func bindInterface(fd int, name string, v4 bool) (index int, err error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	index = int(request.Uint32())
	err = unix.BindToDevice(fd, name)
	if err != unix.EPERM {
		return index, err
	}
	level, option := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_IF
	if v4 {
		level, option = unix.IPPROTO_IP, unix.IP_UNICAST_IF
	}
	return index, unix.SetsockoptInt(fd, level, option, bigEndian(index))
}

// bigEndian is i as the kernel wants interface indexes in these two options.
func bigEndian(i int) int {
	b := [4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	return int(*(*int32)(unsafe.Pointer(&b)))
}

// Refresh has the kernel look the route up again. It should see by itself when
// one changes, but a socket that was connected while its local address was being
// set up may stay without a route for good (seen with IPv6 on Linux 6.18).
func (s Sender) Refresh() error {
	if err := unix.Connect(s.file-1, s.peer); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// Open reports whether there is a socket.
func (s Sender) Open() bool { return s.file != 0 }

// Local is the address from which packets go out.
func (s Sender) Local() (netip.AddrPort, error) {
	sa, err := unix.Getsockname(s.file - 1)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, wrap("getsockname", err)
}

// Send sends b, and returns 0 when the kernel took it.
func (s Sender) Send(b []byte) unix.Errno {
	errno := s.send(b)
	// An ICMP error about an earlier packet is told instead of sending this one.
	if errno == unix.ECONNREFUSED || errno == unix.EINTR {
		errno = s.send(b)
	}
	return errno
}

func (s Sender) send(b []byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.file-1), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno
}

// Close closes the socket, if there is one.
func (s *Sender) Close() {
	if s.Open() {
		unix.Close(s.file - 1)
	}
	*s = Sender{}
}
