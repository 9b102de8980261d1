package sock

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Lookup asks the kernel's tables, over netlink. The kernel answers before the
// question's system call returns, so nothing here waits. It needs no capability.
type Lookup struct {
	fd  int
	seq uint32
	buf [4096]byte
}

// NewLookup opens a Lookup.
func NewLookup() (*Lookup, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &Lookup{fd: fd}, nil
}

// Close closes it.
func (l *Lookup) Close() { unix.Close(l.fd) }

// usable are the states of a neighbor whose hardware address may be used.
const usable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP

// Neighbor finds a neighbor's hardware address. fresh is false if the kernel is
// not sure of it; ENOENT is its word for one that it doesn't know. (Linux 5.0)
func (l *Lookup) Neighbor(ifindex int, peer netip.Addr) (hw Hardware, fresh bool, errno unix.Errno) {
	head := unix.NdMsg{Family: uint8(family(peer)), Ifindex: int32(ifindex)}
	b := l.begin(unix.RTM_GETNEIGH, unsafe.Slice((*byte)(unsafe.Pointer(&head)), unix.SizeofNdMsg))
	b = attribute(b, unix.NDA_DST, addressBytes(&peer))
	body, errno := l.ask(b)
	if errno != 0 || len(body) < unix.SizeofNdMsg {
		return Hardware{}, false, errno
	}
	state := (*unix.NdMsg)(unsafe.Pointer(&body[0])).State
	if state&usable == 0 {
		return Hardware{}, false, unix.ENOENT
	}
	address := find(body[unix.SizeofNdMsg:], unix.NDA_LLADDR)
	hw.len = uint8(copy(hw.addr[:], address))
	return hw, state&(unix.NUD_REACHABLE|unix.NUD_PERMANENT|unix.NUD_NOARP) != 0, 0
}

// Route finds the interface by which a peer is reached, and whether another system
// is on the way.
func (l *Lookup) Route(peer, local netip.Addr, ifindex int) (out int, gateway bool, errno unix.Errno) {
	head := unix.RtMsg{Family: uint8(family(peer)), Dst_len: uint8(peer.BitLen())}
	b := l.begin(unix.RTM_GETROUTE, unsafe.Slice((*byte)(unsafe.Pointer(&head)), unix.SizeofRtMsg))
	b = attribute(b, unix.RTA_DST, addressBytes(&peer))
	if local.IsValid() {
		b = attribute(b, unix.RTA_SRC, addressBytes(&local))
	}
	if ifindex != 0 {
		b = attribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(ifindex)))
	}
	body, errno := l.ask(b)
	if errno != 0 || len(body) < unix.SizeofRtMsg {
		return 0, false, errno
	}
	attributes := body[unix.SizeofRtMsg:]
	if oif := find(attributes, unix.RTA_OIF); len(oif) == 4 {
		out = int(binary.NativeEndian.Uint32(oif))
	}
	return out, find(attributes, unix.RTA_GATEWAY) != nil || find(attributes, unix.RTA_VIA) != nil, 0
}

// What linux/netconf.h has: x/sys doesn't.
const (
	netconfIfindex    = 1
	netconfForwarding = 2
	netconfAll        = -1 // in place of an interface
)

// Forwards reports whether the kernel forwards what comes in at an interface. For
// IPv6 that is one switch for all of them.
func (l *Lookup) Forwards(ifindex int, v4 bool) bool {
	head := [4]byte{unix.AF_INET6}
	if v4 {
		head[0] = unix.AF_INET
	} else {
		ifindex = netconfAll
	}
	b := l.begin(unix.RTM_GETNETCONF, head[:])
	b = attribute(b, netconfIfindex, binary.NativeEndian.AppendUint32(nil, uint32(ifindex)))
	body, errno := l.ask(b)
	if errno != 0 || len(body) < len(head) {
		return false
	}
	on := find(body[len(head):], netconfForwarding)
	return len(on) == 4 && binary.NativeEndian.Uint32(on) != 0
}

// begin begins a question.
func (l *Lookup) begin(kind uint16, head []byte) []byte {
	l.seq++
	b := append(l.buf[:0], make([]byte, unix.SizeofNlMsghdr)...)
	hdr := (*unix.NlMsghdr)(unsafe.Pointer(&b[0]))
	hdr.Type, hdr.Flags, hdr.Seq = kind, unix.NLM_F_REQUEST, l.seq
	return append(b, head...)
}

func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...) // all of ours end at a multiple of four
}

func addressBytes(a *netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return b[:]
	}
	b := a.As16()
	return b[:]
}

// ask asks, and returns the answer without its header.
func (l *Lookup) ask(b []byte) ([]byte, unix.Errno) {
	(*unix.NlMsghdr)(unsafe.Pointer(&b[0])).Len = uint32(len(b))
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(l.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	for errno == 0 {
		var n uintptr
		n, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(l.fd), uintptr(unsafe.Pointer(&l.buf)), uintptr(len(l.buf)), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 || n < unix.SizeofNlMsghdr {
			break
		}
		hdr := (*unix.NlMsghdr)(unsafe.Pointer(&l.buf))
		body := l.buf[unix.SizeofNlMsghdr:min(n, uintptr(hdr.Len))]
		switch {
		case hdr.Seq != l.seq: // to a question whose answer could not be read
		case hdr.Type != unix.NLMSG_ERROR:
			return body, 0
		case len(body) >= 4:
			return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		}
	}
	return nil, errno
}

// find returns an attribute's value, or nil.
func find(b []byte, kind uint16) []byte {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&^unix.NLA_F_NESTED == kind {
			return b[unix.SizeofRtAttr:n]
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}
