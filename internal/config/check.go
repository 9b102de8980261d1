package config

import (
	"cmp"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// bfdBegins is what a session may take to come up: the other side's detection
// time of a former life, and then three packets a second apart (RFC 5880 §6.8.3).
const bfdBegins = 5 * time.Second

// check finds a check by its name; an empty name finds none.
func (c *checker) check(at, name string) (Check, bool) {
	check, ok := c.checks[name]
	switch {
	case ok || name == "" && !c.given(at):
	case name == "":
		c.errorf(at, "is empty (write the name of a check)")
	default:
		c.errorf(at, "no check is called %q%s", name, suggest(name, slices.Sorted(maps.Keys(c.checks))))
	}
	return check, ok
}

// checkTemplates reads all checks, used or not.
func (c *checker) checkTemplates() {
	c.checks = make(map[string]Check, len(c.doc.Checks))
	list := fields(reflect.TypeFor[rawCheck]())
	for _, name := range slices.Sorted(maps.Keys(c.doc.Checks)) {
		raw, at := c.doc.Checks[name], join("checks", name)
		if name == "" {
			c.keyErrorf(at, "a check without a name")
		}
		c.kind(at, raw.Kind, list)
		c.checks[name] = c.template(at, name, raw)
	}
	for _, name := range slices.Sorted(maps.Keys(c.checks)) {
		check, at := c.checks[name], join(join("checks", name), "bfd")
		if beside := c.doc.Checks[name].BFD; beside != "" {
			check.session = beside
			if other, ok := c.check(at, beside); ok && other.Kind != "bfd" {
				c.errorf(at, "is %q, a check of kind %s (write the name of one of kind bfd)", beside, other.Kind)
			}
		}
		c.checks[name] = check
	}
}

// kind refuses keys of other kinds: they would have no effect.
func (c *checker) kind(at, kind string, list []field) {
	if !c.given(join(at, "kind")) || kind == "" {
		return
	}
	if !slices.Contains([]string{"tcp", "http", "https", "bfd"}, kind) {
		c.errorf(join(at, "kind"), "kind %s is not supported by this version (write tcp, http, https or bfd)", shown(kind))
		return
	}
	for _, f := range list {
		kinds := strings.Fields(f.tag.Get("for"))
		if at := join(at, f.key); len(kinds) > 0 && !slices.Contains(kinds, kind) && c.given(at) {
			c.keyErrorf(at, "is a key of %s checks, but this one is of kind %s (remove it)", oneOf(kinds), kind)
		}
	}
}

func (c *checker) template(at, name string, raw rawCheck) Check {
	if raw.Timeout > raw.Interval && raw.Interval > 0 && raw.Kind != "bfd" {
		c.warnf(join(at, "timeout"), "%s is longer than the interval of %s: probes of one backend wait for each other", raw.Timeout, raw.Interval)
	}
	check := Check{
		Name: name, Kind: raw.Kind, Interval: raw.Interval, Timeout: raw.Timeout, Rise: raw.Rise, Fall: raw.Fall,
		Watch: raw.Watch, Port: raw.Port,
	}
	switch raw.Kind {
	case "bfd":
		check.session, check.Timeout = name, bfdBegins
		c.interfaceName(join(at, "interface"), raw.Interface)
		if raw.Profile == "" {
			c.errorf(join(at, "profile"), "is missing (the name of one in bfd.profiles)")
		}
		c.profileKnown(join(at, "profile"), raw.Profile)
		return check
	case "tcp":
		check.Send, check.Expect = []byte(raw.Send), c.expression(join(at, "expect"), raw.Expect)
		return check
	}
	c.request(at, raw)
	check.Method, check.Host, check.Path = raw.Method, raw.Host, raw.Path
	check.Headers = c.headers(join(at, "headers"), raw.Headers)
	for _, s := range raw.ExpectStatus {
		check.ExpectStatus = append(check.ExpectStatus, StatusRange(s))
	}
	check.ExpectBody = raw.ExpectBody
	check.ExpectBodyRE = c.expression(join(at, "expect_body_regexp"), raw.ExpectBodyRegexp)
	check.FollowRedirect = raw.FollowRedirects
	if raw.Kind == "https" {
		check.TLS = cmp.Or(c.tls(join(at, "tls"), raw.TLS), &TLS{})
	}
	return check
}

// expression compiles an RE2 expression; an empty one is none.
func (c *checker) expression(at, text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.errorf(at, "is no regular expression: %s (write one of RE2)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re
}

// request checks what goes into a request's head: anything odd there would
// make another request of it.
func (c *checker) request(at string, raw rawCheck) {
	odd := func(s string) bool {
		return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) >= 0
	}
	if !isToken(raw.Method) {
		c.errorf(join(at, "method"), "is %s (write an HTTP method, as GET)", shown(raw.Method))
	}
	_, err := url.ParseRequestURI(raw.Path)
	if err != nil || raw.Path[0] != '/' || odd(raw.Path) || strings.Contains(raw.Path, "#") {
		c.errorf(join(at, "path"), "is %s (write a path that begins with / and has no spaces, as /healthz?full=1)", shown(raw.Path))
	}
	if odd(raw.Host) || strings.ContainsAny(raw.Host, "/@?#") {
		c.errorf(join(at, "host"), "is %s (write what the Host header is to hold, as web.example)", shown(raw.Host))
	}
	if len(raw.ExpectStatus) == 0 {
		c.errorf(join(at, "expect_status"), "is empty (write one status or more)")
	}
	if raw.ExpectBody != "" && raw.ExpectBodyRegexp != "" {
		c.conflictf(join(at, "expect_body_regexp"), join(at, "expect_body"), "is given together with expect_body (write one of them), which is")
	}
	if body := cmp.Or(raw.ExpectBody, raw.ExpectBodyRegexp); body != "" && raw.Method == "HEAD" {
		c.errorf(join(at, "method"), "is HEAD, whose answers have no body to expect anything of")
	}
}

// headers sorts by name. A value may be a secret: no message shows one.
func (c *checker) headers(at string, raw map[string]string) []Header {
	var list []Header
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		here, value := join(at, name), raw[name]
		same := strings.ToLower(name)
		switch {
		case !isToken(name):
			c.keyErrorf(here, "is no name of a header (letters, digits and dashes)")
		case same == "host":
			c.keyErrorf(here, "has a key of its own (write host)")
		case slices.Contains([]string{"connection", "content-length", "transfer-encoding", "trailer"}, same):
			c.keyErrorf(here, "is set by the check itself (remove it)")
		case strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0:
			c.errorf(here, "has a line break or another control character in its value (remove it)")
		case first[same] != "":
			c.conflictf(here, join(at, first[same]), "is the same header as another")
		}
		first[same] = name
		list = append(list, Header{name, value})
	}
	return list
}

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	}) < 0
}
