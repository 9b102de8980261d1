package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t *testing.T, c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = serial
	c.NotBefore = time.Now().Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (a *authority) issue(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key := newKey(t)
	if c.ExtKeyUsage == nil {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	return tls.Certificate{Certificate: [][]byte{a.sign(t, c, key).Raw}, PrivateKey: key}
}

// files writes a server's certificate of own, and clients' authorities.
func files(t *testing.T, dir string, own tls.Certificate, clients ...*authority) TLSFiles {
	t.Helper()
	f := TLSFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var ca []byte
	for _, a := range clients {
		ca = append(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	for name, content := range map[string][]byte{
		f.CertFile:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}),
		f.KeyFile:      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		f.ClientCAFile: ca,
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// A tlsRig serves TCP with certificates.
type tlsRig struct {
	*rig
	ca  *authority
	dir string
	own tls.Certificate
}

func newTLSRig(t *testing.T, o Options, l limits) *tlsRig {
	t.Helper()
	r := &tlsRig{ca: newAuthority(t), dir: t.TempDir()}
	r.own = r.ca.issue(t, &x509.Certificate{DNSNames: []string{"vipd.test"}})
	f := files(t, r.dir, r.own, r.ca)
	o.TLS, o.Listen = &f, []string{"127.0.0.1:0"}
	r.rig = newRig(o, l)
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	return r
}

func (r *tlsRig) target() string { return r.listeners[0].Addr().String() }

func (r *tlsRig) dial(t *testing.T, certs ...tls.Certificate) vipdv1.VipServiceClient {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r.ca.cert)
	return client(dial(t, r.target(), credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "vipd.test", Certificates: certs})))
}

func subject(names ...string) *x509.Certificate { return &x509.Certificate{DNSNames: names} }

func TestCertificatesAreCallers(t *testing.T) {
	spiffe, err := url.Parse("spiffe://example.org/lb")
	if err != nil {
		t.Fatal(err)
	}
	r := newTLSRig(t, Options{}, defaultLimits())
	for want, cert := range map[string]*x509.Certificate{
		"lb.example":              {DNSNames: []string{"lb.example", "second"}, URIs: []*url.URL{spiffe}, Subject: pkix.Name{CommonName: "unused"}},
		"spiffe://example.org/lb": {URIs: []*url.URL{spiffe}, EmailAddresses: []string{"a@b.example"}},
		"a@b.example":             {EmailAddresses: []string{"a@b.example"}},
		"just a name":             {Subject: pkix.Name{CommonName: "just a name"}},
	} {
		if _, err := r.dial(t, r.ca.issue(t, cert)).Undrain(soon(t), &vipdv1.UndrainRequest{}); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := r.node.called(); got[len(got)-1] != "Undrain cert "+want {
			t.Errorf("got %q, want cert %s", got[len(got)-1], want)
		}
	}
}

func TestCertificatesHaveRolesByName(t *testing.T) {
	r := newTLSRig(t, Options{ReadWrite: Roles{Names: []string{"writer"}}, ReadOnly: Roles{Names: []string{"reader"}}}, defaultLimits())
	for _, tt := range []struct{ name, read, write string }{
		{"writer", "", ""},
		{"reader", "", "cert reader may not call Undrain, which needs the read-write role: list a name of it under names in api.read_write"},
		{"other", "cert other may not call GetStatus, which needs the read-only role: list a name of it under names in api.read_only (or api.read_write)",
			"cert other may not call Undrain, which needs the read-write role: list a name of it under names in api.read_write"},
	} {
		c := r.dial(t, r.ca.issue(t, subject(tt.name)))
		_, err := c.GetStatus(soon(t), &vipdv1.GetStatusRequest{})
		if got := status.Convert(err).Message(); got != tt.read {
			t.Errorf("%s reads: %q, want %q", tt.name, got, tt.read)
		}
		_, err = c.Undrain(soon(t), &vipdv1.UndrainRequest{})
		if got := status.Convert(err).Message(); got != tt.write {
			t.Errorf("%s writes: %q, want %q", tt.name, got, tt.write)
		}
	}
}

func TestStrangersGetNoConnection(t *testing.T) {
	other := newAuthority(t)
	expired := subject("late")
	expired.NotAfter = time.Now().Add(-time.Minute)
	server := subject("server")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	one := func(by *authority, c *x509.Certificate) []tls.Certificate { return []tls.Certificate{by.issue(t, c)} }
	for _, tt := range []struct {
		name  string
		issue func(ours *authority) []tls.Certificate
		log   string
	}{
		{"no certificate", func(*authority) []tls.Certificate { return nil }, "didn't provide a certificate"},
		{"another authority's", func(*authority) []tls.Certificate { return one(other, subject("x")) }, "unknown authority"},
		{"an expired one", func(ours *authority) []tls.Certificate { return one(ours, expired) }, "has expired"},
		{"a server's", func(ours *authority) []tls.Certificate { return one(ours, server) }, "incompatible key usage"},
		{"one without a name", func(ours *authority) []tls.Certificate { return one(ours, &x509.Certificate{}) }, "the client certificate has no name: neither DNS, URI or email, nor a common name"},
	} {
		r := newTLSRig(t, Options{}, defaultLimits())
		_, err := r.dial(t, tt.issue(r.ca)...).GetStatus(soon(t), &vipdv1.GetStatusRequest{})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: got %v", tt.name, err)
		}
		refused := r.logs.FilterMessage("connection refused")
		eventually(t, tt.name, func() bool { refused = r.logs.FilterMessage("connection refused"); return refused.Len() > 0 })
		if got := fmt.Sprint(refused.All()[0].ContextMap()["error"]); !strings.Contains(got, tt.log) {
			t.Errorf("%s: log has %q, want %q", tt.name, got, tt.log)
		}
		if calls := r.node.called(); len(calls) > 0 {
			t.Errorf("%s: the node was asked: %q", tt.name, calls)
		}
	}
}

func TestOnlyTLS13IsServed(t *testing.T) {
	r := newTLSRig(t, Options{}, defaultLimits())
	roots := x509.NewCertPool()
	roots.AddCert(r.ca.cert)
	_, err := tls.Dial("tcp", r.target(), &tls.Config{RootCAs: roots, ServerName: "vipd.test", MaxVersion: tls.VersionTLS12})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: got %v", err)
	}
	_, err = client(dial(t, r.target(), nil)).GetStatus(soon(t), &vipdv1.GetStatusRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("without TLS: got %v", err)
	}
}

func TestCertificateFilesAreReadAgain(t *testing.T) {
	r := newTLSRig(t, Options{}, defaultLimits())
	old := r.dial(t, r.ca.issue(t, subject("old")))
	ask := func(c vipdv1.VipServiceClient) error {
		_, err := c.GetStatus(soon(t), &vipdv1.GetStatusRequest{})
		return err
	}
	if err := ask(old); err != nil {
		t.Fatal(err)
	}
	next := newAuthority(t)
	newcomer := next.issue(t, subject("new"))
	files(t, r.dir, r.own, next)
	if err := ask(r.dial(t, newcomer)); err != nil {
		t.Errorf("a certificate of the new authority: %v", err)
	}
	// The old connection still stands, its authority does not.
	if err := ask(old); status.Code(err) != codes.Unauthenticated ||
		!strings.HasPrefix(status.Convert(err).Message(), "the certificate of cert old is no longer accepted: x509: ") {
		t.Errorf("a certificate of the old authority: %v", err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "key.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ask(r.dial(t, newcomer)); err != nil {
			t.Errorf("with files that can't be read: %v", err)
		}
	}
	if n := r.logs.FilterMessage("certificates not reloaded, the old ones are used").Len(); n != 1 {
		t.Errorf("%d lines about it, want 1", n)
	}
	files(t, r.dir, r.own, next, r.ca)
	if err := ask(old); err != nil {
		t.Errorf("with the old authority beside the new: %v", err)
	}
}

func TestCertificateThatExpiresOnItsConnection(t *testing.T) {
	r := newTLSRig(t, Options{}, defaultLimits())
	cert := r.ca.sign(t, subject("brief"), newKey(t))
	who := &caller{kind: certificate, actor: "cert brief", chain: []*x509.Certificate{cert}}
	k := r.keyring.Load()
	if err := who.valid(k, time.Now()); err != nil {
		t.Error(err)
	}
	err := who.valid(k, cert.NotAfter.Add(time.Second))
	if want := "the certificate of cert brief expired at " + cert.NotAfter.Format(time.RFC3339); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNamesThatCouldForgeALogAreNone(t *testing.T) {
	got := subjects(&x509.Certificate{DNSNames: []string{"a\nb", "", strings.Repeat("x", 256), "good"}, Subject: pkix.Name{CommonName: "cn"}})
	if !slices.Equal(got, []string{"good"}) {
		t.Errorf("got %q", got)
	}
}

func TestTLSThatCanNotBeServed(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	good := files(t, dir, ca.issue(t, subject("vipd.test")), ca)
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		files *TLSFiles
		at    string
		want  string
	}{
		{nil, "127.0.0.1:0", "api.listen: 127.0.0.1:0: TCP takes client certificates: set api.tls, or for a loopback address api.insecure_loopback"},
		{&TLSFiles{empty, good.KeyFile, good.ClientCAFile}, "127.0.0.1:0", "api.tls: certificate " + empty + " with key " + good.KeyFile + ": tls: failed to find any PEM data in certificate input"},
		{&TLSFiles{good.CertFile, good.KeyFile, "/none"}, "127.0.0.1:0", "api.tls.client_ca_file: open /none: no such file or directory"},
		{&TLSFiles{good.CertFile, good.KeyFile, empty}, "127.0.0.1:0", "api.tls.client_ca_file: " + empty + " has no certificate in PEM"},
		{&good, "127.0.0.1", "api.listen: 127.0.0.1: address 127.0.0.1: missing port in address (write host:port or unix:///path)"},
	} {
		r := newRig(Options{Listen: []string{tt.at}, TLS: tt.files}, defaultLimits())
		if err := r.Listen(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
	}
	first := newRig(Options{Listen: []string{"127.0.0.1:0"}, TLS: &good}, defaultLimits())
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	defer first.close()
	at := first.listeners[0].Addr().String()
	second := newRig(Options{Listen: []string{at}, TLS: &good}, defaultLimits())
	want := "api.listen: " + at + ": another program has this port, perhaps another vipd: stop it, or choose another port"
	if err := second.Listen(); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestPlaintextOnLoopback(t *testing.T) {
	r := newRig(Options{Listen: []string{"127.0.0.1:0"}, InsecureLoopback: true}, defaultLimits())
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	c := client(dial(t, r.listeners[0].Addr().String(), nil))
	if _, err := c.Undrain(soon(t), &vipdv1.UndrainRequest{}); err != nil {
		t.Error(err)
	}
	if got := r.node.called(); len(got) != 1 || !strings.HasPrefix(got[0], "Undrain tcp 127.0.0.1:") {
		t.Errorf("got %q", got)
	}
	if err := r.Reconfigure(Roles{UIDs: []uint32{7}}, Roles{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetStatus(soon(t), &vipdv1.GetStatusRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Undrain(soon(t), &vipdv1.UndrainRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
}

func TestReconfigure(t *testing.T) {
	r := newTLSRig(t, Options{}, defaultLimits())
	c := r.dial(t, r.ca.issue(t, subject("x")))
	ask := func() codes.Code {
		_, err := c.Undrain(soon(t), &vipdv1.UndrainRequest{})
		return status.Code(err)
	}
	now := *r.opts.TLS
	if err := r.Reconfigure(Roles{Names: []string{"y"}}, Roles{}, &now); err != nil || ask() != codes.PermissionDenied {
		t.Errorf("other names: %v", err)
	}
	bad := now
	bad.KeyFile = "/none"
	err := r.Reconfigure(Roles{}, Roles{}, &bad)
	if err == nil || !strings.HasPrefix(err.Error(), "api.tls: ") || ask() != codes.PermissionDenied {
		t.Errorf("files that are not there: %v", err)
	}
	err = r.Reconfigure(Roles{}, Roles{}, nil)
	if err == nil || err.Error() != "api.tls: TCP can be given TLS, or lose it, by a restart only" || ask() != codes.PermissionDenied {
		t.Errorf("without TLS: %v", err)
	}
	other := files(t, t.TempDir(), r.own, newAuthority(t))
	if err := r.Reconfigure(Roles{}, Roles{}, &other); err != nil || ask() != codes.Unauthenticated {
		t.Errorf("another authority: %v", err)
	}
	if err := r.Reconfigure(Roles{}, Roles{}, &now); err != nil || ask() != codes.OK {
		t.Errorf("as before: %v", err)
	}
}
