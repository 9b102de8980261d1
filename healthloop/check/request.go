package check

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A form is what all requests of a check have in common.
type form struct {
	method, scheme string
	host           string // the Host header
	address        string // where the requests go to, for messages
	headers        []Header
}

// A page is one request, ready to be sent. There is one a backend for ever, so
// it holds nothing that can be made of this again.
type page struct {
	what string // for messages
	uri  string // path and query
	wire []byte
}

func newForm(t target, spec Spec, scheme string) (form, error) {
	f := form{method: spec.Method, scheme: scheme, host: spec.Host, address: t.address, headers: spec.Headers}
	if f.method == "" {
		f.method = http.MethodGet
	}
	if !httpguts.ValidHeaderFieldName(f.method) { // both are tokens: RFC 9110 §9.1, §5.1
		return f, fmt.Errorf("method %q: not a method", f.method)
	}
	if f.host == "" {
		f.host = hostHeader(t, scheme)
	}
	if !httpguts.ValidHostHeader(f.host) || strings.ContainsAny(f.host, "/@ ") {
		return f, fmt.Errorf("host %q: not a host", f.host)
	}
	for _, h := range spec.Headers {
		if err := h.check(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// check refuses a header line that would change how the request is framed or
// sent: net/http would drop it without a word, or send it twice.
func (h Header) check() error {
	if !httpguts.ValidHeaderFieldName(h.Name) {
		return fmt.Errorf("header %q: not a header name", h.Name)
	}
	if !httpguts.ValidHeaderFieldValue(h.Value) {
		return fmt.Errorf("header %s: value %q has control characters", h.Name, h.Value)
	}
	switch http.CanonicalHeaderKey(h.Name) {
	case "Host":
		return errors.New("header Host: set it by the option host")
	case "Connection", "Content-Length", "Transfer-Encoding", "Trailer":
		return fmt.Errorf("header %s: is the check's own", h.Name)
	}
	return nil
}

func (f form) header() http.Header {
	header := http.Header{}
	for _, h := range f.headers {
		header.Add(h.Name, h.Value)
	}
	if header["User-Agent"] == nil {
		header.Set("User-Agent", "vipd")
	}
	return header
}

// hostHeader is the Host header of a target: RFC 9110 §7.2 wants the authority
// of the URL, and §4.2.3 has its default port left out.
func hostHeader(t target, scheme string) string {
	host := t.host()
	_, port, _ := net.SplitHostPort(t.address) // newTarget saw that it can be split
	if port != defaultPort(scheme) {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// resolve makes the URL of a configured path.
func (f form) resolve(path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("path %q: must begin with /", path)
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, fmt.Errorf("path %q: not a path", path)
	}
	u.Scheme, u.Host = f.scheme, f.host
	return u, nil
}

// page prepares the request for u, which is a URL of this backend.
func (f form) page(u *url.URL) (page, error) {
	r := &http.Request{
		Method: f.method, URL: u, Host: f.host, Header: f.header(),
		ProtoMajor: 1, ProtoMinor: 1,
		Close: true, // tells the backend not to keep the connection
	}
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		return page{}, fmt.Errorf("request for %s: %w", u, err)
	}
	uri := u.RequestURI()
	what := f.method + " " + f.scheme + "://" + f.address + uri
	return page{what: what, uri: what[len(what)-len(uri):], wire: bytes.Clone(wire.Bytes())}, nil
}
