package vipctl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// An authority signs certificates for one test.
type authority struct {
	*testing.T
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{T: t, dir: t.TempDir()}
	a.certificate, a.key = a.sign(name, time.Now().Add(time.Hour), nil)
	return a
}

// sign makes a certificate; without a signer it is an authority's own.
func (a *authority) sign(name string, until time.Time, signer *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: signer == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses, template.DNSNames = []net.IP{ip}, nil
	}
	parent, by := template, key
	if signer != nil {
		parent, by = signer.certificate, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: der}, "-key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.Fatal(err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return certificate, key
}

// issue makes a certificate that a signs, and returns the files.
func (a *authority) issue(name string, until time.Time) (certFile, keyFile string) {
	a.Helper()
	a.sign(name, until, a)
	return filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+"-key.pem")
}

func (a *authority) file() string {
	return filepath.Join(a.dir, a.certificate.Subject.CommonName+".pem")
}

// serveTLS serves a fake by mutual TLS, with a certificate that a issues for a
// name, and returns its address.
func serveTLS(t *testing.T, a *authority, name string, until time.Time) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(name, until))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	return serve(t, grpc.Creds(credentials.NewTLS(config)))
}

func serve(t *testing.T, opts ...grpc.ServerOption) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, done := small().server(opts...), make(chan struct{})
	go func() { // ends with the clean-up
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	return ln.Addr().String()
}

// By TCP both sides show a certificate, and what is wrong is told with whose it
// is and what to do.
func TestCertificates(t *testing.T) {
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	server := serveTLS(t, ours, "127.0.0.1", soon)
	cert, key := ours.issue("operator", soon)
	oldCert, oldKey := ours.issue("former", past)
	alienCert, alienKey := others.issue("alien", soon)
	plain := serve(t)
	for _, tt := range []struct {
		name, server string
		args         []string
		code         int
		want         []string
	}{
		{"all is well", server, []string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", key}, exitDone, nil},
		{"vipd's authority is not known", server, []string{"--cert-file", cert, "--key-file", key}, exitUnreachable,
			[]string{"the certificate of vipd at " + server + " is signed by nobody that is trusted here", "--ca-file"}},
		{"vipd's authority is another one", server, []string{"--ca-file", others.file(), "--cert-file", cert, "--key-file", key}, exitUnreachable,
			[]string{"the certificate of vipd", "--ca-file"}},
		{"vipd's certificate has expired", serveTLS(t, ours, "127.0.0.1", past),
			[]string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", key}, exitUnreachable,
			[]string{"the certificate of vipd at", "is not valid now", "renew it there (api.tls.cert_file)", "clock"}},
		{"vipd's certificate is for another name", serveTLS(t, ours, "lb-1.example", soon),
			[]string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", key}, exitUnreachable,
			[]string{"is for other names", "127.0.0.1", "--server-name"}},
		{"which is given", serveTLS(t, ours, "lb-1.example", soon),
			[]string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", key, "--server-name", "lb-1.example"}, exitDone, nil},
		{"no certificate here", server, []string{"--ca-file", ours.file()}, exitUnreachable,
			[]string{"wants a certificate of this client", "--cert-file and --key-file"}},
		{"ours has expired", server, []string{"--ca-file", ours.file(), "--cert-file", oldCert, "--key-file", oldKey}, exitUnreachable,
			[]string{"refused the certificate of this client: expired certificate", "renew it (--cert-file)", "vipd's clock"}},
		{"ours is of another authority", server, []string{"--ca-file", ours.file(), "--cert-file", alienCert, "--key-file", alienKey}, exitUnreachable,
			[]string{"refused the certificate of this client: unknown certificate authority", "api.tls.client_ca_file"}},
		{"a key that is not the certificate's", server, []string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", alienKey}, exitUsage,
			[]string{"--cert-file " + cert + " with --key-file " + alienKey}},
		{"an authority's file without certificates", server, []string{"--ca-file", key}, exitUsage, []string{"has no certificate in PEM"}},
		{"plaintext there", plain, []string{"--ca-file", ours.file(), "--cert-file", cert, "--key-file", key}, exitUnreachable,
			[]string{plain, "talks no TLS", "--insecure-loopback"}},
		{"plaintext on both sides", plain, []string{"--insecure-loopback"}, exitDone, nil},
		{"plaintext here", server, []string{"--insecure-loopback"}, exitUnreachable, []string{"vipd at " + server}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := reach(tt.server)
			p.Args = append(p.Args, tt.args...)
			call(t.Context(), p).want(t, tt.code, tt.want...)
		})
	}
	t.Run("by variables", func(t *testing.T) {
		p := Process{Args: []string{"status"}, Env: []string{"VIPCTL_SERVER=" + server, "VIPCTL_CA_FILE=" + ours.file(),
			"VIPCTL_CERT_FILE=" + cert, "VIPCTL_KEY_FILE=" + key}}
		call(t.Context(), p).want(t, exitDone)
		p.Env = append(p.Env, "VIPCTL_CA_FILE="+others.file())
		call(t.Context(), p).want(t, exitUnreachable, "--ca-file") // the last one counts
		p.Args = append(p.Args, "--ca-file", ours.file())
		call(t.Context(), p).want(t, exitDone) // a flag counts more
		p = reach(strings.Replace(plain, "127.0.0.1", "localhost", 1))
		p.Env = append(p.Env, "VIPCTL_INSECURE_LOOPBACK=true")
		call(t.Context(), p).want(t, exitDone)
	})
}
