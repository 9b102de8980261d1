package config

import (
	"cmp"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// bfdBegins is what a session may take to come up: the other side's detection
// time of a former life, and then three packets a second apart (RFC 5880 §6.8.3).
const bfdBegins = 5 * time.Second

// A wish is the session that a check looks at, but for the backend's address;
// without a profile it is none.
type wish struct {
	local    netip.Addr
	link     string
	multihop bool
	profile  string
}

// check finds a check by its name, a VIP's own before those that all share; an
// empty name finds none.
func (c *checker) check(at, name string) (Check, bool) {
	check, ok := c.own[name]
	if !ok {
		check, ok = c.checks[name]
	}
	switch {
	case ok || name == "" && !c.given(at):
	case name == "":
		c.errorf(at, "is empty (write the name of a check)")
	default:
		c.errorf(at, "no check is called %q%s", name, c.suggestCheck(name))
	}
	return check, ok
}

// suggestCheck remembers what it said of names that nobody's own checks could
// be meant by: a mistake in ten thousand VIPs is often the same one.
func (c *checker) suggestCheck(name string) string {
	if len(c.own) > 0 {
		return suggest(name, append(slices.Sorted(maps.Keys(c.own)), slices.Sorted(maps.Keys(c.checks))...))
	}
	said, ok := c.suggested[name]
	if !ok {
		said = suggest(name, slices.Sorted(maps.Keys(c.checks)))
		c.suggested[name] = said
	}
	return said
}

// templates reads all checks of a section, used or not, into a map that check
// already looks in.
func (c *checker) templates(section string, raws map[string]rawCheck, into map[string]Check) {
	names := slices.Sorted(maps.Keys(raws))
	for _, name := range names {
		at := join(section, name)
		if name == "" {
			c.keyErrorf(at, "a check without a name")
		}
		c.kind(at, raws[name].Kind)
		into[name] = c.template(at, name, raws[name])
	}
	for _, name := range names {
		beside, at := raws[name].BFD, join(join(section, name), "bfd")
		if beside == "" {
			continue
		}
		other, ok := c.check(at, beside)
		if ok && other.Kind != "bfd" {
			c.errorf(at, "is %q, a check of kind %s (write the name of one of kind bfd)", beside, other.Kind)
			continue
		}
		check := into[name]
		check.session = other.session
		into[name] = check
	}
}

// kind refuses keys of other kinds: they would have no effect.
func (c *checker) kind(at, kind string) {
	if !c.given(join(at, "kind")) || kind == "" {
		return
	}
	if !slices.Contains([]string{"tcp", "http", "https", "bfd"}, kind) {
		c.errorf(join(at, "kind"), "kind %s is not supported by this version (write tcp, http, https or bfd)", shown(kind))
		return
	}
	for _, f := range c.checkKeys {
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
		check.session, check.Timeout = wish{raw.Local, raw.Interface, raw.Multihop, raw.Profile}, bfdBegins
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
	check.Headers = c.headers(join(at, "headers"), raw.Headers, "check")
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

// headers sorts by name. A value may be a secret: no message shows one. Who
// sends the request is a check or a hook.
func (c *checker) headers(at string, raw map[string]string, sender string) []Header {
	var list []Header
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		here, value := join(at, name), raw[name]
		same := strings.ToLower(name)
		switch {
		case !isToken(name):
			c.keyErrorf(here, "is no name of a header (letters, digits and dashes)")
		case same == "host" && sender == "check":
			c.keyErrorf(here, "has a key of its own (write host)")
		case slices.Contains([]string{"connection", "content-length", "host", "transfer-encoding", "trailer"}, same):
			c.keyErrorf(here, "is set by the %s itself (remove it)", sender)
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
