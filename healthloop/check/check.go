// Package check asks backends whether they serve: one file a kind of check. It
// knows neither schedule nor rise and fall, and keeps no result; healthloop
// does.
package check

import (
	"crypto/tls"
	"fmt"
	"regexp"

	"github.com/fiberlb/vipd/healthloop"
)

// A Spec is what to ask of one backend. A kind reads the fields that it has
// options for, and Address.
type Spec struct {
	Address string // host:port; a name is resolved at each probe
	Watch   bool
	Pool    *Pool // shared by all checks of a process; nil: one of its own

	Send   []byte         // kind tcp
	Expect *regexp.Regexp // kind tcp

	Method          string // kinds http and https from here; default GET
	Host            string // default: Address
	Path            string // with the query; default /
	Headers         []Header
	ExpectStatus    []StatusRange // default 200-299
	ExpectBody      string
	ExpectBodyRE    *regexp.Regexp
	FollowRedirects bool

	TLS *tls.Config // kind https; nil: the system's CAs, no client certificate
}

// A Header is one header line of a request.
type Header struct{ Name, Value string }

// A StatusRange is a range of HTTP status codes, both ends in.
type StatusRange struct{ From, To int }

// New makes the prober of a kind. It is a healthloop.Watcher only if spec.Watch
// is set.
func New(kind string, spec Spec) (healthloop.Prober, error) {
	t, err := newTarget(spec.Address, spec.Pool)
	if err != nil {
		return nil, err
	}
	var p healthloop.Prober
	switch kind {
	case "tcp":
		p = newTCP(t, spec)
	case "http":
		p, err = newHTTP(t, spec)
	case "https":
		p, err = newHTTPS(t, spec)
	default:
		return nil, fmt.Errorf("check of %s: unknown kind %q", spec.Address, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s check of %s: %w", kind, spec.Address, err)
	}
	if spec.Watch {
		return newWatched(p, t), nil
	}
	return p, nil
}
