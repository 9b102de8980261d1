package vipctl

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// A link is what is known of the connection. gRPC turns what happened to it
// into text, and to tell what to do takes the error itself.
type link struct {
	endpoint endpoint

	// mu guards the rest: gRPC's goroutines dial and read.
	mu    sync.Mutex
	cause error // why there is no connection; nil: there is one, or none was tried
	heard bool  // the other side ever sent anything
}

// dialed notes the outcome of an attempt.
func (l *link) dialed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cause = err
}

// ended notes why a connection ended, unless that was our own doing.
func (l *link) ended(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !errors.Is(err, net.ErrClosed) {
		l.cause = err
	}
}

func (l *link) listen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = true
}

func (l *link) state() (cause error, heard bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause, l.heard
}

// listening are credentials that tell a link of handshakes and of what is read.
type listening struct {
	credentials.TransportCredentials
	link *link
}

// ClientHandshake of TLS ends when the server has spoken, as a server of HTTP/2
// does at once (RFC 9113 §3.4). A client's certificate is refused only after its
// part of the handshake (RFC 8446 §4.4.4), and who writes meanwhile gets a broken
// pipe in place of the reason.
func (c listening) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (
	net.Conn, credentials.AuthInfo, error,
) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		c.link.dialed(err)
		return nil, nil, err
	}
	if info.AuthType() != "tls" {
		return &heardConn{Conn: conn, link: c.link}, info, nil
	}
	heard := &heardConn{Conn: conn, link: c.link, first: make([]byte, 1)}
	end := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	_, err = conn.Read(heard.first)
	if end() && err == nil {
		c.link.listen()
		return heard, info, nil
	}
	err = cmp.Or(err, ctx.Err())
	c.link.dialed(err)
	_ = conn.Close()
	return nil, nil, err
}

func (c listening) Clone() credentials.TransportCredentials {
	return listening{c.TransportCredentials.Clone(), c.link}
}

// A heardConn notes why it ends.
type heardConn struct {
	net.Conn
	link  *link
	first []byte // read already
}

func (c *heardConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.link.listen()
	}
	if err != nil {
		c.link.ended(err)
	}
	return n, err
}

func (c *heardConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.link.ended(err)
	}
	return n, err
}
