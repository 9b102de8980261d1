package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

// ca signs certificates for a test.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	c.cert = sign(t, template, template, &c.key.PublicKey, c.key)
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for name and 127.0.0.1.
func (c *ca) issue(name string, until time.Time) tls.Certificate {
	key := newKey(c.t)
	cert := sign(c.t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, c.cert, &key.PublicKey, c.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (c *ca) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

// files writes the CA and a client certificate as PEM.
func (c *ca) files(client tls.Certificate) TLSFiles {
	dir := c.t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			c.t.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		c.t.Fatal(err)
	}
	return TLSFiles{
		CAFile:   write("ca.pem", "CERTIFICATE", c.cert.Raw),
		CertFile: write("client.pem", "CERTIFICATE", client.Certificate[0]),
		KeyFile:  write("client.key", "PRIVATE KEY", key),
	}
}

// serveTLS answers every request with 200.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "all well")
	}))
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that the tests mean to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestHTTPSCertificates(t *testing.T) {
	trusted, other := newCA(t), newCA(t)
	later := time.Now().Add(time.Hour)
	good := trusted.issue("shop.example", later)
	trust := &tls.Config{RootCAs: trusted.pool()}
	for name, c := range map[string]struct {
		serve tls.Certificate
		host  string
		tls   *tls.Config
		text  string // what follows "GET https://ADDR/: tls: failed to verify certificate: x509: "
	}{
		"for the host asked for": {serve: good, host: "shop.example", tls: trust},
		"its port is no part":    {serve: good, host: "shop.example:8443", tls: trust},
		"for the address":        {serve: good, tls: trust},
		"for server_name instead": {serve: good, host: "blog.example",
			tls: &tls.Config{RootCAs: trusted.pool(), ServerName: "shop.example"}},
		"skip_verify takes any": {serve: other.issue("x.example", time.Now().Add(-time.Hour)),
			tls: &tls.Config{InsecureSkipVerify: true}},
		"unknown CA":      {serve: other.issue("shop.example", later), tls: trust, text: "certificate signed by unknown authority"},
		"system CAs only": {serve: good, text: "certificate signed by unknown authority"},
		"another name": {serve: good, host: "blog.example", tls: trust,
			text: "certificate is valid for shop.example, not blog.example"},
		"expired": {serve: trusted.issue("shop.example", time.Now().Add(-time.Hour)), tls: trust,
			text: "certificate has expired or is not yet valid: "},
	} {
		t.Run(name, func(t *testing.T) {
			address := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{c.serve}})
			err := probe(t, "https", Spec{Address: address, Host: c.host, TLS: c.tls, ExpectBody: "well"}, patience)
			if c.text == "" {
				wantFailure(t, err, address, "", "")
				return
			}
			wantTLSFailure(t, err, "GET https://"+address+"/: tls: failed to verify certificate: x509: "+c.text)
		})
	}
}

// wantTLSFailure checks the beginning of the text: its end is crypto/tls's.
func wantTLSFailure(t *testing.T, err error, prefix string) {
	t.Helper()
	f, ok := err.(*healthloop.Failure)
	if !ok || f.Reason != healthloop.ReasonTLS || !strings.HasPrefix(f.Error(), prefix) {
		t.Errorf("got  %v (%+v)\nwant %s…", err, f, prefix)
	}
}

func TestHTTPSClientCertificates(t *testing.T) {
	c := newCA(t)
	later := time.Now().Add(time.Hour)
	address := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{c.issue("shop.example", later)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: c.pool(),
	})
	config, err := TLSConfig(c.files(c.issue("vipd", later)))
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, probe(t, "https", Spec{Address: address, TLS: config}, patience), address, "", "")
	if !config.RootCAs.Equal(c.pool()) {
		t.Error("other CAs than those of ca_file are trusted")
	}

	err = probe(t, "https", Spec{Address: address, TLS: &tls.Config{RootCAs: c.pool()}}, patience)
	wantTLSFailure(t, err, "GET https://"+address+"/: remote error: tls: certificate required")
}

func TestHTTPSWithoutTLSOnTheOtherSide(t *testing.T) {
	plain := backend(t, func(ctx context.Context, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		<-ctx.Done()
	})
	silent := backend(t, func(ctx context.Context, _ net.Conn) { <-ctx.Done() })
	config := &tls.Config{InsecureSkipVerify: true}

	err := probe(t, "https", Spec{Address: plain, TLS: config}, patience)
	wantTLSFailure(t, err, "GET https://"+plain+"/: tls: first record does not look like a TLS handshake")
	err = probe(t, "https", Spec{Address: silent, TLS: config}, 200*time.Millisecond)
	wantFailure(t, err, silent, healthloop.ReasonTimeout, "GET https://ADDR/: no answer within 200ms (connected)")
	err = probe(t, "https", Spec{Address: backend(t, func(_ context.Context, c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
	}), TLS: config}, patience)
	if f, ok := err.(*healthloop.Failure); !ok || f.Reason != healthloop.ReasonReset {
		t.Errorf("got %v", err)
	}
}

// Each probe must see the certificate that is served now, not one of an
// earlier session.
func TestHTTPSSessionsAreNotResumed(t *testing.T) {
	c := newCA(t)
	resumed := make(chan bool, 3)
	address := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{c.issue("shop.example", time.Now().Add(time.Hour))},
		VerifyConnection: func(s tls.ConnectionState) error {
			resumed <- s.DidResume
			return nil
		},
	})
	p := newProber(t, "https", Spec{Address: address, TLS: &tls.Config{RootCAs: c.pool()}})
	for range cap(resumed) {
		if err := probeWith(t, p, patience); err != nil {
			t.Fatal(err)
		}
		if <-resumed {
			t.Error("the session was resumed")
		}
	}
}

func TestTLSFilesThatCannotBe(t *testing.T) {
	c := newCA(t)
	good := c.files(c.issue("vipd", time.Now().Add(time.Hour)))
	for _, bad := range []struct {
		files TLSFiles
		want  string
	}{
		{TLSFiles{CAFile: "/nonexistent"}, "tls ca_file: open /nonexistent: "},
		{TLSFiles{CAFile: good.KeyFile}, "tls ca_file " + good.KeyFile + ": no certificate in it"},
		{TLSFiles{CertFile: good.CertFile}, "tls cert_file \"" + good.CertFile + "\", key_file \"\": open "},
		{TLSFiles{KeyFile: good.KeyFile}, "tls cert_file \"\", key_file \"" + good.KeyFile + "\": open "},
	} {
		if _, err := TLSConfig(bad.files); err == nil || !strings.HasPrefix(err.Error(), bad.want) {
			t.Errorf("got  %v\nwant %s…", err, bad.want)
		}
	}
}
