package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// Roles lists who has a role: users and groups on a unix socket, and names of
// client certificates.
type Roles struct {
	UIDs, GIDs []uint32
	Names      []string
}

// TLSFiles names the files that TCP is served with; all are PEM.
type TLSFiles struct{ CertFile, KeyFile, ClientCAFile string }

// Options is what a Server works with.
type Options struct {
	Listen []string // unix:///path or host:port
	Group  string   // of the sockets, a name or a number; empty: vipd's own
	// With both empty everybody who gets a connection may do all. Root and
	// vipd's own user always may.
	ReadWrite, ReadOnly Roles
	TLS                 *TLSFiles // nil: no TLS
	InsecureLoopback    bool      // serve loopback addresses without TLS
	Node                Node
	Board               *board.Board
	Log                 *zap.Logger
}

// A Server serves the control API. It has one goroutine for each listener, and
// one for each stream; gRPC has its own.
type Server struct {
	opts      Options
	limits    limits
	grants    atomic.Pointer[grants]
	keyring   atomic.Pointer[keyring] // nil without TLS
	names     names
	callers   *quota // connections of each caller
	watches   *quota
	pace      *pacer
	strangers rate.Sometimes // connections that are refused are told of
	listeners []*listener
	stopping  chan struct{}
	streams   sync.WaitGroup // goroutines that send
	refused   atomic.Uint64  // calls, by role or rate
}

// Stats tells how many watch now, and how many calls were refused by role or
// rate.
func (s *Server) Stats() (watchers int, refused uint64) { return s.watches.now(), s.refused.Load() }

// New returns a Server. It starts and opens nothing.
func New(o Options) *Server { return newServer(o, defaultLimits()) }

func newServer(o Options, l limits) *Server {
	s := &Server{
		opts: o, limits: l,
		callers:   newQuota(0, l.callerConnections),
		watches:   newQuota(l.watches, l.callerWatches),
		pace:      newPacer(l.mutations, l.burst),
		strangers: rate.Sometimes{First: 10, Interval: time.Second},
		stopping:  make(chan struct{}),
	}
	s.grants.Store(&grants{o.ReadWrite, o.ReadOnly, uint32(os.Geteuid())})
	return s
}

// Listen opens all that is to be listened on, or nothing.
func (s *Server) Listen() error {
	if s.opts.TLS != nil {
		k, err := newKeyring(*s.opts.TLS, s.opts.Log)
		if err != nil {
			return err
		}
		s.keyring.Store(k)
	}
	for _, name := range s.opts.Listen {
		l, err := s.open(name)
		if err != nil {
			s.close()
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *Server) drop() {
	for _, l := range s.listeners {
		l.drop()
	}
}

func (s *Server) close() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
}

// Reconfigure puts other roles and certificates in force, also for those who
// are connected. With an error nothing changed.
func (s *Server) Reconfigure(readWrite, readOnly Roles, tls *TLSFiles) error {
	old := s.keyring.Load()
	switch {
	case (tls == nil) != (old == nil):
		return errors.New("api.tls: TCP can be given TLS, or lose it, by a restart only")
	case tls != nil && *tls != old.files:
		k, err := newKeyring(*tls, s.opts.Log)
		if err != nil {
			return err
		}
		s.keyring.Store(k)
	}
	s.grants.Store(&grants{readWrite, readOnly, s.grants.Load().own})
	return nil
}

// Run serves until ctx ends. It listens if nobody has asked it to before, and
// is for one use.
func (s *Server) Run(ctx context.Context) error {
	if s.listeners == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	alive := health.NewServer() // serving, by default
	alive.SetServingStatus(vipdv1.VipService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	server := s.server(alive)
	ended := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		s.opts.Log.Info("api serves", zap.String("listen", l.name))
		go func() { // until the server stops
			err := server.Serve(l)
			if err != nil {
				err = fmt.Errorf("api.listen: %s: %w", l.name, err)
			}
			ended <- err
		}()
	}
	var failed error
	waiting := len(s.listeners)
	select {
	case failed = <-ended:
		waiting--
	case <-ctx.Done():
	}
	close(s.stopping) // ends the streams
	alive.Shutdown()
	// gRPC's own hard stop would wait for those who were slow to say who they are.
	hard := time.AfterFunc(s.limits.stop, s.drop)
	server.GracefulStop()
	hard.Stop()
	for range waiting {
		<-ended
	}
	s.streams.Wait()
	return failed
}

func (s *Server) server(alive *health.Server) *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(identity{s}),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.StatsHandler(unread{s}),
		grpc.MaxRecvMsgSize(s.limits.receive),
		grpc.MaxSendMsgSize(s.limits.send),
		grpc.MaxConcurrentStreams(s.limits.streams),
		grpc.MaxHeaderListSize(headers),
		grpc.ConnectionTimeout(s.limits.handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.limits.idle, Time: s.limits.ping, Timeout: s.limits.pong,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPings, PermitWithoutStream: true}),
	)
	vipdv1.RegisterVipServiceServer(server, service{s: s})
	healthv1.RegisterHealthServer(server, alive)
	reflection.Register(server)
	return server
}
