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
	// Liveness reads the backend's BFD session: needed for kind bfd, and for the
	// others a failure to notice besides; nil: none.
	Liveness func() Liveness

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
// or spec.Liveness is set.
func New(kind string, spec Spec) (healthloop.Prober, error) {
	t, err := newTarget(spec.Address, spec.Pool)
	if err != nil {
		return nil, err
	}
	var p healthloop.Prober
	switch kind {
	case "bfd":
		p, err = newBFD(t, spec)
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
	if spec.Watch && kind != "bfd" {
		p = newWatched(p, t)
	}
	if spec.Liveness != nil && kind != "bfd" {
		p = &gated{Prober: p, what: "bfd " + t.address, liveness: spec.Liveness}
	}
	return p, nil
}
