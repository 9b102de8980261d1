package vipctl

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A stream reads Watch until the user has enough. When vipd goes away it
// connects again, and goes on where it was.
type stream struct {
	api     vipdv1.VipServiceClient
	limit   time.Duration        // for the first answer
	request *vipdv1.WatchRequest // kept up to date: where to go on
	// begun is called once a Watch can miss nothing any more. It catches up with
	// what came before, so that there is nothing to go on from; nil: nobody does.
	begun func(context.Context) (instance string, err error)
	take  func(*vipdv1.WatchResponse) error
	// note tells that vipd went away (why is what happened) or is back (why is
	// nil).
	note func(why error, restarted bool)

	instance string // of the daemon that was heard last; empty: none was
	lost     bool   // an outage was told, and its end not yet
}

const (
	leastPause = 200 * time.Millisecond
	mostPause  = 2 * time.Second
)

// run returns nil when ctx ends. Only who had a connection waits for another:
// before that, an error is an error.
func (s *stream) run(ctx context.Context) error {
	connected, pause := false, leastPause
	for {
		heard, err := s.read(ctx, connected)
		if ctx.Err() != nil {
			return nil
		}
		connected = connected || heard
		if !connected || !passes(err) {
			return err
		}
		if heard {
			pause = leastPause
		}
		if !s.lost {
			s.lost = true
			s.note(err, false)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// read reads one stream to its end, and returns whether it brought anything and
// why it ended. Who is patient waits for a connection as long as it takes.
func (s *stream) read(ctx context.Context, patient bool) (heard bool, err error) {
	ctx, dog := newWatchdog(ctx, s.limit)
	defer dog.stop()
	if patient {
		dog.fed()
	}
	err = s.readAll(ctx, grpc.WaitForReady(patient), func(instance string) {
		dog.fed()
		heard = true
		s.alive(instance)
	})
	return heard, dog.cause(err)
}

func (s *stream) readAll(ctx context.Context, wait grpc.CallOption, alive func(instance string)) error {
	watch, err := s.api.Watch(ctx, s.request, wait)
	if err != nil {
		return err
	}
	// The headers come when the stream has begun. Without any it has failed, and
	// Recv tells why.
	if headers, _ := watch.Header(); headers != nil && s.begun != nil {
		instance, err := s.begun(ctx)
		if err != nil {
			return err
		}
		alive(instance)
	}
	for {
		r, err := watch.Recv()
		if err != nil {
			return err
		}
		alive(r.GetInstance())
		if s.begun == nil {
			s.request.Instance, s.request.AfterSequence = r.GetInstance(), r.GetSequence()
		}
		if err := s.take(r); err != nil {
			return err
		}
	}
}

// alive notes that vipd is there, and tells it after an outage.
func (s *stream) alive(instance string) {
	if s.lost {
		s.lost = false
		s.note(nil, instance != s.instance)
	}
	s.instance = instance
}

// passes reports whether an error is one that a daemon's restart explains.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return errors.Is(err, io.EOF) // vipd stops in order
}
