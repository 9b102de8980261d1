package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A checker turns a document, whose values are right one by one, into a
// Config, and reports what doesn't go together. It goes on after a problem:
// the Config is thrown away then, so its values don't matter.
type checker struct {
	*report
	doc      *document
	opts     Options
	dir      string          // relative paths of files begin here
	refused  map[string]bool // paths whose values the decoder refused
	beside   *rest           // what the VIPs are to stand beside; nil: they are the file's
	bgp      BGP
	internal Pos              // of the first neighbor in our own AS; the zero value: none
	own      map[string]Check // of the VIP at hand
	checks   map[string]Check
	profiles map[string]BFDProfile
	sessions map[BFDKey]bfdUse

	checkKeys []field
	suggested map[string]string // for names of checks
}

func newChecker(r *report, doc *document, opts Options, dir string) *checker {
	return &checker{
		report: r, doc: doc, opts: opts, dir: dir, refused: r.paths(0),
		checks: map[string]Check{}, profiles: map[string]BFDProfile{}, sessions: map[BFDKey]bfdUse{},
		checkKeys: fields(reflect.TypeFor[rawCheck]()), suggested: map[string]string{},
	}
}

func assemble(c *checker) *Config {
	c.bfdProfiles()
	c.speaker()
	c.templates("checks", c.doc.Checks, c.checks)
	vips := c.vips()
	bfd := c.bfd()
	return &Config{
		Node:     c.node(),
		StateDir: c.path(c.doc.StateDir),
		BGP:      c.bgp,
		BFD:      bfd,
		Drain:    c.drain(),
		VIPs:     vips,
		API:      c.api(),
		Hooks:    c.hooks(),
		HTTP:     HTTP{Listen: c.listen("http.listen", c.doc.HTTP.Listen)},
		Log:      Log(c.doc.Log),
		rest:     c.rest(vips),
	}
}

// errorf leaves out what follows from a value that was refused already.
func (c *checker) errorf(path, format string, args ...any) {
	for p := path; p != ""; p = parent(p) {
		if c.refused[p] {
			return
		}
	}
	c.report.errorf(path, format, args...)
}

func (c *checker) node() string {
	switch name := c.doc.Node; {
	case name != "":
		c.word("node", name)
		return name
	case c.opts.Hostname == "":
		c.errorf("node", "is empty, and the host has no name (write one)")
	}
	return c.opts.Hostname
}

func (c *checker) drain() Drain {
	const limit = "drain.connections_limit"
	if c.given(limit) && c.doc.Drain.Connections == "none" {
		c.errorf(limit, "has no effect without drain.connections (write sockets or conntrack there, or remove this)")
	}
	return Drain(c.doc.Drain)
}

// word holds names to what fits a metric's label, a line of log and an
// argument of a command without quoting.
func (c *checker) word(path, name string) bool {
	bad := strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) || r == unicode.ReplacementChar })
	if name == "" || utf8.RuneCountInString(name) > 128 || bad >= 0 {
		c.errorf(path, "is %s (write 1 to 128 characters without spaces)", shown(name))
		return false
	}
	return true
}

// listen checks an address to listen at; an empty host is all addresses.
func (c *checker) listen(path, s string) string {
	full := s
	if strings.HasPrefix(s, ":") {
		full = "localhost" + s
	}
	if _, _, ok := splitHostPort(full); s != "" && !ok {
		c.errorf(path, `is %s (write host:port, or "" to switch it off)`, shown(s))
	}
	return s
}

// path makes a name begin at the folder of the configuration.
func (c *checker) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// file reads a file that the configuration names.
func (c *checker) file(path, name string) (full string, data []byte, ok bool) {
	if name == "" {
		return "", nil, true
	}
	full = c.path(name)
	data, err := c.opts.ReadFile(full)
	if err != nil {
		c.errorf(path, "can't be read: %v", err)
	}
	return full, data, err == nil
}

func (c *checker) tls(path string, raw *rawTLS) *TLS {
	if raw == nil {
		return nil
	}
	t := &TLS{ServerName: raw.ServerName, SkipVerify: raw.SkipVerify}
	t.CAFile, _, _ = c.file(join(path, "ca_file"), raw.CAFile)
	t.CertFile, _, _ = c.file(join(path, "cert_file"), raw.CertFile)
	t.KeyFile, _, _ = c.file(join(path, "key_file"), raw.KeyFile)
	if (raw.CertFile == "") != (raw.KeyFile == "") {
		c.errorf(path, "has one of cert_file and key_file (write both or none)")
	}
	return t
}
