package check

import (
	"context"
	"crypto/tls"
	"io"
	"net"

	"github.com/fiberlb/vipd/healthloop"
)

// An httpProber sends one request over a connection of its own and judges the
// answer. The request's bytes are made once, and net/http's Transport is not
// used: its connection pool and two goroutines a connection are what ten
// thousand probes per second would mostly pay for.
type httpProber struct {
	target
	form   form
	first  page
	want   want
	follow bool
	tls    *tls.Config // nil: plain HTTP
}

func newHTTP(t target, spec Spec) (healthloop.Prober, error) {
	return prepare(t, spec, "http", nil)
}

func prepare(t target, spec Spec, scheme string, config *tls.Config) (*httpProber, error) {
	p := &httpProber{target: t, want: newWant(spec), follow: spec.FollowRedirects, tls: config}
	var err error
	if p.form, err = newForm(t, spec, scheme); err != nil {
		return nil, err
	}
	path := spec.Path
	if path == "" {
		path = "/"
	}
	u, err := p.form.resolve(path)
	if err != nil {
		return nil, err
	}
	if p.first, err = p.form.page(u); err != nil {
		return nil, err
	}
	return p, nil
}

// Probe implements healthloop.Prober.
func (p *httpProber) Probe(ctx context.Context) error {
	a := begin(p.first.what)
	at := p.first
	for range maxRedirects + 1 {
		next, err := p.ask(ctx, &a, at)
		if next == nil {
			return err
		}
		at = *next
		a.again(at.what)
	}
	return a.failf(healthloop.ReasonStatus, "more than %d redirects", maxRedirects)
}

// ask gets one page. It returns the page to get next if there is a redirect to
// follow.
func (p *httpProber) ask(ctx context.Context, a *attempt, at page) (*page, error) {
	c, err := p.dial(ctx, true)
	if err != nil {
		return nil, a.unconnected(ctx, p.address, err)
	}
	defer c.Close()
	a.did("connected")

	var conn net.Conn = c
	if p.tls != nil {
		secured := tls.Client(c, p.tls)
		if err := secured.Handshake(); err != nil {
			return nil, a.broken(ctx, err, healthloop.ReasonTLS)
		}
		a.did("TLS handshake done")
		conn = secured
	}
	return p.exchange(ctx, a, at, conn)
}

// exchange sends the request and reads the answer.
func (p *httpProber) exchange(ctx context.Context, a *attempt, at page, conn io.ReadWriter) (*page, error) {
	if _, err := conn.Write(at.wire); err != nil {
		return nil, a.broken(ctx, err, healthloop.ReasonOther)
	}
	a.did("request sent")
	s := p.pool.get()
	defer p.pool.put(s)
	s.reset(conn, maxHead)
	resp, err := s.readHead(p.form.method)
	if err != nil {
		return nil, s.unreadable(ctx, a, err)
	}
	a.did("headers received")
	if loc := resp.Header.Get("Location"); p.follow && redirects(resp.StatusCode) && loc != "" {
		return p.redirect(a, at, resp.StatusCode, loc)
	}
	if !p.want.hasStatus(resp.StatusCode) {
		return nil, a.failf(healthloop.ReasonStatus, "status %d, expected %s", resp.StatusCode, p.want.statusText())
	}
	if err := s.readBody(resp.Body, p.want.wantsBody()); err != nil {
		return nil, s.unreadable(ctx, a, err)
	}
	return nil, p.judgeBody(a, s.data)
}
