package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

// An attempt is one probe under way: what its failures are told with.
type attempt struct {
	started time.Time
	what    string // "GET http://10.1.0.11:8080/healthz"
	steps   [4]string
	done    int // how many of the steps
}

func begin(what string) attempt { return attempt{started: time.Now(), what: what} }

// did notes how far the probe got: "connected". It is put into words only when
// a failure is told.
func (a *attempt) did(step string) {
	a.steps[a.done] = step
	a.done++
}

// again begins another request of the same probe.
func (a *attempt) again(what string) { a.what, a.done = what, 0 }

// failf is a Failure whose text begins with what was asked.
func (a *attempt) failf(reason healthloop.Reason, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &healthloop.Failure{Reason: reason, Err: fmt.Errorf("%s: %w", a.what, err)}
}

// broken is the Failure of a connection that ended, or of a connect that did
// not succeed, with err. A fault that no class is known for is of class other.
func (a *attempt) broken(ctx context.Context, err error, other healthloop.Reason) error {
	switch reason := reasonOf(err); {
	case ctx.Err() == context.Canceled:
		return a.failf(healthloop.ReasonOther, "%w", ctx.Err())
	case reason == healthloop.ReasonTimeout:
		return a.failf(reason, "no answer within %s%s", a.limit(ctx), a.sofar())
	case reason == healthloop.ReasonReset:
		return a.failf(reason, "connection cut by the other side%s: %w", a.sofar(), cause(err))
	case reason == healthloop.ReasonOther:
		return a.failf(other, "%w", err)
	default:
		return a.failf(reason, "%w", cause(err))
	}
}

// unconnected is the Failure of a connect to address.
func (a *attempt) unconnected(ctx context.Context, address string, err error) error {
	a.what = "connect " + address
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		a.what = "resolve " + dns.Name
	}
	return a.broken(ctx, err, healthloop.ReasonOther)
}

// limit is the time that the probe was given, rounded: a part of it had passed
// when the probe began.
func (a *attempt) limit(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now()
	}
	d := end.Sub(a.started)
	if d < 100*time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

func (a *attempt) sofar() string {
	if a.done == 0 {
		return ""
	}
	return " (" + strings.Join(a.steps[:a.done], ", ") + ")"
}

// reasonOf classes an error of the network.
func reasonOf(err error) healthloop.Reason {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return reasonOfErrno(errno)
	}
	switch dns, ok := errors.AsType[*net.DNSError](err); {
	case ok && !dns.IsTimeout:
		return healthloop.ReasonUnreachable
	case ok, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return healthloop.ReasonTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return healthloop.ReasonReset
	}
	return healthloop.ReasonOther
}

func reasonOfErrno(errno syscall.Errno) healthloop.Reason {
	switch errno {
	case syscall.ECONNREFUSED:
		return healthloop.ReasonRefused
	case syscall.ETIMEDOUT:
		return healthloop.ReasonTimeout
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		return healthloop.ReasonReset
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN:
		return healthloop.ReasonUnreachable
	// EADDRNOTAVAIL is what connect says when all source ports are taken.
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL,
		syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT:
		return healthloop.ReasonLocal
	}
	return healthloop.ReasonOther
}

// cause is the innermost error that says something: an operator has read the
// address already and need not know the names of system calls.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	return err
}

const excerptBytes = 80

// excerpt quotes the beginning of what a backend sent, in at most excerptBytes
// bytes. Nothing in it can reach a terminal or a log unescaped.
func excerpt(b []byte) string {
	for cut := min(len(b), excerptBytes); ; cut-- {
		quoted := strconv.Quote(string(b[:cut]))
		if cut < len(b) {
			quoted += "…"
		}
		if len(quoted) <= excerptBytes {
			return quoted
		}
	}
}
