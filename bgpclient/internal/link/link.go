// Package link is the one gRPC connection to a speaker: how it is opened, how
// its loss is noticed, and what its errors mean. It knows no API.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fiberlb/vipd/bgpclient"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// maxAnswer bounds one message from the speaker: a destination with all its
// paths, or a batch of events.
const maxAnswer = 64 << 20

// A Conn is one connection. Once lost it stays lost: a speaker that restarted
// has an empty table, so nobody may go on as if it were the same one.
type Conn struct {
	*grpc.ClientConn
	Options bgpclient.DialOptions
}

// Open connects. It fails with bgpclient.ErrAbsent when nobody listens.
func Open(ctx context.Context, opts bgpclient.DialOptions) (*Conn, error) {
	if opts.Owner == 0 {
		return nil, errors.New("dial speaker: the owner's path identifier is 0, which is everybody's")
	}
	raw, err := dial(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("dial speaker %s: %w", opts.Target, err)
	}
	c := &Conn{Options: opts}
	c.ClientConn, err = grpc.NewClient("passthrough:///"+opts.Target,
		grpc.WithContextDialer(once(raw)),
		// TLS, if any, is in raw already: its errors are clearer there.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0), // never close the one connection there is
		grpc.WithUserAgent("vipd"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithUnaryInterceptor(c.observeUnary),
		grpc.WithStreamInterceptor(c.observeStream),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dial speaker %s: %w", opts.Target, err), raw.Close())
	}
	return c, nil
}

// once hands out conn the first time it is called. grpc dials again by itself
// after a loss, and must not succeed.
func once(conn net.Conn) func(context.Context, string) (net.Conn, error) {
	var used atomic.Bool
	return func(context.Context, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, bgpclient.ErrLost
		}
		return conn, nil
	}
}

func dial(ctx context.Context, opts bgpclient.DialOptions) (net.Conn, error) {
	network, address := "tcp", opts.Target
	if path, ok := strings.CutPrefix(opts.Target, "unix://"); ok {
		network, address = "unix", path
	}
	// gobgpd's gRPC server takes pings more often than every 5 minutes for an
	// attack and hangs up, so the kernel watches over the connection instead.
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
	raw, err := d.DialContext(ctx, network, address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, fmt.Errorf("%w: %w", bgpclient.ErrAbsent, err)
	case err != nil:
		return nil, err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		// What a lost connection has not delivered must not arrive later: the
		// next one may have said otherwise meanwhile.
		if err := tcp.SetLinger(0); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	if opts.TLS == nil {
		return raw, nil
	}
	conn := tls.Client(raw, tlsConfig(opts, network))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS: %w (does the speaker expect TLS here?)", err), raw.Close())
	}
	return conn, nil
}

func tlsConfig(opts bgpclient.DialOptions, network string) *tls.Config {
	cfg := opts.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	if host, _, err := net.SplitHostPort(opts.Target); err == nil && network == "tcp" && cfg.ServerName == "" {
		cfg.ServerName = host
	}
	return cfg
}

// Error gives the error of a call its meaning: ErrLost when nothing is known of
// the connection or of the call's effect any more.
func Error(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w", doing, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %w", doing, bgpclient.ErrLost, context.Cause(ctx))
	case s.Code() == codes.Unimplemented:
		return fmt.Errorf("%s: %w: %s", doing, bgpclient.ErrWrongAPI, s.Message())
	case s.Code() == codes.Unavailable, s.Code() == codes.DeadlineExceeded, s.Code() == codes.Canceled:
		return fmt.Errorf("%s: %w: %s", doing, bgpclient.ErrLost, s.Message())
	}
	return fmt.Errorf("%s: %s", doing, s.Message())
}

// First gives the error of the first call on a connection its meaning: one that
// is closed at once was not meant for us.
func (c *Conn) First(ctx context.Context, err error) error {
	err = Error(ctx, "ask speaker "+c.Options.Target, err)
	if errors.Is(err, bgpclient.ErrLost) && ctx.Err() == nil {
		hint := "does it expect TLS?"
		if c.Options.TLS != nil {
			hint = "does it accept our certificate?"
		}
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}
