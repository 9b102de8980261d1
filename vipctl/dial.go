package vipctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// maxAnswer bounds one message: a page of 1000 VIPs may have many backends.
const maxAnswer = 64 << 20

// An endpoint is where vipd listens.
type endpoint struct {
	network, address string // unix and a path, or tcp and host:port
	host             string // of tcp
}

func (e endpoint) String() string {
	if e.network == "unix" {
		return "unix://" + e.address
	}
	return e.address
}

func parseServer(s string) (endpoint, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok || strings.HasPrefix(s, "/") {
		if path == "" {
			path = s
		}
		if path == "unix://" {
			return endpoint{}, usage("--server %q: the socket's path is missing (unix:///run/vipd/vipd.sock)", s)
		}
		return endpoint{network: "unix", address: path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return endpoint{}, usage("--server %q: it is neither unix:///path nor host:port", s)
	}
	return endpoint{network: "tcp", address: s, host: host}, nil
}

func (e endpoint) loopback() bool {
	ip, err := netip.ParseAddr(e.host)
	return e.host == "localhost" || err == nil && ip.IsLoopback()
}

// dial returns a client. It connects with the first call.
func (a *app) dial() (vipdv1.VipServiceClient, error) {
	if a.conn != nil {
		return vipdv1.NewVipServiceClient(a.conn), nil
	}
	e, err := parseServer(a.server)
	if err != nil {
		return nil, err
	}
	secrets, err := a.credentials(e)
	if err != nil {
		return nil, err
	}
	a.link = &link{endpoint: e}
	dialer := &net.Dialer{}
	a.conn, err = grpc.NewClient("passthrough:///localhost",
		grpc.WithTransportCredentials(listening{secrets, a.link}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, e.network, e.address)
			a.link.dialed(err)
			return conn, err
		}),
		// A proxy of the environment is no way to a node's control.
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second, Backoff: backoff.Config{
			BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}))
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", e, err)
	}
	return vipdv1.NewVipServiceClient(a.conn), nil
}

func (a *app) hangUp() {
	if a.conn != nil {
		_ = a.conn.Close() // nothing is lost with it: every call has ended
	}
}

// credentials returns how to talk to e: in plaintext on a socket, whose file
// mode is its guard, else by mutual TLS.
func (a *app) credentials(e endpoint) (credentials.TransportCredentials, error) {
	if e.network == "unix" {
		return insecure.NewCredentials(), nil
	}
	if a.insecureLoopback {
		if !e.loopback() {
			return nil, usage("--insecure-loopback: %s is no loopback address", e.host)
		}
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.serverName}
	if config.ServerName == "" {
		config.ServerName = e.host
	}
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, usage("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage("--ca-file: %s has no certificate in PEM", a.caFile)
		}
	}
	if (a.certFile == "") != (a.keyFile == "") {
		return nil, usage("--cert-file and --key-file go together")
	}
	if a.certFile != "" {
		pair, err := tls.LoadX509KeyPair(a.certFile, a.keyFile)
		if err != nil {
			return nil, usage("--cert-file %s with --key-file %s: %w", a.certFile, a.keyFile, err)
		}
		// Go would keep one back that vipd's authorities did not sign, and vipd
		// could then not say that this is what is wrong.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return credentials.NewTLS(config), nil
}
