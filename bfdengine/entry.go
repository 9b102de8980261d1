package bfdengine

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// A link carries packets to one peer.
type link interface {
	Send(b []byte) unix.Errno
	Local() (netip.AddrPort, error)
	Refresh() error
	Close()
}

// An entry is a session with what the engine keeps beside it. The worker owns
// it. It is worth keeping small: there may be thousands.
type entry struct {
	session session.Session
	spec    Spec // normal
	auth    *packet.Auth
	history *history // nil until the first transition

	link        link  // nil: could not be opened, problem says why
	problem     error // of opening, or unix.Errno of the last packet that did not leave
	retry       time.Time
	backoff     time.Duration
	ifindex     int // of spec.Interface, 0 if that is empty, -1 while there is none such
	slot        int // in table.slots and in the wheel
	discr       uint32
	port        uint16
	same        *entry // the next with the same peer
	leaveBy     time.Time
	grace       time.Time // see worker.advance; zero: none was given since the last packet
	life        life
	sent        uint64
	dropped     uint64
	unproven    uint64 // of dropped: for their authentication
	unsent      uint64
	broken      bool  // in worker.broken
	closed      bool  // removed from the table
	unsolicited bool  // made because the peer asked (RFC 9468)
	echo        *echo // nil: it has nothing to do with echo
}

// life is what is to become of a session.
type life uint8

const (
	stays   life = iota
	leaving      // says AdminDown until it has stopped or leaveBy has come
	gone         // to be removed once what it had to say has left
)

func (e *entry) path() sock.Path {
	p := sock.Path{
		Local: e.spec.Local, Peer: e.spec.Peer, Interface: e.spec.Interface,
		SourcePort: e.port, Port: packet.Port,
	}
	switch {
	case e.spec.Multihop:
		p.Port = packet.PortMultihop
	case e.spec.Echo:
		p.Port = packet.PortEcho
	}
	return p
}

// accepts says whether a packet that came as d may be e's.
func (e *entry) accepts(d *sock.Datagram) packet.Reason {
	switch {
	case d.Peer != e.spec.Peer.WithZone(""),
		e.spec.Local.IsValid() && d.Local != e.spec.Local:
		return packet.WrongAddress
	case e.ifindex != 0 && d.Interface != e.ifindex:
		return packet.WrongInterface
	}
	return packet.None
}

// exact is how much of its path e prescribes: of two sessions that accept a
// first packet, the one that knows better has it.
func (e *entry) exact() int {
	n := 0
	if e.spec.Local.IsValid() {
		n++
	}
	if e.ifindex != 0 {
		n++
	}
	return n
}
