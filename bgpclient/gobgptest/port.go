package gobgptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// The ports that FreePort chooses from. The kernel takes those of outgoing
// connections from 32768 up (ip_local_port_range), and such a connection would
// keep a server from listening there again.
const firstPort, lastPort = 10000, 32767

// FreePort returns a TCP port of a loopback address that nobody listened on a
// moment ago, and that no outgoing connection is given.
func FreePort(a netip.Addr) (uint16, error) {
	var err error
	for range 100 {
		port := uint16(firstPort + rand.IntN(lastPort-firstPort+1))
		var l *net.TCPListener
		if l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("free port of %s: %w", a, err)
}
