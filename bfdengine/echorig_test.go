package bfdengine

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// An echoRig is a rig with taps that are none.
type echoRig struct {
	*rig
	open   []string // taps, with what became of them
	away   [][]byte // our echo packets, as they left
	back   []sock.Datagram
	routed bool       // the kernel forwards
	refuse error      // of opening a tap
	errno  unix.Errno // of sending back
}

type echoLink struct {
	*fakeLink
	r *echoRig
}

func (l *echoLink) Send(b []byte) unix.Errno {
	l.r.away = append(l.r.away, slices.Clone(b))
	return l.fakeLink.Send(b)
}

func newEchoRig(t *testing.T) *echoRig {
	r := &echoRig{rig: newRig(t, Options{})}
	r.openTap = func(v4 bool) error {
		r.open = append(r.open, map[bool]string{true: "open 4", false: "open 6"}[v4])
		return r.refuse
	}
	r.closeTap = func(v4 bool) { r.open = append(r.open, map[bool]string{true: "close 4", false: "close 6"}[v4]) }
	r.dialEcho = func(p sock.Path, source netip.Addr) (link, int, error) {
		l := &fakeLink{r: r.rig, path: p}
		l.path.Local = netip.MustParseAddr("192.0.2.1")
		r.links = append(r.links, l)
		return &echoLink{l, r}, 2, nil
	}
	r.sendBack = func(d *sock.Datagram) unix.Errno {
		if r.errno == 0 {
			r.back = append(r.back, *d)
		}
		return r.errno
	}
	r.forwards = func(int, bool) bool { return r.routed }
	return r
}

func echoSpec(peer string) Spec {
	s := hundred(peer)
	s.Echo = true
	return s
}

// returned is a packet of ours as the neighbor sends it back.
func (r *echoRig) returned(e *entry, b []byte) sock.Datagram {
	return sock.Datagram{
		Peer: netip.MustParseAddr("192.0.2.1"), Local: netip.MustParseAddr("192.0.2.1"), Interface: 2,
		TTL: 254, Port: packet.PortEcho, PeerPort: e.port, At: r.clock, Payload: b, Packet: b,
	}
}

// reflect has all that left come back until d has passed.
func (r *echoRig) reflect(e *entry, d time.Duration) {
	r.t.Helper()
	for end := r.clock.Add(d); r.clock.Before(end); {
		r.pass(10 * time.Millisecond)
		for _, b := range r.away {
			r.step(r.clock, []sock.Datagram{r.returned(e, b)})
		}
		r.away = nil
	}
}

func (r *echoRig) upEcho(peer string) *entry {
	r.t.Helper()
	e := r.want(echoSpec(peer))
	r.reflect(e, 4*time.Second)
	r.wantState(e, packet.Up)
	r.changes()
	r.take()
	return e
}
