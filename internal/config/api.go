package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// maxSocketPath is the kernel's: sun_path has 108 bytes, the last one zero.
const maxSocketPath = 107

// API is where the control API is served, and to whom.
type API struct {
	Listen           []string // unix:///path or host:port; none: nowhere
	Group            string   // of the sockets; empty: vipd's own
	ReadWrite        Roles
	ReadOnly         Roles
	TLS              *ServerTLS // of host:port; nil: plain
	InsecureLoopback bool
}

// Roles is who has a role: by a socket's peer, or by the names in a client's
// certificate.
type Roles struct {
	Users, Groups, Names []string // as written
	UIDs, GIDs           []uint32 // of Users and Groups
}

// ServerTLS names the files of a TLS server that asks clients for certificates.
type ServerTLS struct {
	CertFile, KeyFile, ClientCAFile string
}

func (c *checker) api() API {
	raw := &c.doc.API
	a := API{Listen: raw.Listen, Group: string(raw.Group), InsecureLoopback: raw.InsecureLoopback}
	if raw.Group != "" {
		c.account("api.group", "group", raw.Group)
	}
	a.ReadWrite, a.ReadOnly = c.roles("api.read_write", raw.ReadWrite), c.roles("api.read_only", raw.ReadOnly)
	a.TLS = c.serverTLS("api.tls", raw.TLS)
	tcp := c.apiListen(raw.Listen)
	if raw.TLS != nil && !tcp {
		c.warnf("api.tls", "has no effect: api.listen has no host:port")
	}
	if raw.InsecureLoopback && (!tcp || raw.TLS != nil) {
		c.warnf("api.insecure_loopback", "has no effect: it is for a host:port in api.listen without api.tls")
	}
	return a
}

// apiListen tells whether any of the addresses is a TCP one.
func (c *checker) apiListen(list []string) (tcp bool) {
	first := map[string]int{}
	for i, s := range list {
		at := item("api.listen", i)
		address := c.socket(at, s)
		if address == "" {
			address, tcp = c.port(at, s), true
		}
		if j, twice := first[address]; twice && address != "" {
			c.conflictf(at, item("api.listen", j), "is %s, where vipd listens already (write another): the first is", shown(s))
		} else {
			first[address] = i
		}
		if address == plainAddress(c.doc.HTTP.Listen) {
			c.errorf(at, "is %s, where http.listen is (write another port)", shown(s))
		}
	}
	return tcp
}

// socket checks a unix socket's path and returns its plainest form; what isn't
// meant as one is empty.
func (c *checker) socket(at, s string) string {
	name, ok := strings.CutPrefix(s, "unix://")
	if !ok {
		return ""
	}
	switch {
	case !path.IsAbs(name) || strings.HasSuffix(name, "/") || strings.Contains(name, "\x00"):
		c.errorf(at, "is %s (write unix:// and an absolute path, as unix:///run/vipd/vipd.sock)", shown(s))
	case len(name) > maxSocketPath:
		c.errorf(at, "is a path of %d bytes (a unix socket's has at most %d)", len(name), maxSocketPath)
	}
	return "unix://" + path.Clean(name)
}

// port checks a TCP address. Without TLS nobody knows who asks, so that it is
// for hosts all of whose users may do all.
func (c *checker) port(at, s string) string {
	plain := plainAddress(s)
	host, _, ok := splitHostPort(plain)
	addr, _ := netip.ParseAddr(host)
	switch {
	case !ok:
		c.errorf(at, "is %s (write unix:///path or host:port)", shown(s))
		return ""
	case c.doc.API.TLS != nil:
	case !addr.IsLoopback():
		c.errorf(at, "is %s, and there is no api.tls (set that; without it only 127.0.0.1 or [::1] will do, together with api.insecure_loopback: true)", shown(s))
	case !c.doc.API.InsecureLoopback:
		c.errorf(at, "is %s, and there is no api.tls: any user of this host could control vipd (set that, or api.insecure_loopback: true if it is meant so)", shown(s))
	}
	return plain
}

// plainAddress writes out what an empty host means.
func plainAddress(s string) string {
	if strings.HasPrefix(s, ":") {
		return "[::]" + s
	}
	return strings.ToLower(s)
}

func (c *checker) roles(at string, raw rawRoles) Roles {
	r := Roles{Names: raw.Names}
	for i, a := range raw.Users {
		r.Users = append(r.Users, string(a))
		r.UIDs = append(r.UIDs, c.account(item(join(at, "users"), i), "user", a))
	}
	for i, a := range raw.Groups {
		r.Groups = append(r.Groups, string(a))
		r.GIDs = append(r.GIDs, c.account(item(join(at, "groups"), i), "group", a))
	}
	for i, name := range raw.Names {
		here := item(join(at, "names"), i)
		odd := func(r rune) bool { return !unicode.IsGraphic(r) }
		if name == "" || len(name) > 255 || strings.ContainsFunc(name, odd) {
			c.errorf(here, "is %s (write a name that a client certificate has: DNS, URI or email, or its common name)", shown(name))
		}
		if c.doc.API.TLS == nil {
			c.errorf(here, "has no effect without api.tls, by which clients show their names (set that, or remove this)")
		}
	}
	return r
}

// account is the number of a user or group. One that is written as a number
// needs no entry: in a container few have one.
func (c *checker) account(at, what string, a account) uint32 {
	if n, err := strconv.ParseUint(string(a), 10, 32); err == nil {
		return uint32(n)
	}
	lookup := c.opts.LookupUser
	if what == "group" {
		lookup = c.opts.LookupGroup
	}
	id, err := lookup(string(a))
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	switch {
	case a == "":
		c.errorf(at, "is empty (write the name or number of a %s)", what)
	case errors.As(err, &noUser), errors.As(err, &noGroup):
		c.errorf(at, "is %s, but this host has no such %s (write the name or number of one)", shown(string(a)), what)
	case err != nil:
		c.errorf(at, "can't be looked up: %v (a number needs no look)", err)
	}
	return id
}

func lookupUser(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return accountID(u.Uid)
}

func lookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return accountID(g.Gid)
}

func accountID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("number of an account: %w", err)
	}
	return uint32(n), nil
}

func (c *checker) serverTLS(at string, raw *rawServerTLS) *ServerTLS {
	if raw == nil {
		return nil
	}
	t := &ServerTLS{}
	var cert, key, ca []byte
	var hasCert, hasKey, hasCA bool
	t.CertFile, cert, hasCert = c.file(join(at, "cert_file"), raw.CertFile)
	t.KeyFile, key, hasKey = c.file(join(at, "key_file"), raw.KeyFile)
	t.ClientCAFile, ca, hasCA = c.file(join(at, "client_ca_file"), raw.ClientCAFile)
	if hasCert && hasKey && raw.CertFile != "" && raw.KeyFile != "" {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			c.errorf(at, "names a certificate and a key that can't be used together: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
	if hasCA && raw.ClientCAFile != "" && !x509.NewCertPool().AppendCertsFromPEM(ca) {
		c.errorf(join(at, "client_ca_file"), "names a file without a certificate in it (write one of PEM)")
	}
	for key, name := range map[string]string{"cert_file": raw.CertFile, "key_file": raw.KeyFile, "client_ca_file": raw.ClientCAFile} {
		if name == "" && c.given(join(at, key)) {
			c.errorf(join(at, key), "is empty (write the name of a file)")
		}
	}
	return t
}
