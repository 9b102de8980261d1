package check

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

func TestTCPAnswers(t *testing.T) {
	const short = 200 * time.Millisecond
	ready := regexp.MustCompile(`^220 .*ready`)
	says := func(text string, hold bool) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_, _ = io.WriteString(c, text)
			if hold {
				<-ctx.Done()
			}
		}
	}
	ping := func(_ context.Context, c net.Conn) {
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "PING\r\n" {
			_, _ = io.WriteString(c, "+PONG\r\n")
		}
	}
	endless := func(ctx context.Context, c net.Conn) { drip(ctx, c, strings.Repeat("x", 16<<10)) }
	for name, c := range map[string]struct {
		serve   func(context.Context, net.Conn)
		send    string
		expect  *regexp.Regexp
		timeout time.Duration
		reason  healthloop.Reason
		text    string
	}{
		"without expect the connect is the answer":       {serve: says("", true)},
		"a server that hangs up at once was connected":   {serve: says("", false)},
		"what is sent needs no answer":                   {serve: says("", true), send: "QUIT\r\n"},
		"a banner matches while the connection stays":    {serve: says("220 mx ready\r\n", true), expect: ready},
		"a banner matches although the connection ended": {serve: says("220 mx ready\r\n", false), expect: ready},
		"send, then expect":                              {serve: ping, send: "PING\r\n", expect: regexp.MustCompile(`^\+PONG`)},
		"silence is a timeout": {serve: says("", true), expect: ready, timeout: short,
			reason: healthloop.ReasonTimeout, text: "tcp ADDR: no answer within 200ms (connected)"},
		"silence after the request": {serve: says("", true), send: "PING\r\n", expect: ready, timeout: short,
			reason: healthloop.ReasonTimeout, text: "tcp ADDR: no answer within 200ms (connected, data sent)"},
		"ended without a byte": {serve: says("", false), expect: ready,
			reason: healthloop.ReasonReset, text: "tcp ADDR: connection cut by the other side (connected): EOF"},
		"another answer, and it stays": {serve: says("-LOADING\r\n", true), expect: ready, timeout: short,
			reason: healthloop.ReasonBody, text: `tcp ADDR: no match of "^220 .*ready" within 200ms, received "-LOADING\r\n"`},
		"another answer, and it ends": {serve: says("\x1b[31m\xff", false), expect: ready,
			reason: healthloop.ReasonBody,
			text:   `tcp ADDR: no match of "^220 .*ready", received "\x1b[31m\xff", then the connection ended`},
		"too much": {serve: endless, expect: ready,
			reason: healthloop.ReasonBody,
			text: `tcp ADDR: no match of "^220 .*ready" in the first 65536 bytes, which begin "` +
				strings.Repeat("x", 75) + `"…`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := backend(t, c.serve)
			if c.timeout == 0 {
				c.timeout = patience
			}
			err := probe(t, "tcp", Spec{Address: address, Send: []byte(c.send), Expect: c.expect}, c.timeout)
			wantFailure(t, err, address, c.reason, c.text)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	for _, kind := range []string{"tcp", "http", "https"} {
		address := refusing(t)
		err := probe(t, kind, Spec{Address: address}, patience)
		wantFailure(t, err, address, healthloop.ReasonRefused, "connect ADDR: connection refused")
	}
}

func TestCancelEndsTheProbe(t *testing.T) {
	spec := Spec{Send: []byte("x"), Expect: regexp.MustCompile("x")}
	for kind, what := range map[string]string{"tcp": "tcp ADDR", "http": "GET http://ADDR/", "https": "GET https://ADDR/"} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		spec.Address = backend(t, func(ctx context.Context, c net.Conn) {
			_, _ = c.Read(make([]byte, 1)) // so it is connected, and waits for us
			cancel()
			<-ctx.Done()
		})
		err := newProber(t, kind, spec).Probe(ctx)
		wantFailure(t, err, spec.Address, healthloop.ReasonOther, what+": context canceled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v is not context.Canceled", kind, err)
		}
	}
}

func TestSentDataArrivesBeforeTheEnd(t *testing.T) {
	const size = 1 << 20 // more than the socket buffers hold at first
	got := make(chan int, 1)
	address := backend(t, func(_ context.Context, c net.Conn) {
		n, err := io.Copy(io.Discard, c)
		if err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
		got <- int(n)
	})
	if err := probe(t, "tcp", Spec{Address: address, Send: make([]byte, size)}, patience); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != size {
		t.Errorf("%d of %d bytes arrived", n, size)
	}
}

// A FIN would leave the connection in TIME_WAIT on our side.
func TestProbesEndWithAReset(t *testing.T) {
	read := make(chan error, 1)
	address := backend(t, func(_ context.Context, c net.Conn) {
		_, _ = io.WriteString(c, "220 ready")
		_, err := io.Copy(io.Discard, c)
		read <- err
	})
	spec := Spec{Address: address, Expect: regexp.MustCompile("ready")}
	if err := probe(t, "tcp", spec, patience); err != nil {
		t.Fatal(err)
	}
	if err := <-read; reasonOf(err) != healthloop.ReasonReset {
		t.Errorf("the backend saw %v, want a reset", err)
	}
}

// The kernel accepts, and the reset comes before the connection is handed on.
func TestABareConnectDoesNotWakeTheBackend(t *testing.T) {
	accepted := make(chan string, 2)
	address := backend(t, func(_ context.Context, c net.Conn) {
		said, _ := io.ReadAll(c)
		accepted <- string(said)
	})
	for _, send := range []string{"", "hello"} {
		if err := probe(t, "tcp", Spec{Address: address, Send: []byte(send)}, patience); err != nil {
			t.Fatal(err)
		}
	}
	if said := <-accepted; said != "hello" {
		t.Errorf("the backend accepted a connection that said %q", said)
	}
}

func TestAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("SKIPPED: no IPv6 on loopback: %v", err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	// Linux takes a zone with any address, and ignores it where it means nothing.
	for _, address := range []string{"[::1]:" + port, "[::1%lo]:" + port} {
		if err := probe(t, "tcp", Spec{Address: address}, patience); err != nil {
			t.Error(err)
		}
	}
	address := backend(t, func(context.Context, net.Conn) {})
	_, port, _ = net.SplitHostPort(address)
	if err := probe(t, "tcp", Spec{Address: "localhost:" + port}, patience); err != nil {
		t.Error(err)
	}
}

func TestNamesThatDoNotResolve(t *testing.T) {
	// RFC 6761 §6.4: "invalid" never exists. Which text the resolver has for it
	// depends on the machine.
	err := probe(t, "tcp", Spec{Address: "backend.invalid:80"}, patience)
	f, ok := errors.AsType[*healthloop.Failure](err)
	if !ok || f.Reason != healthloop.ReasonUnreachable && f.Reason != healthloop.ReasonTimeout ||
		!strings.HasPrefix(f.Error(), "resolve backend.invalid: ") {
		t.Errorf("got %v", err)
	}
}

func TestPatternsMatchAcrossSegments(t *testing.T) {
	s := newScratch()
	s.reset(iotest.OneByteReader(strings.NewReader("-ERR\r\n+PONG\r\n")), maxExpect)
	if err := s.readUntil(regexp.MustCompile(`\+PONG\r\n`)); err != nil {
		t.Error(err)
	}
}

// chunked gives its bytes in pieces whose lengths sizes tells.
type chunked struct{ data, sizes []byte }

func (c *chunked) Read(b []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := len(c.data)
	if len(c.sizes) > 0 {
		n = min(n, int(c.sizes[0])+1)
		c.sizes = c.sizes[1:]
	}
	n = copy(b, c.data[:n])
	c.data = c.data[n:]
	return n, nil
}

// However the answer is cut into segments, it matches if the whole does. The
// reverse holds for patterns without $, \b and the like: those may match at the
// end of a segment. (And for ASCII: half a character is not that character.)
func FuzzExpect(f *testing.F) {
	f.Add(`\+PONG\r\n`, []byte("+PONG\r\n"), []byte{0, 3})
	f.Add(`^220[ -].*ready`, []byte("220-a\r\n220 b ready\r\n"), []byte{2, 2, 2})
	f.Add(`(?s)a.*z|ok{3}`, []byte("okokkk"), []byte{4})
	f.Add(`x$`, []byte("xy"), []byte{0})
	f.Fuzz(func(t *testing.T, pattern string, data, sizes []byte) {
		re, err := regexp.Compile(pattern)
		if err != nil || len(pattern) > 32 || len(data) == 0 || len(data) > 256 {
			t.Skip()
		}
		s := newScratch()
		s.reset(&chunked{data: data, sizes: sizes}, maxExpect)
		got := s.readUntil(re) == nil
		whole := re.Match(data)
		if whole && !got {
			t.Errorf("%q matches %q, but not in pieces %v", pattern, data, sizes)
		}
		if got && !whole && !looksAtEnd(pattern) && isASCII(data) {
			t.Errorf("%q matches %q in pieces %v, but not as a whole", pattern, data, sizes)
		}
		if got && !re.Match(s.data) || !bytes.HasPrefix(data, s.data) {
			t.Errorf("%q was said to match after %q of %q", pattern, s.data, data)
		}
	})
}

func isASCII(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r > 127 })
}

func looksAtEnd(pattern string) bool {
	return strings.Contains(pattern, "$") || strings.Contains(pattern, `\b`) ||
		strings.Contains(pattern, `\B`) || strings.Contains(pattern, `\z`)
}
