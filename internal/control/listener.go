package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/credentials"
)

// A listener accepts up to a number of connections at once, and knows how to
// tell who they are.
type listener struct {
	net.Listener
	name     string // as in api.listen
	identify func(*conn) (net.Conn, *caller, error)
	limit    int
	log      *zap.Logger
	full     rate.Sometimes
	// mu guards conns and what they are counted for: gRPC accepts and closes them
	// in goroutines of its own.
	mu    sync.Mutex
	conns map[*conn]struct{}
}

// open opens what name says. Its error names the key api.listen and what to do.
func (s *Server) open(name string) (*listener, error) {
	l := s.listener(name)
	var err error
	path, unix := strings.CutPrefix(name, "unix://")
	switch {
	case unix:
		l.Listener, err = openUnix(path, s.opts.Group)
		l.identify = s.identifyUser
	case s.keyring.Load() != nil:
		l.Listener, err = openTCP(name, false)
		l.identify = s.identifyCertificate
	case s.opts.InsecureLoopback:
		l.Listener, err = openTCP(name, true)
		l.identify = func(c *conn) (net.Conn, *caller, error) { return c, byAddress(c), nil }
	default:
		err = errors.New("TCP takes client certificates: set api.tls, or for a loopback address api.insecure_loopback")
	}
	if err != nil {
		return nil, fmt.Errorf("api.listen: %s: %w", name, err)
	}
	return l, nil
}

func (s *Server) listener(name string) *listener {
	return &listener{
		name: name, limit: s.limits.connections, conns: map[*conn]struct{}{},
		log: s.opts.Log, full: rate.Sometimes{Interval: 10 * time.Second},
	}
}

func openTCP(name string, onlyLoopback bool) (net.Listener, error) {
	address, err := net.ResolveTCPAddr("tcp", name)
	if err != nil {
		return nil, fmt.Errorf("%w (write host:port or unix:///path)", err)
	}
	if onlyLoopback && !address.IP.IsLoopback() {
		return nil, errors.New("is no loopback address, and others take client certificates: set api.tls")
	}
	ln, err := net.ListenTCP("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errors.New("another program has this port, perhaps another vipd: stop it, or choose another port")
	}
	if err != nil {
		return nil, err
	}
	return ln, nil
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if made := l.add(c); made != nil {
			return made, nil
		}
		// Closed, so that the client hears of it, rather than kept waiting.
		c.Close()
		l.full.Do(func() {
			l.log.Warn("too many connections, new ones are closed", zap.String("listen", l.name), zap.Int("limit", l.limit))
		})
	}
}

// add returns nil when there are too many.
func (l *listener) add(c net.Conn) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.limit {
		return nil
	}
	made := &conn{Conn: c, listener: l}
	l.conns[made] = struct{}{}
	return made
}

// drop closes all connections.
func (l *listener) drop() {
	l.mu.Lock()
	all := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// A conn counts what waits to be written to it.
type conn struct {
	net.Conn
	listener *listener
	leave    func()       // uncounts it for its caller; nil: not counted
	pending  atomic.Int64 // about how many bytes of answers the client has not taken
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.add(-int64(n))
	return n, err
}

// add lets pending go below zero, as an answer may be written before it is
// counted, but not for ever: what is written besides answers gives no credit.
func (c *conn) add(n int64) int64 {
	for {
		old := c.pending.Load()
		if now := max(-credit, old+n); c.pending.CompareAndSwap(old, now) {
			return now
		}
	}
}

func (c *conn) Close() error {
	l := c.listener
	l.mu.Lock()
	delete(l.conns, c)
	leave := c.leave
	c.leave = nil
	l.mu.Unlock()
	if leave != nil {
		leave()
	}
	return c.Conn.Close()
}

// count has c counted for key in q until it is closed.
func (c *conn) count(q *quota, key string) bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.conns[c]; !open || !q.enter(key) {
		return false
	}
	c.leave = func() { q.leave(key) }
	return true
}

// identity is gRPC's way to ask who connected.
type identity struct{ s *Server }

// ServerHandshake identifies the client. gRPC has set a deadline before.
func (i identity) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := raw.(*conn)
	if !ok {
		return nil, nil, fmt.Errorf("%T is of no listener of vipd", raw)
	}
	secured, who, err := c.listener.identify(c)
	if err == nil && !c.count(i.s.callers, who.key) {
		err = fmt.Errorf("%s has %d connections already", who.actor, i.s.limits.callerConnections)
	}
	if err != nil {
		i.s.strangers.Do(func() {
			i.s.opts.Log.Warn("connection refused", zap.String("listen", c.listener.name),
				zap.Stringer("from", c.RemoteAddr()), zap.Error(err))
		})
		return nil, nil, err
	}
	who.conn = c
	return secured, who, nil
}

// ClientHandshake is for clients, which vipd is none of.
func (identity) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.ErrUnsupported
}

func (identity) Info() credentials.ProtocolInfo            { return credentials.ProtocolInfo{} }
func (i identity) Clone() credentials.TransportCredentials { return i }
func (identity) OverrideServerName(string) error           { return errors.ErrUnsupported }

func (s *Server) identifyUser(c *conn) (net.Conn, *caller, error) {
	u, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("%T is no unix socket", c.Conn)
	}
	who, err := byUser(u, &s.names)
	return c, who, err
}

func (s *Server) identifyCertificate(c *conn) (net.Conn, *caller, error) {
	return byCertificate(c, s.keyring.Load().current())
}
