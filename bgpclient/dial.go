package bgpclient

import (
	"crypto/tls"
	"errors"
	"time"
)

// ErrWrongAPI is wrapped by a driver's Dial when the daemon answers, but does
// not serve the API that the driver speaks.
var ErrWrongAPI = errors.New("the daemon does not serve this API")

// DialOptions say where a speaker is and who writes to it.
type DialOptions struct {
	Target string      // host:port, or unix:///path
	TLS    *tls.Config // nil: plain text
	// Owner is the path identifier that every write carries; not zero. Paths
	// with another one are never changed.
	Owner uint32
	// Observe is told of every finished RPC, if not nil: its name, its gRPC
	// status code and how long it took.
	Observe func(rpc, code string, took time.Duration)
}
