package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// A backend is a small web server that can be killed and started again at the
// same address.
type backend struct {
	name    string
	address string
	server  *http.Server
	done    chan struct{} // closed when the server's goroutine has ended
}

func newBackend(name string) (*backend, error) {
	localhost := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	port, err := gobgptest.FreePort(localhost)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	return &backend{name: name, address: netip.AddrPortFrom(localhost, port).String()}, nil
}

func (b *backend) start() error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", b.address)
	if err != nil {
		return fmt.Errorf("backend %s: %w", b.name, err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})}
	done := make(chan struct{})
	b.server, b.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(ln) // always ends with an error: that of kill
	}()
	return nil
}

// kill closes the listener and all connections, as the end of a process does.
func (b *backend) kill() {
	if b.server == nil {
		return
	}
	_ = b.server.Close()
	<-b.done
	b.server = nil
}
