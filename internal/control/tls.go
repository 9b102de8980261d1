package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"
)

// secrets is a certificate with its key, and whose certificates are accepted.
type secrets struct {
	own     tls.Certificate
	clients *x509.CertPool
}

// A keyring holds secrets as the files have them. The mutex is for handshakes,
// which run in goroutines of gRPC's: one of them reads for all.
type keyring struct {
	files  TLSFiles
	log    *zap.Logger
	mu     sync.Mutex
	seen   [3]stamp // of what is loaded
	loaded *secrets
	failed string // why they could not be read last
}

// A stamp changes with a file.
type stamp struct {
	at   time.Time
	size int64
}

// newKeyring reads the files. Its error names the key of the configuration.
func newKeyring(files TLSFiles, log *zap.Logger) (*keyring, error) {
	k := &keyring{files: files, log: log, seen: stamps(files)}
	var err error
	k.loaded, err = load(files)
	return k, err
}

func stamps(f TLSFiles) (all [3]stamp) {
	for i, name := range []string{f.CertFile, f.KeyFile, f.ClientCAFile} {
		if info, err := os.Stat(name); err == nil {
			all[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return all
}

func load(f TLSFiles) (*secrets, error) {
	own, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls: certificate %s with key %s: %w", f.CertFile, f.KeyFile, err)
	}
	pem, err := os.ReadFile(f.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls.client_ca_file: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("api.tls.client_ca_file: %s has no certificate in PEM", f.ClientCAFile)
	}
	return &secrets{own, clients}, nil
}

// current reads the files anew when they changed. While they can't be used, as
// in the moment between two of them being written, the old ones are.
func (k *keyring) current() *secrets {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := stamps(k.files)
	if now == k.seen {
		return k.loaded
	}
	loaded, err := load(k.files)
	if err != nil {
		if k.failed != err.Error() {
			k.log.Error("certificates not reloaded, the old ones are used", zap.Error(err))
		}
		k.failed = err.Error()
		return k.loaded
	}
	k.seen, k.loaded, k.failed = now, loaded, ""
	k.log.Info("certificates reloaded")
	return k.loaded
}

// byCertificate makes the TLS handshake; its caller has set a deadline.
func byCertificate(c net.Conn, with *secrets) (net.Conn, *caller, error) {
	secured := tls.Server(c, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{with.own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    with.clients,
		// A ticket would let in who was checked once, and nobody waits for a
		// handshake here.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(subjects(state.PeerCertificates[0])) == 0 {
				return errors.New("the client certificate has no name: neither DNS, URI or email, nor a common name")
			}
			return nil
		},
	})
	if err := secured.HandshakeContext(context.Background()); err != nil {
		return nil, nil, err
	}
	state := secured.ConnectionState()
	if state.NegotiatedProtocol != "h2" { // without ALPN at all, crypto/tls lets a client in
		return nil, nil, errors.New("the client does not offer the protocol h2")
	}
	who := &caller{kind: certificate, chain: state.PeerCertificates, names: subjects(state.PeerCertificates[0])}
	who.actor = Actor("cert " + who.names[0])
	who.key = string(who.actor)
	who.verified.Store(with.clients)
	return secured, who, nil
}

// subjects returns whose certificate it is: alternative names, or else, as in
// certificates of old, the common name. The authority vouches for them; one
// that could forge a line of a log is left out all the same.
func subjects(c *x509.Certificate) (all []string) {
	add := func(name string) {
		if name != "" && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			all = append(all, name)
		}
	}
	for _, name := range c.DNSNames {
		add(name)
	}
	for _, uri := range c.URIs {
		add(uri.String())
	}
	for _, name := range c.EmailAddresses {
		add(name)
	}
	if len(c.DNSNames)+len(c.URIs)+len(c.EmailAddresses) == 0 {
		add(c.Subject.CommonName)
	}
	return all
}

// valid tells whether c would be let in now too: a connection may outlive its
// certificate, or the authority's place in the file.
func (c *caller) valid(k *keyring, now time.Time) error {
	if c.kind != certificate {
		return nil
	}
	if now.After(c.chain[0].NotAfter) {
		return fmt.Errorf("the certificate of %s expired at %s", c.actor, c.chain[0].NotAfter.Format(time.RFC3339))
	}
	clients := k.current().clients
	if c.verified.Load() == clients {
		return nil
	}
	between := x509.NewCertPool()
	for _, cert := range c.chain[1:] {
		between.AddCert(cert)
	}
	if _, err := c.chain[0].Verify(x509.VerifyOptions{
		Roots: clients, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("the certificate of %s is no longer accepted: %w", c.actor, err)
	}
	c.verified.Store(clients)
	return nil
}
