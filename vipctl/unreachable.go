package vipctl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const howToStart = `
  start it: systemctl start vipd, or vipd run
  or say where it listens: --server unix:///path or host:port, or VIPCTL_SERVER`

// unreachable tells why there is no connection, and what to do about it.
func (e endpoint) unreachable(cause error, heard bool) string {
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		return fmt.Sprintf("vipd can't be reached: there is no socket %s%s", e.address, howToStart)
	case errors.Is(cause, syscall.ECONNREFUSED):
		return fmt.Sprintf("vipd can't be reached: nobody listens at %s%s", e, howToStart)
	case errors.Is(cause, fs.ErrPermission):
		return e.forbidden()
	case heard:
		return fmt.Sprintf("vipd at %s hung up before it answered: it has stopped or was restarted (%v)", e, cause)
	}
	if errors.Is(cause, io.EOF) {
		return fmt.Sprintf("vipd at %s hung up before it said anything: it may want TLS, or have too many connections", e)
	}
	if text := e.untrusted(cause); text != "" {
		return text
	}
	return fmt.Sprintf("vipd at %s can't be reached: %v", e, cause)
}

// forbidden tells whom a socket is for.
func (e endpoint) forbidden() string {
	for _, path := range []string{e.address, filepath.Dir(e.address)} {
		info, err := os.Stat(path)
		if err != nil {
			continue // its folder can't be searched: then that is what is forbidden
		}
		group := "?"
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			group = groupName(s.Gid)
		}
		text := fmt.Sprintf("permission denied: %s (mode %04o) is for group %s\n  ", path, info.Mode().Perm(), group)
		if group == "root" {
			return text + "use sudo, or have vipd make its socket for another group (api.group)"
		}
		return text + fmt.Sprintf(`join it: sudo usermod -aG %s "$USER", then log in again; or use sudo`, group)
	}
	return fmt.Sprintf("permission denied: %s; use sudo", e.address)
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// untrusted tells which side's certificate is wrong; empty: that is not it.
func (e endpoint) untrusted(cause error) string {
	var (
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(cause, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf(`the certificate of vipd at %s is not valid now: %s
  renew it there (api.tls.cert_file), and see that this machine's clock is right`, e, invalid.Detail)
	case errors.As(cause, &authority):
		return fmt.Sprintf(`the certificate of vipd at %s is signed by nobody that is trusted here
  name the authority that signed it: --ca-file`, e)
	case errors.As(cause, &hostname):
		return fmt.Sprintf(`the certificate of vipd at %s is for other names: %v
  say which one is meant: --server-name`, e, hostname)
	case errors.As(cause, &record):
		return fmt.Sprintf("what listens at %s talks no TLS; if it is a vipd with api.insecure_loopback,"+
			" say --insecure-loopback", e)
	}
	var refused *net.OpError
	if !errors.As(cause, &refused) || refused.Op != "remote error" {
		return ""
	}
	// An alert's type is crypto/tls's own; its words are all there is.
	alert := strings.TrimPrefix(refused.Err.Error(), "tls: ")
	const begin = "vipd at %s refused the certificate of this client: %s\n  "
	switch alert {
	case "certificate required":
		return fmt.Sprintf("vipd at %s wants a certificate of this client\n  give one: --cert-file and --key-file", e)
	case "expired certificate":
		return fmt.Sprintf(begin+"renew it (--cert-file), and see that vipd's clock is right", e, alert)
	case "unknown certificate authority":
		return fmt.Sprintf(begin+"have it signed by an authority of vipd's api.tls.client_ca_file", e, alert)
	}
	return fmt.Sprintf(begin+"see --cert-file, and vipd's api.tls.client_ca_file", e, alert)
}
