package sock

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hardware is an address below IP.
type Hardware struct {
	addr [8]byte // as long as any that has neighbors to resolve, InfiniBand aside
	len  uint8
}

// Tap opens a Receiver that gets UDP datagrams to a port before IP sees them, and
// which sends what IP would not. A packet to and from one's own address is one
// that the kernel takes for a lie when it comes in, and keeps when it goes out.
// It needs CAP_NET_RAW, and errors wrap EPERM without it.
//
// The kernel asks its filter about every packet of a family on every interface,
// whatever it is: 0.3 µs for each was measured on loopback.
func Tap(v4 bool, port uint16) (*Receiver, error) {
	// Until it is bound it gets nothing: protocol 0.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(tapOptions(fd, v4, port), wrap("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: etherType(v4)})))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Receiver{fd: fd, port: port, tap: true, since: time.Now()}, nil
}

func tapOptions(fd int, v4 bool, port uint16) error {
	filter := tapFilter(v4, port)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	for _, o := range [...]struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, priority}, {unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt %d/%d: %w", o.level, o.name, err)
		}
	}
	return nil
}

// etherType is that of a family, as sockaddr_ll has it: in network order.
func etherType(v4 bool) uint16 {
	if v4 {
		return uint16(bigEndian(unix.ETH_P_IP << 16))
	}
	return uint16(bigEndian(unix.ETH_P_IPV6 << 16))
}

// tapFilter lets UDP to a port pass that is for this host and in one piece. The
// protocol comes first: it turns away most of what a host receives.
func tapFilter(v4 bool, port uint16) []unix.SockFilter {
	const (
		loadByte   = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		loadHalf   = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		loadWord   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		headerToX  = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
		loadHalfX  = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
		equal      = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit     = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		give       = unix.BPF_RET | unix.BPF_K
		packetType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE of linux/filter.h
	)
	if v4 {
		return []unix.SockFilter{
			{Code: loadByte, K: 9}, {Code: equal, K: unix.IPPROTO_UDP, Jf: 8},
			{Code: loadHalf, K: 6}, {Code: anyBit, K: 0xffff &^ noFragment, Jt: 6},
			{Code: headerToX, K: 0}, {Code: loadHalfX, K: 2}, {Code: equal, K: uint32(port), Jf: 3},
			{Code: loadWord, K: packetType}, {Code: equal, K: unix.PACKET_HOST, Jf: 1},
			{Code: give, K: 1 << 16}, {Code: give, K: 0},
		}
	}
	return []unix.SockFilter{
		{Code: loadByte, K: 6}, {Code: equal, K: unix.IPPROTO_UDP, Jf: 5},
		{Code: loadHalf, K: len6 + 2}, {Code: equal, K: uint32(port), Jf: 3},
		{Code: loadWord, K: packetType}, {Code: equal, K: unix.PACKET_HOST, Jf: 1},
		{Code: give, K: 1 << 16}, {Code: give, K: 0},
	}
}

// Put sends an IP packet to a neighbor, as it is.
func (r *Receiver) Put(packet []byte, ifindex int, to Hardware) unix.Errno {
	name := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: etherType(packet[0]>>4 == 4),
		Ifindex: int32(ifindex), Halen: to.len, Addr: to.addr,
	}
	var errno unix.Errno
	for range 2 { // a signal is no reason, and two in a row are one
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(r.fd), uintptr(unsafe.Pointer(unsafe.SliceData(packet))),
			uintptr(len(packet)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&name)), unix.SizeofSockaddrLinklayer)
		if errno != unix.EINTR {
			break
		}
	}
	return errno
}

// Back sends a datagram to where it came from.
func (r *Receiver) Back(d *Datagram) unix.Errno {
	if d.unsealed {
		seal(d.Packet, d.Packet[len(d.Packet)-len(d.Payload)-lenUDP:])
	}
	return r.Put(d.Packet, d.Interface, d.From)
}
