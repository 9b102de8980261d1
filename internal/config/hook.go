package config

import "time"

// A Hook is who is told of events: exactly one of URL and Exec.
type Hook struct {
	Kinds   []string // of events; none: all
	URL     string
	Exec    []string // an absolute path and arguments
	Timeout time.Duration
	Headers []Header // of requests to URL
}
