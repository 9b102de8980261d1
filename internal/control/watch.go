package control

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// watchBatch is how many changes a reader takes from the board at a time.
const watchBatch = 64

// Watch follows the board. Its headers go out once no change can be missed.
func (v service) Watch(r *vipdv1.WatchRequest, stream grpc.ServerStreamingServer[vipdv1.WatchResponse]) error {
	s := v.s
	who, ok := callerOf(stream.Context())
	if !ok || !s.watches.enter(who.key) {
		s.refused.Add(1)
		return status.Errorf(codes.ResourceExhausted, "too many Watch streams: vipd serves %d, and %d of one caller",
			s.limits.watches, s.limits.callerWatches)
	}
	defer s.watches.leave(who.key)
	from := board.Cursor{Instance: r.Instance, Sequence: r.AfterSequence}
	return s.sending(stream, func(ctx context.Context, send func(any) error) error {
		reader := s.opts.Board.Read(from, r.EventsOnly)
		if err := stream.SendHeader(metadata.MD{}); err != nil {
			return err
		}
		for {
			batch, err := reader.Next(ctx, watchBatch)
			if err != nil {
				return err
			}
			// Roles and certificates may have changed while it waited.
			if err := s.allow(who, "Watch"); err != nil {
				return err
			}
			for _, m := range batch {
				if err := send(m); err != nil {
					return err
				}
			}
		}
	})
}

// Drain passes on what the node tells.
func (v service) Drain(r *vipdv1.DrainRequest, stream grpc.ServerStreamingServer[vipdv1.DrainProgress]) error {
	return v.s.sending(stream, func(ctx context.Context, send func(any) error) error {
		return v.node().Drain(ctx, actorOf(ctx), r, func(p *vipdv1.DrainProgress) error { return send(p) })
	})
}

// sending runs body in a goroutine of its own, and ends the stream when its
// client takes nothing for too long, or vipd stops. Only the end of a handler
// interrupts a Send that waits for its client, so the handler itself can't do
// the sending. The goroutine ends after the handler: its Send then fails, and
// so does all that waits for its context.
func (s *Server) sending(stream grpc.ServerStream, body func(ctx context.Context, send func(any) error) error) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	timer := time.NewTimer(s.limits.sending)
	timer.Stop()
	done := make(chan error, 1)
	s.streams.Go(func() {
		done <- body(ctx, func(m any) error {
			timer.Reset(s.limits.sending)
			defer timer.Stop()
			return stream.SendMsg(m)
		})
	})
	select {
	case err := <-done:
		return err
	case <-s.stopping:
		return status.Error(codes.Unavailable, "vipd stops")
	case <-timer.C:
		who, _ := callerOf(ctx)
		s.opts.Log.Warn("stream ended: its client does not read", zap.String("by", string(who.actor)))
		return status.Error(codes.ResourceExhausted, fmt.Sprintf(
			"the stream was not read for %v: call Watch again with instance and after_sequence of the last response", s.limits.sending))
	}
}
