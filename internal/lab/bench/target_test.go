package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// targetCommand makes this test program what is asked in a measurement, in a
// process of its own, so that its CPU is not counted as anybody else's.
const targetCommand = "be-the-target"

// Answered to everything; whoever asked closes the connection.
const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

// A target is that process. It listens on n ports of all loopback addresses, from
// 20000 on. SIGUSR1 ends one port with its connections, from the first to the
// last.
type target struct {
	*lab.Process
	box *box
}

const firstPort = 20000

func (b *box) target(ports int) *target {
	b.Helper()
	p := b.node.Start("target", exe(b), targetCommand, strconv.Itoa(firstPort), strconv.Itoa(ports))
	p.Says(soon, "listening", 1)
	return &target{Process: p, box: b}
}

func serve(first, ports string) int {
	from, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(ports)
	if err := errors.Join(err1, err2); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1)
	var open []*port
	for i := range n {
		p, err := listen(from + i)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		open = append(open, p)
	}
	fmt.Println("listening")
	for _, p := range open {
		<-signals
		p.end()
	}
	select {} // until it is killed
}

// A port is a listener and the connections that it took.
type port struct {
	net.Listener
	mu    sync.Mutex // guards conns: each connection leaves on its own
	conns map[net.Conn]bool
}

func listen(number int) (*port, error) {
	quiet := net.ListenConfig{KeepAlive: -1}
	l, err := quiet.Listen(context.Background(), "tcp4", fmt.Sprintf("0.0.0.0:%d", number))
	if err != nil {
		return nil, err
	}
	p := &port{Listener: l, conns: map[net.Conn]bool{}}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.answer(c) // ends with the connection
		}
	}()
	return p, nil
}

func (p *port) answer(c net.Conn) {
	p.note(c, true)
	defer p.note(c, false)
	defer c.Close()
	buf := make([]byte, 1024)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

func (p *port) note(c net.Conn, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if there {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

func (p *port) end() {
	_ = p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// pause lets time pass that a measurement takes.
func pause(d time.Duration) { <-time.After(d) }
