package check

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/fiberlb/vipd/healthloop"
)

// maxRedirects is how many are followed in one probe.
const maxRedirects = 5

func redirects(code int) bool {
	switch code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect is the page that location leads to. It must be of this backend: a
// good answer of any other would say nothing about this one, and a backend
// could have the network around this node probed by us.
func (p *httpProber) redirect(a *attempt, from page, code int, location string) (*page, error) {
	base, err := p.form.resolve(from.uri)
	if err != nil {
		return nil, a.failf(healthloop.ReasonOther, "%w", err) // it was asked for, so it is one
	}
	u, err := base.Parse(location)
	if err != nil {
		return nil, a.failf(healthloop.ReasonProtocol, "status %d with a location that is none: %s",
			code, excerpt([]byte(location)))
	}
	if !p.form.covers(u) {
		return nil, a.failf(healthloop.ReasonStatus, "status %d redirects to another server: %s",
			code, excerpt([]byte(location)))
	}
	u.Host, u.User, u.Fragment = p.form.host, nil, ""
	next, err := p.form.page(u)
	if err != nil {
		return nil, a.failf(healthloop.ReasonProtocol, "status %d with a location that cannot be asked for: %s",
			code, excerpt([]byte(location)))
	}
	return &next, nil
}

// covers tells whether u is of the backend that the form's requests go to: by
// the same scheme, under the name that it was asked by or under its address.
func (f form) covers(u *url.URL) bool {
	if u.Scheme != f.scheme {
		return false
	}
	to := f.withPort(u.Host)
	return strings.EqualFold(to, f.withPort(f.host)) || strings.EqualFold(to, f.address)
}

// withPort makes the default port of an authority explicit.
func (f form) withPort(authority string) string {
	if _, _, err := net.SplitHostPort(authority); err == nil {
		return authority
	}
	return net.JoinHostPort(strings.Trim(authority, "[]"), defaultPort(f.scheme))
}
