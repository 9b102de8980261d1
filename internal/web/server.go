package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/board"
)

// stopTimeout is how long answers that are under way may take at the end.
const stopTimeout = time.Second

// Options is what a Server works with; all of it is required.
type Options struct {
	Listen  string // host:port
	Version string
	Log     *zap.Logger
	Sources Sources

	now func() time.Time // of the page; nil: time.Now
}

// A Server answers HTTP requests about this vipd.
type Server struct {
	opts     Options
	handler  http.Handler
	listener net.Listener // nil before Listen
}

// New returns a Server. It starts and opens nothing.
func New(o Options) *Server { return &Server{opts: o, handler: routes(o)} }

// Listen opens the port, for who must know that it is free before Run.
func (s *Server) Listen() error {
	ln, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	s.listener = ln
	return nil
}

// Run serves until ctx ends. It listens if nobody has asked it to before.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	return s.serve(ctx, s.listener)
}

// serve owns one goroutine, which ends when the listener is closed.
func (s *Server) serve(ctx context.Context, ln net.Listener) error {
	// Every wait has an end, so that a client that is slow or silent costs one
	// connection for a while and nobody else anything.
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(s.opts.Log),
		// Streams end by themselves when we do.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	s.opts.Log.Info("http serves", zap.Stringer("listen", ln.Addr()))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended: // never nil
		return fmt.Errorf("http %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // a slow client must not hold up the end
	}
	<-ended
	return err
}

func routes(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics(registry(o.Version, o.Sources), o.Log))
	mux.Handle("GET /healthz", probe(o.Sources.Alive))
	mux.Handle("GET /readyz", probe(o.Sources.Ready))
	mux.Handle("GET /assets/{file}", files())
	p, boarded := newPages(o), shownBy(o.Sources.Board)
	mux.Handle("GET /{$}", boarded(p.serve("page")))
	mux.Handle("GET /fragment", boarded(p.serve("live")))
	mux.Handle("GET /api/v1/status", boarded(statusHandler(o.Sources)))
	mux.Handle("GET /api/v1/vips", boarded(vipsHandler(o.Sources)))
	mux.Handle("GET /api/v1/watch", boarded(watch(o.Sources.Board)))
	return guarded(mux)
}

// shownBy serves what needs b, also when there is none.
func shownBy(b *board.Board) func(http.HandlerFunc) http.HandlerFunc {
	return func(h http.HandlerFunc) http.HandlerFunc {
		if b != nil {
			return h
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "unavailable: this vipd shows its state in /metrics only", http.StatusServiceUnavailable)
		}
	}
}

// metrics serves what can be gathered. What can't is counted, so that one bad
// source does not hide the others when they are needed most.
func metrics(r *prometheus.Registry, log *zap.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		Registry:      r,
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      zap.NewStdLog(log),
	})
}

// probe answers 200 when problem tells of none, else 503 with it.
func probe(problem func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := problem(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	}
}
