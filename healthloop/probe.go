package healthloop

import (
	"context"
	"time"
)

// A Prober asks one backend once. Probe returns nil for a good answer, else
// best a *Failure. It keeps to ctx's deadline in all that it does and is never
// called twice at a time.
type Prober interface {
	Probe(ctx context.Context) error
}

// A Watcher is a Prober that can notice that something happened to its backend
// between probes. Watch returns nil when there is reason to probe now, an error
// when it could not watch; in both cases it is called again only after a good
// probe. It returns at once when ctx ends. Probes go on while it runs, which may
// be for days.
type Watcher interface {
	Prober
	Watch(ctx context.Context) error
}

// A Failure is a probe's bad answer with the class that it is counted under.
type Failure struct {
	Reason Reason
	Err    error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// A Reason classes failures, for metrics: few, and the same for all kinds.
type Reason string

// The classes of failures.
const (
	ReasonRefused     Reason = "refused"     // nobody listens
	ReasonTimeout     Reason = "timeout"     // no (whole) answer in time
	ReasonReset       Reason = "reset"       // the connection was cut before the answer
	ReasonUnreachable Reason = "unreachable" // no route, no address, no such host
	ReasonTLS         Reason = "tls"         // handshake or certificate
	ReasonStatus      Reason = "status"      // the answer's status is not an expected one
	ReasonBody        Reason = "body"        // the answer's content is not the expected one
	ReasonProtocol    Reason = "protocol"    // not an answer of that protocol
	ReasonBFD         Reason = "bfd"         // its BFD session is not up
	ReasonLocal       Reason = "local"       // the fault is here: no descriptors, no permission
	ReasonOther       Reason = "other"
)

// Timing is how often and how patiently a backend is asked.
type Timing struct {
	Interval time.Duration // > 0, from start to start
	Timeout  time.Duration // > 0, for the whole of one probe
	Rise     int           // good probes in a row until up, ≥ 1
	Fall     int           // bad probes in a row until down, ≥ 1
}
