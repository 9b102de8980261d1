package control

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// silent connects and sends first, and no more.
func silent(t *testing.T, network, address string, first func(io.Writer) error) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if first != nil {
		if err := first(c); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// wantEnd reads until the other end closes.
func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	var timeout net.Error
	if _, err := io.Copy(io.Discard, c); errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("it is still open after %v", patience)
	}
}

// A client that says nothing costs a connection for a while.
func TestSilenceInsteadOfAHandshakeEnds(t *testing.T) {
	l := defaultLimits()
	l.handshake = 50 * time.Millisecond
	r := newTLSRig(t, Options{}, l)
	wantEnd(t, silent(t, "tcp", r.target(), nil))
	u, path := unixRig(t, Options{})
	u.limits.handshake = l.handshake
	u.run(t)
	wantEnd(t, silent(t, "unix", path, nil))
}

// A peer whose host is gone does not tell.
func TestPeerThatAnswersNoPingGoes(t *testing.T) {
	l := defaultLimits()
	l.ping, l.pong = time.Second, 100*time.Millisecond // gRPC takes no less than a second
	r := newRig(Options{Listen: []string{"127.0.0.1:0"}, InsecureLoopback: true}, l)
	r.run(t)
	wantEnd(t, silent(t, "tcp", r.listeners[0].Addr().String(), func(w io.Writer) error {
		if _, err := io.WriteString(w, http2.ClientPreface); err != nil {
			return err
		}
		return http2.NewFramer(w, nil).WriteSettings()
	}))
}

func TestStopDoesNotWaitForHandshakes(t *testing.T) {
	l := defaultLimits()
	l.handshake, l.stop = time.Hour, 50*time.Millisecond
	r := newRig(Options{}, l)
	path := filepath.Join(roomy(t), "s")
	r.opts.Listen, r.opts.InsecureLoopback = []string{"unix://" + path, "127.0.0.1:0"}, true
	stop := r.run(t)
	for _, address := range []net.Addr{r.listeners[0].Addr(), r.listeners[1].Addr()} {
		silent(t, address.Network(), address.String(), nil)
	}
	for _, l := range r.listeners {
		eventually(t, "it is accepted", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.conns) == 1
		})
	}
	stop() // fails if it takes long
}
