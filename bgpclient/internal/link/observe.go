package link

import (
	"context"
	"errors"
	"io"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// observed reports how an RPC ended.
func (c *Conn) observed(method string, began time.Time, err error) {
	if c.Options.Observe == nil {
		return
	}
	if errors.Is(err, io.EOF) { // how a stream says OK
		err = nil
	}
	c.Options.Observe(path.Base(method), status.Code(err).String(), time.Since(began))
}

func (c *Conn) observeUnary(ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	began := time.Now()
	err := invoke(ctx, method, req, reply, cc, opts...)
	c.observed(method, began, err)
	return err
}

func (c *Conn) observeStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
	method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	began := time.Now()
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		c.observed(method, began, err)
		return nil, err
	}
	return &stream{ClientStream: s, many: desc.ServerStreams, end: func(err error) { c.observed(method, began, err) }}, nil
}

// A stream tells when its last answer has come.
type stream struct {
	grpc.ClientStream
	many bool // answers
	end  func(error)
}

// RecvMsg is called again until it fails where there are many answers, and once
// where there is one.
func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil || !s.many {
		s.end(err)
	}
	return err
}
