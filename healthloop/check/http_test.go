package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

func TestHTTPAnswers(t *testing.T) {
	const (
		ok    = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well"
		short = 200 * time.Millisecond
		get   = "GET http://ADDR/: "
	)
	well := regexp.MustCompile(`^all w.ll$`)
	for name, c := range map[string]struct {
		answer  string
		hold    bool // keep the connection open after it
		spec    Spec
		timeout time.Duration
		reason  healthloop.Reason
		text    string
	}{
		"200 is good":                          {answer: ok, hold: true},
		"204 has no body to wait for":          {answer: "HTTP/1.1 204 No Content\r\n\r\n", hold: true},
		"HEAD has no body to wait for":         {answer: "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", hold: true, spec: Spec{Method: "HEAD"}},
		"HTTP/1.0, whose body ends by the end": {answer: "HTTP/1.0 200 OK\r\n\r\nall well", spec: Spec{ExpectBodyRE: well}},
		"a body with text":                     {answer: ok, spec: Spec{ExpectBody: "well"}},
		"a body with a match":                  {answer: ok, spec: Spec{ExpectBodyRE: well}},
		"chunks are joined": {
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n4;x=y\r\nwell\r\n0\r\nTrailer: x\r\n\r\n",
			hold:   true, spec: Spec{ExpectBody: "all well"}},
		"interim answers are passed over": {
			answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, hold: true},
		"an expected status of any kind": {answer: "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
			spec: Spec{ExpectStatus: []StatusRange{{200, 299}, {418, 418}}}},
		"an expected redirect is not followed": {
			answer: "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
			spec:   Spec{ExpectStatus: []StatusRange{{302, 302}}}},
		"101 is final": {answer: "HTTP/1.1 101 Switching Protocols\r\n\r\n", spec: Spec{ExpectStatus: []StatusRange{{101, 101}}}},

		"wrong status": {answer: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
			reason: healthloop.ReasonStatus, text: get + "status 503, expected 200-299"},
		"wrong status of several": {answer: "HTTP/1.1 404 Not Found\r\n\r\n",
			spec:   Spec{ExpectStatus: []StatusRange{{200, 204}, {301, 301}}},
			reason: healthloop.ReasonStatus, text: get + "status 404, expected 200-204, 301"},
		"a redirect is not good": {answer: "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n",
			reason: healthloop.ReasonStatus, text: get + "status 301, expected 200-299"},
		"the text is missing": {answer: ok, spec: Spec{ExpectBody: "ill"},
			reason: healthloop.ReasonBody, text: get + `no "ill" in the body "all well"`},
		"no match": {answer: ok, spec: Spec{ExpectBodyRE: regexp.MustCompile("^ill")},
			reason: healthloop.ReasonBody, text: get + `no match of "^ill" in the body "all well"`},
		"both are wanted": {answer: ok, spec: Spec{ExpectBody: "well", ExpectBodyRE: regexp.MustCompile("^ill")},
			reason: healthloop.ReasonBody, text: get + `no match of "^ill" in the body "all well"`},
		"a long body is shown in part, with nothing raw": {
			answer: "HTTP/1.0 200 OK\r\n\r\n\x1b]0;pwned\a\n" + strings.Repeat("é", 500), spec: Spec{ExpectBody: "ok"},
			reason: healthloop.ReasonBody,
			text:   get + `no "ok" in the body "\x1b]0;pwned\a\n` + strings.Repeat("é", 29) + `"…`},

		"silence": {hold: true, timeout: short,
			reason: healthloop.ReasonTimeout, text: get + "no answer within 200ms (connected, request sent)"},
		"half a header": {answer: "HTTP/1.1 200 OK\r\nContent-Le", hold: true, timeout: short,
			reason: healthloop.ReasonTimeout, text: get + "no answer within 200ms (connected, request sent)"},
		"half a body": {answer: ok[:len(ok)-2], hold: true, timeout: short,
			reason: healthloop.ReasonTimeout, text: get + "no answer within 200ms (connected, request sent, headers received)"},
		"only interim answers": {answer: "HTTP/1.1 100 Continue\r\n\r\n", hold: true, timeout: short,
			reason: healthloop.ReasonTimeout, text: get + "no answer within 200ms (connected, request sent)"},
		"too many interim answers": {answer: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 6), hold: true,
			reason: healthloop.ReasonProtocol, text: get + `not an HTTP answer: "too many 1xx answers"`},
		"cut before the answer": {
			reason: healthloop.ReasonReset,
			text:   get + "connection cut by the other side (connected, request sent): unexpected EOF"},
		"cut in the header": {answer: "HTTP/1.1 200 OK\r\nContent-Type: te",
			reason: healthloop.ReasonReset,
			text:   get + "connection cut by the other side (connected, request sent): unexpected EOF"},
		"cut in the body": {answer: ok[:len(ok)-2],
			reason: healthloop.ReasonReset,
			text:   get + "connection cut by the other side (connected, request sent, headers received): unexpected EOF"},
		"another protocol": {answer: "SSH-2.0-OpenSSH_9.2\r\n",
			reason: healthloop.ReasonProtocol, text: get + `not an HTTP answer: "malformed HTTP response \"SSH-2.0-OpenSSH_9.2\""`},
		"another version": {answer: "HTTP/2.0 200 OK\r\n\r\n",
			reason: healthloop.ReasonProtocol, text: get + `not an HTTP answer: "HTTP version is not 1.x"`},
		"a broken chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			reason: healthloop.ReasonProtocol, text: get + `not an HTTP answer: "invalid byte in chunk length"`},
		"a header without end": {answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("y", 100)+"\r\n", 1000),
			hold:   true,
			reason: healthloop.ReasonProtocol, text: get + "header longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.spec.Address = answers(t, c.answer, c.hold)
			if c.timeout == 0 {
				c.timeout = patience
			}
			err := probe(t, "http", c.spec, c.timeout)
			wantFailure(t, err, c.spec.Address, c.reason, c.text)
		})
	}
}

// The timeout is for the whole probe: bytes that keep coming do not extend it.
func TestDrippingAnswersTimeOut(t *testing.T) {
	for what, head := range map[string]string{
		"(connected, request sent)":                   "HTTP/1.1 200 OK\r\nX: ",
		"(connected, request sent, headers received)": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
	} {
		address := backend(t, func(ctx context.Context, c net.Conn) {
			if readRequest(c) {
				_, _ = io.WriteString(c, head)
				drip(ctx, c, "z")
			}
		})
		err := probe(t, "http", Spec{Address: address}, 200*time.Millisecond)
		wantFailure(t, err, address, healthloop.ReasonTimeout, "GET http://ADDR/: no answer within 200ms "+what)
	}
}

func TestLongBodiesAreJudgedByTheirBeginning(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin")
		for range 32 {
			_, _ = w.Write(make([]byte, 64<<10))
		}
		_, _ = io.WriteString(w, "end")
	}))
	defer s.Close()
	address := s.Listener.Addr().String()
	wantFailure(t, probe(t, "http", Spec{Address: address}, patience), address, "", "")
	wantFailure(t, probe(t, "http", Spec{Address: address, ExpectBody: "begin"}, patience), address, "", "")
	err := probe(t, "http", Spec{Address: address, ExpectBody: "end"}, patience)
	wantFailure(t, err, address, healthloop.ReasonBody,
		`GET http://ADDR/: no "end" in the first 1048576 bytes of the body "begin`+strings.Repeat(`\x00`, 17)+`"…`)
}

func TestRequestAsConfigured(t *testing.T) {
	seen := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	defer s.Close()
	p := newProber(t, "http", Spec{
		Address: s.Listener.Addr().String(), Method: "OPTIONS", Host: "shop.example", Path: "/a%2Fb?x=1&y",
		Headers: []Header{{"Accept", "text/plain"}, {"X-Two", "a"}, {"X-Two", "b"}, {"User-Agent", "probe/1"}},
	})
	for range 2 { // the second request is the same bytes
		if err := probeWith(t, p, patience); err != nil {
			t.Fatal(err)
		}
		r := <-seen
		got := fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Proto, " ", r.Host, " ", r.Header, " ", r.Close, " ", r.ContentLength)
		want := "OPTIONS /a%2Fb?x=1&y HTTP/1.1 shop.example " +
			"map[Accept:[text/plain] Connection:[close] User-Agent:[probe/1] X-Two:[a b]] true 0"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestHostHeaderFollowsTheAddress(t *testing.T) {
	for _, c := range []struct{ scheme, address, want string }{
		{"http", "10.1.0.11:8080", "10.1.0.11:8080"},
		{"http", "10.1.0.11:80", "10.1.0.11"},
		{"https", "10.1.0.11:80", "10.1.0.11:80"},
		{"https", "web.example:443", "web.example"},
		{"http", "[fe80::1%eth0]:80", "[fe80::1]"},
		{"http", "[fe80::1%eth0]:81", "[fe80::1]:81"},
	} {
		target, err := newTarget(c.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostHeader(target, c.scheme); got != c.want {
			t.Errorf("%s %s: host %q, want %q", c.scheme, c.address, got, c.want)
		}
	}
}

func TestSpecsThatCannotBe(t *testing.T) {
	const at = "10.1.0.11:80"
	for _, c := range []struct {
		kind string
		spec Spec
		want string
	}{
		{"smtp", Spec{Address: at}, `check of 10.1.0.11:80: unknown kind "smtp"`},
		{"tcp", Spec{Address: "10.1.0.11"}, `address "10.1.0.11": not host:port`},
		{"tcp", Spec{Address: ":80"}, `address ":80": not host:port`},
		{"tcp", Spec{Address: "web:0"}, `address "web:0": not host:port`},
		{"tcp", Spec{Address: "web:http"}, `address "web:http": not host:port`},
		{"http", Spec{Address: at, Method: "GET /"}, `http check of 10.1.0.11:80: method "GET /": not a method`},
		{"http", Spec{Address: at, Host: "a b"}, `http check of 10.1.0.11:80: host "a b": not a host`},
		{"http", Spec{Address: at, Path: "x"}, `http check of 10.1.0.11:80: path "x": must begin with /`},
		{"http", Spec{Address: at, Path: "/%zz"}, `http check of 10.1.0.11:80: path "/%zz": not a path`},
		{"http", Spec{Address: at, Headers: []Header{{"A b", "c"}}}, `http check of 10.1.0.11:80: header "A b": not a header name`},
		{"http", Spec{Address: at, Headers: []Header{{"A", "b\r\nC: d"}}},
			`http check of 10.1.0.11:80: header A: value "b\r\nC: d" has control characters`},
		{"http", Spec{Address: at, Headers: []Header{{"host", "x"}}}, `http check of 10.1.0.11:80: header Host: set it by the option host`},
		{"https", Spec{Address: at, Headers: []Header{{"Connection", "x"}}}, `https check of 10.1.0.11:80: header Connection: is the check's own`},
	} {
		if _, err := New(c.kind, c.spec); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

const (
	errEMFILE      = syscall.EMFILE
	errEACCES      = syscall.EACCES
	errENETUNREACH = syscall.ENETUNREACH
)

func TestFaultsHereAreNotTheBackends(t *testing.T) {
	a := begin("GET http://b/")
	for errno, want := range map[error]healthloop.Reason{
		errEMFILE: healthloop.ReasonLocal, errEACCES: healthloop.ReasonLocal, errENETUNREACH: healthloop.ReasonUnreachable,
	} {
		err := a.unconnected(context.Background(), "b:80", &net.OpError{Op: "dial", Net: "tcp", Err: errno})
		wantFailure(t, err, "b:80", want, "connect ADDR: "+errno.Error())
		if !errors.Is(err, errno) {
			t.Errorf("%v does not wrap %v", err, errno)
		}
	}
}

// Whatever a backend sends, the answer is judged and the probe ends.
func FuzzHTTPAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), false)
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 302 Found\r\nLocation: //x\r\n\r\n"), true)
	f.Add([]byte("HTTP/1.1 301 x\r\nLocation: /a b%zz?\x00\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, answer []byte, follow bool) {
		spec := Spec{Address: "10.1.0.11:80", ExpectBody: "ok", FollowRedirects: follow}
		p := newProber(t, "http", spec).(*httpProber)
		a := begin(p.first.what)
		a.did("connected")
		next, err := p.exchange(t.Context(), &a, p.first, &scripted{Reader: &chunked{data: answer}})
		failure, told := errors.AsType[*healthloop.Failure](err)
		switch {
		case err != nil && (next != nil || !told):
			t.Errorf("page %v and error %v", next, err)
		case told && len(failure.Error()) > 400:
			t.Errorf("a text of %d bytes: %s", len(failure.Error()), failure)
		case told && strings.ContainsFunc(failure.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }):
			t.Errorf("control characters in %q", failure.Error())
		case next != nil && !bytes.Contains(next.wire, []byte("\r\nHost: 10.1.0.11\r\n")):
			t.Errorf("followed by %q", next.wire)
		}
	})
}

// scripted is a connection whose other side says what the Reader holds.
type scripted struct{ io.Reader }

func (*scripted) Write(b []byte) (int, error) { return len(b), nil }
