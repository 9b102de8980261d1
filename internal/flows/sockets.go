package flows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of linux/inet_diag.h and linux/sock_diag.h.
const (
	sockDiagByFamily = 20
	requestSize      = 56 // struct inet_diag_req_v2
	messageSize      = 72 // struct inet_diag_msg
	sourceAt         = 8  // id.idiag_src in it
	timerTimeWait    = 3  // idiag_timer: a TIME_WAIT, whatever its state says
)

// open is the states that are connections, by their numbers in linux/tcp.h:
// ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK,
// CLOSING. The others are TIME_WAIT (6), CLOSE (7) and LISTEN (10).
const open = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11

// sockets counts those of which the local address is a VIP's. A socket of IPv6
// may have an IPv4 address, mapped.
func sockets(ctx context.Context, vips set) (n int, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, requestSize)
		request[0], request[1] = family, unix.IPPROTO_TCP
		binary.NativeEndian.PutUint32(request[4:], open)
		err := dump(ctx, unix.NETLINK_INET_DIAG, sockDiagByFamily, request, func(m []byte) {
			if local, ok := localAddress(m); ok && vips.has(local) {
				n++
			}
		})
		switch {
		case errors.Is(err, unix.ENOENT):
			return 0, fmt.Errorf("the kernel lacks the module tcp_diag: %w", err)
		case err != nil:
			return 0, err
		}
	}
	return n, nil
}

// localAddress is that of a socket. A FIN_WAIT2 that no program holds any more
// is kept like a TIME_WAIT, and is none of those that are counted.
func localAddress(m []byte) (a netip.Addr, ok bool) {
	if len(m) < messageSize || m[2] == timerTimeWait {
		return a, false
	}
	switch m[0] {
	case unix.AF_INET:
		return netip.AddrFromSlice(m[sourceAt : sourceAt+4])
	case unix.AF_INET6:
		return netip.AddrFromSlice(m[sourceAt : sourceAt+16])
	}
	return a, false
}
