package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestErrorsHaveTheirCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{Refuse(NotFound, "there is no VIP %q", "x"), codes.NotFound, `there is no VIP "x"`},
		{Refuse(Precondition, "p"), codes.FailedPrecondition, "p"},
		{Refuse(Conflict, "c"), codes.Aborted, "c"},
		{Refuse(Exhausted, "e"), codes.ResourceExhausted, "e"},
		{Refuse(Unavailable, "u"), codes.Unavailable, "u"},
		{Refuse(Unconfirmed, "u"), codes.DeadlineExceeded, "u"},
		{fmt.Errorf("vip web: %w", fmt.Errorf("set: %w", Refuse(Conflict, "version is 3"))), codes.Aborted, "vip web: set: version is 3"},
		{fmt.Errorf("x: %w", Invalid{{"vip.prefix", "is taken"}}), codes.InvalidArgument, "vip.prefix: is taken"},
		{Invalid{{"a", "1"}, {"b", "2"}}, codes.InvalidArgument, "a: 1; b: 2"},
		{Invalid{}, codes.InvalidArgument, "invalid request"},
		{errors.New("the disk is on fire"), codes.Internal, "the disk is on fire"},
		{fmt.Errorf("ask: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "ask: context deadline exceeded"},
		{context.Canceled, codes.Canceled, "context canceled"},
		{status.Error(codes.Unavailable, "as it is"), codes.Unavailable, "as it is"},
		{&Refusal{Kind: 99, Text: "k"}, codes.Internal, "k"},
		{errors.New("a\xffb"), codes.Internal, "a\uFFFDb"},
	} {
		wantError(t, answer(tt.err), tt.code, tt.text)
	}
	if answer(nil) != nil {
		t.Error("no error became one")
	}
}

func TestViolationsAreDetails(t *testing.T) {
	st := status.Convert(answer(fmt.Errorf("x: %w", Invalid{{"a", "1"}, {"b\xff", "2"}})))
	want := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "a", Description: "1"}, {Field: "b\uFFFD", Description: "2"}}}
	if d := st.Details(); len(d) != 1 || !proto.Equal(d[0].(proto.Message), want) {
		t.Errorf("got %v, want %v", d, want)
	}
}

// Clients in C, Java and other languages refuse trailers of more than 8 KiB, and
// with them all that was said.
func TestErrorsFitTheTrailersOfAllClients(t *testing.T) {
	var many Invalid
	for i := range 1000 {
		many = append(many, Violation{fmt.Sprintf("vips[%d].prefix", i), "is missing\n"})
	}
	for name, err := range map[string]error{
		"many violations":    many,
		"a long violation":   Invalid{{strings.Repeat("f", 9000), strings.Repeat("é", 9000)}},
		"a long text":        errors.New(strings.Repeat("a", 100_000)),
		"a long text of é":   errors.New(strings.Repeat("é", 100_000)),
		"a long text of \\n": Refuse(Precondition, "%s", strings.Repeat("\n", 100_000)),
	} {
		st := status.Convert(answer(err))
		size := encoded(st.Message())
		if len(st.Details()) > 0 {
			size += proto.Size(st.Proto()) * 4 / 3
		}
		if size > 7<<10 || size < 1<<10 {
			t.Errorf("%s: %d bytes", name, size)
		}
		if !utf8.ValidString(st.Message()) {
			t.Errorf("%s: no UTF-8", name)
		}
		if !strings.Contains(st.Message(), "cut here") && !strings.Contains(st.Message(), "more") {
			t.Errorf("%s: does not say that it was cut", name)
		}
	}
}
