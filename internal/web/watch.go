package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/fiberlb/vipd/internal/board"
)

const (
	maxStreams    = 64
	streamPace    = 250 * time.Millisecond // at least, between two changes
	streamBeat    = 15 * time.Second       // at most, between two lines
	streamTimeout = 10 * time.Second       // for a client to take a line
	streamBatch   = 8192                   // changes that are passed over at once
)

// watch streams that something changed, as server-sent events. What it is now,
// the client asks: so wakes may be merged, and a slow client misses nothing.
func watch(b *board.Board) http.HandlerFunc {
	streams := make(chan struct{}, maxStreams)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case streams <- struct{}{}:
			defer func() { <-streams }()
		default:
			w.Header().Set("Retry-After", "30")
			http.Error(w, fmt.Sprintf("there are %d streams already", maxStreams), http.StatusServiceUnavailable)
			return
		}
		s := stream{w: w, control: http.NewResponseController(w), reader: b.Read(board.Cursor{}, false)}
		// The server's own limit is for requests, and would cut the stream.
		if err := s.control.SetReadDeadline(time.Time{}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no") // a proxy would keep lines back
		_ = s.run(r.Context())                    // who watched has gone, or vipd ends
	}
}

// A stream is one client's.
type stream struct {
	w       io.Writer
	control *http.ResponseController
	reader  *board.Reader
}

// run ends with ctx, or when the client does not take a line in time.
func (s *stream) run(ctx context.Context) error {
	if err := s.send("retry: 2000\n\n"); err != nil {
		return err
	}
	pace := time.NewTicker(streamPace)
	defer pace.Stop()
	for {
		line, err := s.next(ctx)
		if err != nil {
			return err
		}
		if err := s.send(line); err != nil {
			return err
		}
		pace.Reset(streamPace)
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next waits for a change, the first of which is that there is a stream: a page
// may be older than that.
func (s *stream) next(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, streamBeat)
	defer cancel()
	sequence, err := s.passOver(limited)
	switch {
	case err == nil:
		return "event: change\ndata: " + strconv.FormatUint(sequence, 10) + "\n\n", nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return ": nothing changed\n\n", nil
	}
	return "", err
}

// passOver waits for changes and returns the last one's sequence. A snapshot is
// one change, whatever its parts.
func (s *stream) passOver(ctx context.Context) (uint64, error) {
	for {
		batch, err := s.reader.Next(ctx, streamBatch)
		if err != nil {
			return 0, err
		}
		last := batch[len(batch)-1]
		if part := last.GetSnapshot(); part == nil || part.GetLast() {
			return last.GetSequence(), nil
		}
	}
}

func (s *stream) send(line string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, line); err != nil {
		return err
	}
	return s.control.Flush()
}
