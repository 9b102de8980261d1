package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
	b := &backend{t: w.T, name: name}
	ln := b.listen("127.0.0.1:0")
	b.address = ln.Addr().String()
	if err := ln.Close(); err != nil {
		w.Fatal(err)
	}
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

func (b *backend) listen(address string) net.Listener {
	b.t.Helper()
	ln, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", address)
	if err != nil {
		b.t.Fatalf("backend %s: %v", b.name, err)
	}
	return ln
}

func (b *backend) start() {
	b.t.Helper()
	ln := b.listen(b.address)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(b.answer)}
	done := make(chan struct{})
	b.server, b.done = server, done
	go func() { // ends with kill
		defer close(done)
		_ = server.Serve(ln) // always an error: that of kill
	}()
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
