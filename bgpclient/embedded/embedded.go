// Package embedded runs GoBGP in this process, behind its own gRPC API on a
// private unix socket: whatever speaks to a gobgpd speaks to it unchanged. It
// configures nothing.
package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// Options of a Speaker.
type Options struct {
	Log *slog.Logger // GoBGP's own log; nil: silence
	Dir string       // where the socket's directory is made; empty: os.TempDir
}

// A Speaker is a BGP speaker in this process.
type Speaker struct {
	dir   string
	log   *slog.Logger
	ready chan struct{}
}

// New names a speaker that Run will start.
func New(opts Options) *Speaker {
	s := &Speaker{dir: filepath.Join(cmp.Or(opts.Dir, os.TempDir()), "vipd-"+rand.Text()), log: opts.Log, ready: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Target is where the speaker listens while Run runs, for bgpclient.DialOptions.
func (s *Speaker) Target() string { return "unix://" + s.socket() }

// Ready is closed once GoBGP has come up; its API takes connections within an
// instant. GoBGP writes to a variable of grpc before (always the same value):
// who must have no data race uses no gRPC in this process until then.
func (s *Speaker) Ready() <-chan struct{} { return s.ready }

func (s *Speaker) socket() string { return filepath.Join(s.dir, "gobgp.sock") }

// Run serves until ctx ends, once, and then closes the sessions with the neighbors.
// Who wants the routes gone in order withdraws them before.
func (s *Speaker) Run(ctx context.Context) error {
	const longest = 107 // unix(7): what a socket's address has room for
	if len(s.socket()) > longest {
		return fmt.Errorf("socket %s: longer than %d bytes (set TMPDIR to a shorter path)", s.socket(), longest)
	}
	// The API has no authentication: who reaches the socket may announce
	// anything. Only this user enters the directory.
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	b := server.NewBgpServer(server.GrpcListenAddress(s.Target()), server.LoggerOption(s.log, new(slog.LevelVar)))
	var served sync.WaitGroup
	served.Go(b.Serve) // ends with Stop
	// Stop does nothing to a server that does not serve yet; it answers once it does.
	if _, err := b.GetBgp(ctx, &api.GetBgpRequest{}); err != nil {
		s.log.Error("embedded speaker does not answer", "error", err)
	}
	close(s.ready)
	<-ctx.Done()
	b.Stop()
	served.Wait()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	return nil
}
