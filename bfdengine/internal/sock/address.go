package sock

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// sockaddr leaves out a zone that is a name: scope is its index.
func sockaddr(a netip.Addr, port uint16, scope int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	if !a.IsLinkLocalUnicast() {
		scope = 0
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port), ZoneId: uint32(scope)}
}

// address reads what the kernel wrote as either kind of address, without the
// scope: a zone in a netip.Addr would be an allocation, and the interface is
// known from elsewhere.
func address(raw *unix.RawSockaddrInet6) netip.Addr {
	switch raw.Family {
	case unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr)
	case unix.AF_INET6:
		return netip.AddrFrom16(raw.Addr)
	}
	return netip.Addr{}
}

func wrap(call string, err error) error { return os.NewSyscallError(call, err) }
