package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// A backend is a web server that can be killed and started again at the same
// address. It counts how often it was asked.
type backend struct {
	t       *testing.T
	name    string
	address string
	asked   atomic.Int64

	// mu guards hook: a story changes it while requests come.
	mu   sync.Mutex
	hook func(n int64, r *http.Request) // before an answer, with its number

	server *http.Server
	done   chan struct{} // closed when the server's goroutine has ended
}

// backend makes one that does not run yet, at an address of its own.
func (w *world) backend(name string) *backend {
	w.Helper()
	port, err := gobgptest.FreePort(w.node)
	if err != nil {
		w.Fatal(err)
	}
	b := &backend{t: w.T, name: name, address: netip.AddrPortFrom(w.node, port).String()}
	w.Cleanup(b.kill)
	return b
}

// running makes backends that run, called a, b, c and so on.
func (w *world) running(n int) []*backend {
	w.Helper()
	var all []*backend
	for i := range n {
		b := w.backend(string(rune('a' + i)))
		b.start()
		all = append(all, b)
	}
	return all
}

func (b *backend) start() {
	b.t.Helper()
	ln, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", b.address)
	if err != nil {
		b.t.Fatalf("backend %s: %v", b.name, err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(b.answer)}
	done := make(chan struct{})
	b.server, b.done = server, done
	go func() { // ends with kill
		defer close(done)
		_ = server.Serve(ln) // always an error: that of kill
	}()
}

// rehost moves it to another address.
func (b *backend) rehost(a netip.Addr) {
	b.t.Helper()
	b.kill()
	port, err := gobgptest.FreePort(a)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = netip.AddrPortFrom(a, port).String()
	b.start()
}

func (b *backend) answer(w http.ResponseWriter, r *http.Request) {
	n := b.asked.Add(1)
	b.mu.Lock()
	hook := b.hook
	b.mu.Unlock()
	if hook != nil {
		hook(n, r)
	}
	fmt.Fprintln(w, "ok")
}

// onRequest has f called before each answer.
func (b *backend) onRequest(f func(n int64, r *http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hook = f
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
