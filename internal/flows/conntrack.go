package flows

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_tcp.h.
const (
	getConntrack  = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET
	generalSize   = 4                                 // struct nfgenmsg
	tupleOriginal = 1
	tupleIP       = 1
	tupleProtocol = 2
	fourTo        = 2 // CTA_IP_V4_DST
	sixTo         = 4 // CTA_IP_V6_DST
	number        = 1 // CTA_PROTO_NUM
	info          = 4 // CTA_PROTOINFO
	infoTCP       = 1
	infoTCPState  = 1
	stateTimeWait = 7
	stateClose    = 8
)

// conntrack counts the entries of which the first packet went to a VIP, whatever
// became of its address then.
func conntrack(ctx context.Context, vips set) (n int, err error) {
	request := make([]byte, generalSize) // of all families
	err = dump(ctx, unix.NETLINK_NETFILTER, getConntrack, request, func(m []byte) {
		if to, ok := destination(m); ok && vips.has(to) {
			n++
		}
	})
	switch {
	case errors.Is(err, unix.EPERM):
		return 0, fmt.Errorf("needs CAP_NET_ADMIN: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ENOENT):
		return 0, fmt.Errorf("the kernel lacks the module nf_conntrack_netlink: %w", err)
	case err != nil:
		return 0, err
	}
	return n, nil
}

// destination is where an entry's first packet went. A ping is no connection,
// and of a TCP connection in TIME_WAIT or CLOSE only the entry is left.
func destination(m []byte) (to netip.Addr, ok bool) {
	if len(m) < generalSize {
		return to, false
	}
	attributes := m[generalSize:]
	original := attribute(attributes, tupleOriginal)
	if p := attribute(attribute(original, tupleProtocol), number); len(p) != 1 || p[0] == unix.IPPROTO_ICMP || p[0] == unix.IPPROTO_ICMPV6 {
		return to, false
	}
	if s := attribute(attribute(attribute(attributes, info), infoTCP), infoTCPState); len(s) == 1 && (s[0] == stateTimeWait || s[0] == stateClose) {
		return to, false
	}
	addresses := attribute(original, tupleIP)
	if to, ok = netip.AddrFromSlice(attribute(addresses, fourTo)); ok {
		return to, true
	}
	return netip.AddrFromSlice(attribute(addresses, sixTo))
}
