package check

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// A Pool is what the checks of a process share, so that ten thousand of them
// hold memory only while they wait for an answer.
type Pool struct {
	dialer    net.Dialer
	scratches sync.Pool
}

// NewPool makes an empty Pool.
func NewPool() *Pool {
	return &Pool{
		// A probe is over before the first keepalive: spare the four system
		// calls that set it up.
		dialer: net.Dialer{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
			return onDescriptor(c, resetOnClose)
		}},
		scratches: sync.Pool{New: func() any { return newScratch() }},
	}
}

func (p *Pool) get() *scratch { return p.scratches.Get().(*scratch) }

func (p *Pool) put(s *scratch) {
	s.source = nil
	if cap(s.data) > keptBytes {
		s.data = nil
	}
	p.scratches.Put(s)
}

const (
	readerBytes = 2 << 10  // more than the usual answer to a health check
	keptBytes   = 64 << 10 // a larger buffer goes to the garbage collector
)

// errTooLong is what a scratch reads after its last allowed byte.
var errTooLong = errors.New("answer too long")

// A scratch is the memory of one probe that reads an answer.
type scratch struct {
	reader *bufio.Reader // reads the scratch itself, so it sees the limit
	data   []byte
	source io.Reader
	left   int   // bytes that may still be read from source
	ended  error // why no more can be read
}

func newScratch() *scratch {
	s := &scratch{}
	s.reader = bufio.NewReaderSize(s, readerBytes)
	return s
}

// reset begins an answer of at most limit bytes from source.
func (s *scratch) reset(source io.Reader, limit int) {
	s.source, s.left, s.data, s.ended = source, limit, s.data[:0], nil
	s.reader.Reset(s)
}

// Read reads from the source, up to the limit.
func (s *scratch) Read(b []byte) (n int, err error) {
	if s.left <= 0 {
		s.ended = errTooLong
		return 0, s.ended
	}
	n, s.ended = s.source.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, s.ended
}
