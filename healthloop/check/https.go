package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/fiberlb/vipd/healthloop"
)

// newHTTPS is http within TLS. Sessions are not resumed: each probe sees the
// certificate that is served now.
func newHTTPS(t target, spec Spec) (healthloop.Prober, error) {
	config := &tls.Config{}
	if spec.TLS != nil {
		config = spec.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = serverName(t, spec.Host)
	}
	config.NextProtos = []string{"http/1.1"}
	return prepare(t, spec, "https", config)
}

// serverName is the name that the certificate must be for: the one asked for.
func serverName(t target, host string) string {
	if host == "" {
		return t.host()
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// isTLS tells an error of the TLS layer from one of the connection below or of
// the answer above: for instance the refusal of our certificate, which TLS 1.3
// brings only after the handshake.
func isTLS(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "remote error" || op.Op == "local error"
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// TLSFiles names the files of a TLS client; an empty name is none.
type TLSFiles struct {
	CAFile, CertFile, KeyFile, ServerName string
	SkipVerify                            bool
}

// TLSConfig reads the files of a TLS client. Without CAFile the system's CAs
// are trusted, and with it no others.
func TLSConfig(files TLSFiles) (*tls.Config, error) {
	config := &tls.Config{
		ServerName:         files.ServerName,
		InsecureSkipVerify: files.SkipVerify, //nolint:gosec // the operator's explicit choice
	}
	if files.CAFile != "" {
		pem, err := os.ReadFile(files.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls ca_file %s: no certificate in it", files.CAFile)
		}
	}
	if files.CertFile != "" || files.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls cert_file %q, key_file %q: %w", files.CertFile, files.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
