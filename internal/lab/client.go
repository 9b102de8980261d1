package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a client waits for one answer: longer than the second
// after which TCP sends a lost SYN again.
const patience = 3 * time.Second

// A Request is one that a client made: a connection, a question, an answer.
type Request struct {
	Began, Ended time.Time
	By           string // who answered
	Err          error
}

// A Load makes so many requests a second, each on a connection of its own.
type Load struct {
	host *Host
	to   netip.AddrPort
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex // guards requests: each of them ends on its own
	requests []Request
}

// Load begins to make requests. They end with Stop, or with the test.
func (h *Host) Load(rate int, to netip.AddrPort) *Load {
	h.lab.Helper()
	h.Sysctl("net.ipv4.tcp_tw_reuse", 1)
	l := &Load{host: h, to: to, stop: make(chan struct{}), done: make(chan struct{})}
	go l.run(time.Second / time.Duration(rate)) // ends with stop
	h.lab.Cleanup(func() { l.Stop() })
	return l
}

func (l *Load) run(every time.Duration) {
	defer close(l.done)
	var open sync.WaitGroup
	defer open.Wait()
	due := time.NewTicker(every)
	defer due.Stop()
	began := time.Now()
	for n := 0; ; {
		select {
		case <-due.C:
			// A tick that came late, or not at all, is made up for.
			for ; time.Duration(n)*every < time.Since(began); n++ {
				open.Go(func() { l.note(l.request()) }) // ends within patience
			}
		case <-l.stop:
			return
		}
	}
}

func (l *Load) note(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, r)
}

func (l *Load) request() (r Request) {
	r.Began = time.Now()
	r.By, r.Err = l.ask()
	r.Ended = time.Now()
	return r
}

// ask makes one request. Only the socket is made on the host's thread, which
// others need too: what is open is on the host for ever.
func (l *Load) ask() (string, error) {
	var conn *os.File
	if err := l.host.do(func() (err error) {
		conn, err = connect(l.to)
		return err
	}); err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	// The first write waits for the connection.
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	head, by, _ := strings.Cut(string(answer), "\r\n\r\n")
	if !strings.Contains(head, " 200 ") {
		return "", fmt.Errorf("answer: %q", answer)
	}
	return by, nil
}

// connect begins a connection and does not wait for it.
func connect(to netip.AddrPort) (*os.File, error) {
	var sa unix.Sockaddr
	family := unix.AF_INET
	if to.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		sa, family = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}, unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), to.String()), nil
}

// Dial opens a connection, which ends with the test at the latest.
func (h *Host) Dial(to netip.AddrPort) net.Conn {
	h.lab.Helper()
	var conn net.Conn
	h.lab.must(h.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", to.String(), patience)
		return err
	}))
	h.lab.Cleanup(func() { _ = conn.Close() }) // it may be closed by then
	return conn
}
