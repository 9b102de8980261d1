package sock

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// discard is a port to which anything may be sent (RFC 863).
const discard = 9

// An Echo sends to a neighbor what is for this system itself, so that the neighbor
// sends it back. The kernel would keep it, so it leaves by a tap; an ordinary
// socket beside it has the kernel choose the local address and look after the
// neighbor's hardware address.
type Echo struct {
	Interface int // on which the neighbor is

	beside  Sender
	tap     *Receiver
	lookup  *Lookup
	path    Path
	wanted  int // index of Path.Interface
	src     netip.AddrPort
	dst     netip.AddrPort
	to      Hardware
	known   bool       // is to
	problem unix.Errno // of Refresh
	buf     [maxHeader + payloadLen]byte
}

// DialEcho opens an Echo to p.Peer by p.Interface from p.SourcePort to p.Port at
// p.Local. Its packets claim to come from source, or if that is not valid from
// where they go to. The tap and the lookup stay the caller's.
func DialEcho(p Path, source netip.Addr, tap *Receiver, lookup *Lookup) (*Echo, error) {
	beside := p
	beside.Port = discard
	s, err := Dial(beside)
	if err != nil {
		return nil, err
	}
	e := &Echo{beside: s, tap: tap, lookup: lookup, path: p, wanted: s.Interface}
	local, err := s.Local()
	if err == nil {
		e.dst = netip.AddrPortFrom(local.Addr(), p.Port)
		e.src = local
		if source.IsValid() {
			e.src = netip.AddrPortFrom(source, p.SourcePort)
		}
		err = e.route()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	e.Refresh()
	return e, nil
}

// route finds the interface. "… because the Unaffiliated BFD Echo packets would be
// looped back by the first hop" (RFC 9747 §1) there must be none between.
func (e *Echo) route() error {
	out, gateway, errno := e.lookup.Route(e.path.Peer.WithZone(""), e.dst.Addr(), e.wanted)
	switch {
	case errno != 0:
		return fmt.Errorf("route: %w", errno)
	case gateway:
		return errors.New("route: the peer is no neighbor: another system is on the way, and would send echo packets back")
	case out == 0:
		return fmt.Errorf("route: %w", unix.ENODEV)
	}
	e.Interface = out
	return nil
}

// Refresh looks again where the neighbor is, and has the kernel make sure of it.
// It costs a few system calls.
func (e *Echo) Refresh() error {
	before := e.Interface
	err := errors.Join(e.beside.Refresh(), e.route())
	e.problem = 0
	switch {
	case errors.As(err, &e.problem):
		return err
	case err != nil || e.Interface != before:
		e.problem = unix.ENODEV // so that the caller dials again
		return err
	}
	hw, fresh, errno := e.lookup.Neighbor(e.Interface, e.path.Peer.WithZone(""))
	if !fresh {
		e.beside.Send(nil) // what it says is of no interest, but it must find the neighbor
	}
	switch {
	case errno == 0:
		e.to, e.known = hw, true
	case !e.known:
		e.problem = unix.EHOSTUNREACH
		return fmt.Errorf("neighbor %s: %w", e.path.Peer, errno)
	}
	// The kernel forgets neighbors that nobody uses: where it was is good enough
	// until it is found again.
	return nil
}

// Send sends b, and returns 0 when the kernel took it.
func (e *Echo) Send(b []byte) unix.Errno {
	if e.problem != 0 {
		return e.problem
	}
	n := maxHeader + copy(e.buf[maxHeader:], b)
	return e.tap.Put(datagram(e.buf[:n], e.src, e.dst), e.Interface, e.to)
}

// Local is where packets go, with the port that they come from.
func (e *Echo) Local() (netip.AddrPort, error) {
	return netip.AddrPortFrom(e.dst.Addr(), e.src.Port()), nil
}

// Close closes it.
func (e *Echo) Close() { e.beside.Close() }
