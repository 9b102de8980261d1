package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// An error travels in HTTP/2 trailers, which many clients bound to 8 KiB: longer
// ones they would not see at all. With details the text is in there twice.
const (
	longText    = 6 << 10
	shortText   = 1 << 10
	longDetails = 3 << 10
)

func (k Kind) code() codes.Code {
	switch k {
	case NotFound:
		return codes.NotFound
	case Precondition:
		return codes.FailedPrecondition
	case Conflict:
		return codes.Aborted
	case Exhausted:
		return codes.ResourceExhausted
	case Unavailable:
		return codes.Unavailable
	case Unconfirmed:
		return codes.DeadlineExceeded
	}
	return codes.Internal
}

// answer turns an error into one of gRPC. What is one already stays as it is.
func answer(err error) error {
	var refusal *Refusal
	var invalid Invalid
	if err == nil {
		return nil
	}
	switch _, done := status.FromError(err); {
	case errors.As(err, &invalid):
		return invalidArgument(invalid)
	case errors.As(err, &refusal):
		return status.Error(refusal.Kind.code(), clip(err.Error(), longText))
	case done:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, clip(err.Error(), longText))
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, clip(err.Error(), longText))
	}
	return status.Error(codes.Internal, clip(err.Error(), longText))
}

// invalidArgument has a text that stands alone, and each violation for programs,
// as many of both as fit.
func invalidArgument(all Invalid) error {
	details, room := &errdetails.BadRequest{}, longDetails
	text := Invalid{}.Error()
	for i, v := range all {
		v.Field, v.Text = strings.ToValidUTF8(v.Field, "\uFFFD"), strings.ToValidUTF8(v.Text, "\uFFFD")
		room -= len(v.Field) + len(v.Text) + 8
		line := v.Field + ": " + v.Text
		if room >= 0 {
			details.FieldViolations = append(details.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Text})
		}
		switch {
		case i == 0:
			text = clip(line, shortText)
		case encoded(text)+encoded(line) > shortText:
			return detailed(codes.InvalidArgument, fmt.Sprintf("%s; and %d more", text, len(all)-i), details)
		default:
			text += "; " + line
		}
	}
	return detailed(codes.InvalidArgument, text, details)
}

func detailed(code codes.Code, text string, details protoadapt.MessageV1) error {
	st := status.New(code, text)
	if with, err := st.WithDetails(details); err == nil { // else the text must do
		st = with
	}
	return st.Err()
}

// encoded is how many bytes text takes as grpc-message, percent-encoded.
func encoded(text string) int {
	n := len(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			n += 2
		}
	}
	return n
}

// clip shortens text to what takes limit bytes encoded, and makes it UTF-8,
// which protobuf insists on.
func clip(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if encoded(text) <= limit {
		return text
	}
	const tail = " … (cut here)"
	room, end := limit-encoded(tail), 0
	for i, r := range text {
		size := encoded(text[i : i+utf8.RuneLen(r)])
		if room -= size; room < 0 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return text[:end] + tail
}
