package config

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxHeader is more than any token takes, and less than servers refuse.
const maxHeader = 4096

// A Hook is who is told of events: exactly one of URL and Exec.
type Hook struct {
	Kinds   []string // of events; none: all
	URL     string
	Exec    []string // an absolute path and arguments
	Timeout time.Duration
	Headers []Header // of requests to URL, sorted by name
}

func (c *checker) hooks() []Hook {
	var list []Hook
	for i, raw := range c.doc.Hooks {
		at := item("hooks", i)
		h := Hook{Kinds: raw.On, URL: raw.URL, Exec: raw.Exec, Timeout: raw.Timeout}
		hasURL, hasExec := c.given(join(at, "url")), c.given(join(at, "exec"))
		switch {
		case hasURL && hasExec:
			c.conflictf(join(at, "exec"), join(at, "url"), "is given together with url (write one of them), which is")
		case !hasURL && !hasExec:
			c.errorf(at, "has neither url nor exec (write one of them)")
		}
		if hasURL {
			c.hookURL(join(at, "url"), raw.URL)
		}
		if hasExec {
			c.program(join(at, "exec"), raw.Exec)
		}
		h.Headers = c.hookHeaders(at, &raw)
		list = append(list, h)
	}
	return list
}

// hookURL shows nothing of a URL: many a one has a token in it.
func (c *checker) hookURL(at, text string) {
	u, err := url.Parse(text)
	good := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
	if good && u.Port() != "" {
		_, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	if !good || err != nil {
		c.errorf(at, "is no URL of http or https with a host (write one, as https://alerts.example/vipd)")
	}
}

func (c *checker) program(at string, args []string) {
	switch {
	case len(args) == 0:
		c.errorf(at, "is empty (write a list: the path of a program, and its arguments)")
	case !filepath.IsAbs(args[0]):
		c.errorf(item(at, 0), "is no absolute path (write one: nobody searches for the program, and no shell runs it)")
	}
	for i, arg := range args {
		if strings.Contains(arg, "\x00") {
			c.errorf(item(at, i), "has a zero byte, which no argument can have (remove it)")
		}
	}
}

// hookHeaders joins the headers that are written with those that files hold.
func (c *checker) hookHeaders(at string, raw *rawHook) []Header {
	given, files := join(at, "headers"), join(at, "header_files")
	for _, key := range []string{given, files} {
		if c.given(key) && c.given(join(at, "exec")) {
			c.keyErrorf(key, "has no effect on a program (remove it)")
		}
	}
	list := c.headers(given, raw.Headers, "hook")
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(raw.HeaderFiles)) {
		here := join(files, name)
		if raw.HeaderFiles[name] == "" {
			c.errorf(here, "is empty (write the name of a file)")
		}
		values[name] = c.secret(here, raw.HeaderFiles[name], "value", maxHeader)
		same := func(h Header) bool { return strings.EqualFold(h.Name, name) }
		if i := slices.IndexFunc(list, same); i >= 0 {
			c.conflictf(here, join(given, list[i].Name), "is the same header as another")
		}
	}
	list = append(list, c.headers(files, values, "hook")...)
	slices.SortFunc(list, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return list
}
