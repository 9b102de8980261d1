package control

import (
	"context"

	"go.uber.org/zap"

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

// A Server serves the control API.
type Server struct{ opts Options }

// New returns a Server. It starts and opens nothing.
func New(o Options) *Server { return &Server{opts: o} }

// Listen opens all that is to be listened on, or nothing.
func (s *Server) Listen() error { return nil }

// Run serves until ctx ends. It listens if nobody has asked it to before.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Reconfigure puts other roles and certificates in force, for those too that
// are connected. With an error nothing changed.
func (s *Server) Reconfigure(readWrite, readOnly Roles, tls *TLSFiles) error { return nil }
