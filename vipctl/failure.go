package vipctl

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A failure is an error with the exit code that it asks for.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) *failure {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

func failed(format string, args ...any) *failure {
	return &failure{exitFailed, fmt.Errorf(format, args...)}
}

// explainError makes of what a verb returned what the user can act on.
func (a *app) explainError(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	s, ok := status.FromError(err)
	if !ok {
		return failed("%w", err)
	}
	cause, heard := a.link.state()
	// The text is the server's, and its lines are: a reload has one a problem.
	text := cleanLines(s.Message())
	switch s.Code() {
	case codes.Unavailable:
		if cause != nil {
			return &failure{exitUnreachable, errors.New(a.link.endpoint.unreachable(cause, heard))}
		}
	case codes.DeadlineExceeded:
		if !heard {
			err := fmt.Errorf("vipd at %s did not answer within %v (--timeout)", a.link.endpoint, a.timeout)
			return &failure{exitUnreachable, err}
		}
		return failed("no answer within %v (--timeout): %s", a.timeout, text)
	case codes.Canceled:
		return failed("interrupted before vipd answered")
	case codes.InvalidArgument:
		if all := violations(s); all != "" {
			return usage("vipd refused the request:%s", all) // the text is the same, in one line
		}
		return usage("vipd refused the request: %s", text)
	case codes.PermissionDenied, codes.Unauthenticated:
		return failed("vipd refused permission: %s", text)
	case codes.Unimplemented:
		return failed("this vipd does not know the request; it is older than this vipctl (see vipctl version): %s", text)
	}
	return failed("vipd refused: %s", text)
}

// violations lists all that is wrong in a request, where vipd tells.
func violations(s *status.Status) string {
	var b strings.Builder
	for _, d := range s.Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			fmt.Fprintf(&b, "\n  %s: %s", clean(v.GetField()), clean(v.GetDescription()))
		}
	}
	return b.String()
}
