package control

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	osuser "os/user"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/peer"
)

// A kind is what a caller was identified by.
type kind uint8

const (
	user        kind = iota + 1 // the kernel's word on a unix socket
	certificate                 // a client certificate
	loopback                    // nothing but that it is on this node
)

// A caller is who is at the other end of a connection. Only the connection
// tells: metadata is the client's to write.
type caller struct {
	kind  kind
	actor Actor
	key   string // limits count by it: the actor without what a new connection changes
	conn  *conn

	uid  uint32
	gids []uint32

	names []string
	chain []*x509.Certificate // as sent, its own first
	// verified is with which authorities chain was found good last.
	verified atomic.Pointer[x509.CertPool]
}

// AuthType makes a caller what gRPC keeps of a handshake.
func (*caller) AuthType() string { return "vipd" }

// callerOf returns who calls. All listeners identify, so that there is one.
func callerOf(ctx context.Context) (*caller, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	c, ok := p.AuthInfo.(*caller)
	return c, ok
}

// byUser asks the kernel who connected.
func byUser(c *net.UnixConn, names *names) (*caller, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var groups []uint32
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed == nil {
			groups, failed = peerGroups(int(fd))
		}
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, fmt.Errorf("peer credentials: %w", failed)
	}
	return &caller{
		kind: user, actor: names.actor(cred.Uid, time.Now()), key: fmt.Sprint("uid ", cred.Uid),
		uid: cred.Uid, gids: append(groups, cred.Gid),
	}, nil
}

// peerGroups returns the supplementary groups of who connected. Linux has them
// since 4.13 (SO_PEERGROUPS); x/sys/unix has no wrapper that takes an array.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno != unix.ERANGE || int(size/4) <= len(groups): // else size is what it takes
			return nil, fmt.Errorf("groups: %w", errno)
		}
		groups = make([]uint32, size/4)
	}
}

// nameLife is how long a user's name is remembered.
const nameLife = time.Minute

// names remembers the names of users, which may come from a slow directory. The
// mutex guards the map: handshakes run in goroutines of gRPC's.
type names struct {
	mu sync.Mutex
	of map[uint32]named
}

type named struct {
	actor Actor
	until time.Time
}

func (n *names) actor(uid uint32, now time.Time) Actor {
	n.mu.Lock()
	known, ok := n.of[uid]
	n.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.actor
	}
	id := strconv.FormatUint(uint64(uid), 10)
	actor := Actor("uid " + id)
	if u, err := osuser.LookupId(id); err == nil {
		actor = Actor("uid " + id + " (" + u.Username + ")")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil || len(n.of) >= paced {
		n.of = map[uint32]named{}
	}
	n.of[uid] = named{actor, now.Add(nameLife)}
	return actor
}

// byAddress is all that can be said of plaintext on loopback.
func byAddress(c net.Conn) *caller {
	address := c.RemoteAddr().String()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return &caller{kind: loopback, actor: Actor("tcp " + address), key: "tcp " + host}
}
