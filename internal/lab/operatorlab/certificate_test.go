package operatorlab

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"
)

// Over TCP a certificate is who you are. Each one that is wrong is told from the
// others, and new ones are taken without a reload.
func TestCertificates(t *testing.T) {
	t.Parallel()
	h := newHermit(t)
	ca, other := newAuthority("operators"), newAuthority("strangers")
	h.put("ca", ca)
	h.put("other", other)
	h.put("server", ca.issue("127.0.0.1", time.Hour))
	h.put("me", ca.issue("alice", time.Hour))
	h.put("old", ca.issue("bob", -time.Hour))
	h.put("mallory", other.issue("mallory", time.Hour))
	h.put("clients", ca)
	v := h.host.Vipd(lone+"api: {tls: {cert_file: server.pem, key_file: server-key.pem, client_ca_file: clients.pem}}\n",
		"--set", "api.listen=unix:///run/vipd.sock,127.0.0.1:9178")
	h.vipd, v.Socket = v, "/run/vipd.sock"
	h.answers()
	with := func(who string, args ...string) []string {
		return append([]string{"--server", "127.0.0.1:9178", "--ca-file", "ca.pem", "--cert-file", who + ".pem", "--key-file", who + "-key.pem"}, args...)
	}
	says(t, v.Ctl(with("me", "withdraw", "web", "--reason", "from afar")...), done, "override by cert alice: from afar")
	says(t, v.Ctl(with("old", "status")...), unreachable, "refused the certificate of this client: expired certificate", "renew it")
	says(t, v.Ctl(with("mallory", "status")...), unreachable, "refused the certificate of this client: unknown certificate authority", "client_ca_file")
	says(t, v.Ctl("--server", "127.0.0.1:9178", "--ca-file", "ca.pem", "status"), unreachable, "wants a certificate of this client", "--cert-file")
	says(t, v.Ctl(with("me", "--ca-file", "other.pem", "status")...), unreachable, "signed by nobody that is trusted here", "--ca-file")
	says(t, v.Ctl("--server", "127.0.0.1:9178", "--insecure-loopback", "status"), unreachable, "it may want TLS")

	// Rotated: first both authorities, then clients and server, then the new one alone.
	h.put("clients", ca, other)
	h.Within(soon, "both are taken", func() error {
		return errors.Join(lacks(v.Ctl(with("me", "status")...), done), lacks(v.Ctl(with("mallory", "status")...), done))
	})
	h.put("server", other.issue("127.0.0.1", time.Hour))
	h.put("clients", other)
	says(t, v.Ctl(with("mallory", "--ca-file", "other.pem", "status")...), done, "web")
	says(t, v.Ctl(with("me", "--ca-file", "other.pem", "status")...), unreachable, "unknown certificate authority")
}

// A pair is a certificate with its key.
type pair struct {
	*x509.Certificate
	key crypto.Signer
}

func newAuthority(name string) *pair {
	return (*pair)(nil).make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// issue signs a certificate for a server's address, or for a client's name.
func (p *pair) issue(name string, lasting time.Duration) *pair {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(lasting), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	}
	return p.make(c)
}

// make has p sign; without p the certificate signs itself.
func (p *pair) make(c *x509.Certificate) *pair {
	c.SerialNumber, c.NotBefore = big.NewInt(time.Now().UnixNano()), c.NotAfter.Add(-24*time.Hour)
	_, key, _ := ed25519.GenerateKey(rand.Reader) // it can't fail
	if p == nil {
		p = &pair{c, key}
	}
	der, _ := x509.CreateCertificate(rand.Reader, c, p.Certificate, key.Public(), p.key)
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil // found by who uses it
	}
	return &pair{made, key}
}

// put writes certificates, and the key of the first one, beside vipd's
// configuration.
func (h *hermit) put(name string, all ...*pair) {
	h.Helper()
	var text []byte
	for _, p := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Raw})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(all[0].key)
	if err != nil {
		h.Fatal(err)
	}
	h.host.Secret(name+"-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	h.host.Secret(name+".pem", string(text))
}
