package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Pos is a place that a setting came from. The zero value is no place.
type Pos struct {
	Source string // a file's name, "environment: VIPD_NODE" or "--set node"
	// Line and Column count from 1, Column in characters; 0 outside files.
	Line, Column int
}

// String gives file:line:column, or the source alone outside files.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Column)
}

func (p Pos) compare(o Pos) int {
	return cmp.Or(-cmp.Compare(min(p.Line, 1), min(o.Line, 1)), // files first
		cmp.Compare(p.Source, o.Source), cmp.Compare(p.Line, o.Line), cmp.Compare(p.Column, o.Column))
}

// A Problem is one thing wrong in a configuration, or odd if it is a Warning.
type Problem struct {
	Pos  Pos    // of the value, or of its parent when it is missing
	Path string // vips[2].backends[0].address; empty for the file as a whole
	Text string // what is wrong (what would be right)
	// Also is the other half of a conflict; the zero value means there is none.
	Also    Pos
	Warning bool
}

// String is the line that people see.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []string{p.Pos.String(), p.Path} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.sentence())
	return b.String()
}

// sentence is Text, and where the other half is.
func (p Problem) sentence() string {
	if p.Also == (Pos{}) {
		return p.Text
	}
	return p.Text + " at " + p.Also.String()
}

// A place is where a setting's key and value stand; key is the zero value for
// an item of a list.
type place struct{ key, value Pos }

// A report collects problems and knows where every setting came from.
type report struct {
	places   map[string]place // by path; "" is the whole file
	problems []Problem
	nowhere  bool // no place but the path itself: it was said, not written
}

// given tells whether somebody wrote the setting, so that it is no default.
func (r *report) given(path string) bool {
	_, ok := r.places[path]
	return ok
}

// pos is where the value of path stands, or that of its nearest parent.
func (r *report) pos(path string) Pos {
	if r.nowhere {
		return Pos{Source: path}
	}
	for {
		if p, ok := r.places[path]; ok || path == "" {
			return p.value
		}
		path = parent(path)
	}
}

func (r *report) errorf(path, format string, args ...any) {
	r.problems = append(r.problems, Problem{Pos: r.pos(path), Path: path, Text: fmt.Sprintf(format, args...)})
}

func (r *report) warnf(path, format string, args ...any) {
	r.problems = append(r.problems, Problem{Pos: r.pos(path), Path: path, Text: fmt.Sprintf(format, args...), Warning: true})
}

// keyErrorf is for a setting whose key, not value, is wrong.
func (r *report) keyErrorf(path, format string, args ...any) {
	pos := r.places[path].key
	if pos == (Pos{}) {
		pos = r.pos(path)
	}
	r.problems = append(r.problems, Problem{Pos: pos, Path: path, Text: fmt.Sprintf(format, args...)})
}

// conflictf is for two settings that don't go together: the problem is told at
// path, and its text ends with where the other one stands.
func (r *report) conflictf(path, other, format string, args ...any) {
	r.clashf(path, r.pos(other), format, args...)
}

// clashf is conflictf with something whose place alone is known.
func (r *report) clashf(path string, other Pos, format string, args ...any) {
	r.problems = append(r.problems, Problem{Pos: r.pos(path), Path: path, Text: fmt.Sprintf(format, args...), Also: other})
}

// maxDepth and maxPath keep reading linear in the size of a file: the path of
// each value is kept, and is as long as the value is deep.
const (
	maxDepth = 32
	maxPath  = 4096
)

// tooLong tells when a value is beyond that; reading then ends.
func (r *report) tooLong(path string, depth int) bool {
	if depth <= maxDepth && len(path) <= maxPath {
		return false
	}
	pos := r.pos(path)
	delete(r.places, path)
	r.problems = append(r.problems, Problem{Pos: pos, Text: fmt.Sprintf(
		"nested more than %d levels deep, or under names of more than %d characters together", maxDepth, maxPath)})
	return true
}

// paths tells where there are problems, besides the first ones.
func (r *report) paths(besides int) map[string]bool {
	told := make(map[string]bool, len(r.problems)-besides)
	for _, p := range r.problems[besides:] {
		told[p.Path] = true
	}
	return told
}

// sorted returns the problems in the order of the file, each once.
func (r *report) sorted() []Problem {
	slices.SortFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(a.Pos.compare(b.Pos), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text), a.Also.compare(b.Also))
	})
	return slices.Compact(r.problems)
}

// failed tells whether any problem is more than a warning.
func (r *report) failed() bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return !p.Warning })
}

// join appends a key to a path. A key that could be taken for more than one is
// quoted, as in checks."web.example".kind, so that no two settings share a path.
func join(path, key string) string {
	plain := key != ""
	for _, c := range []byte(key) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			plain = false
		}
	}
	if !plain {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent takes off what join or item appended last.
func parent(path string) string {
	last, quoted := 0, false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '.' || c == '['):
			last = i
		}
	}
	return path[:last]
}
