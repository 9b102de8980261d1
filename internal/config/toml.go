package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A tomlReader finds the places; the values come from toml.Unmarshal, which
// also refuses what the grammar alone lets through, such as duplicate keys.
type tomlReader struct {
	*report
	cursor
	items   map[string]int // how many [[tables]] each path has so far
	stopped bool
}

// readTOML returns false when the text is no TOML.
func readTOML(r *report, source string, data []byte) (any, bool) {
	t := &tomlReader{report: r, cursor: cursor{data: data, source: source}, items: map[string]int{}}
	var m map[string]any
	if err := toml.Unmarshal(data, &m); err != nil {
		pos, text := Pos{source, 1, 1}, err.Error()
		if de := (*toml.DecodeError)(nil); errors.As(err, &de) {
			pos.Line, pos.Column = de.Position()
		}
		r.problems = append(r.problems, Problem{Pos: pos, Text: "not TOML: " + strings.TrimPrefix(text, "toml: ")})
		return nil, false
	}
	t.places[""] = place{value: Pos{source, 1, 1}}
	var p unstable.Parser
	p.Reset(data)
	table := ""
	for !t.stopped && p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.KeyValue:
			t.keyValue(table, e)
		case unstable.Table, unstable.ArrayTable:
			table = t.table(e)
		}
	}
	if t.stopped {
		return nil, false
	}
	return plain(m), true
}

func (t *tomlReader) tooDeep(path string) bool {
	t.stopped = t.stopped || t.tooLong(path, 0)
	return t.stopped
}

// table returns the path that the following keys belong to. A name that leads
// through an array of tables means its last one.
func (t *tomlReader) table(e *unstable.Node) string {
	path := ""
	for keys := e.Key(); keys.Next(); {
		at := t.at(int(keys.Node().Raw.Offset))
		if path = join(path, string(keys.Node().Data)); t.tooDeep(path) {
			return path
		}
		t.first(path, place{at, at})
		if e.Kind == unstable.ArrayTable && keys.IsLast() {
			t.items[path]++
		}
		if n := t.items[path]; n > 0 {
			path = item(path, n-1)
			t.first(path, place{value: at})
		}
	}
	return path
}

// first notes a place unless the path has one: a table may be named many times.
func (t *tomlReader) first(path string, p place) {
	if !t.given(path) {
		t.places[path] = p
	}
}

func (t *tomlReader) keyValue(path string, e *unstable.Node) {
	end := 0
	var key Pos
	for keys := e.Key(); keys.Next(); {
		raw := keys.Node().Raw
		end, key = int(raw.Offset+raw.Length), t.at(int(raw.Offset))
		if path = join(path, string(keys.Node().Data)); t.tooDeep(path) {
			return
		}
		t.first(path, place{key, key})
	}
	if eq := bytes.IndexByte(t.data[end:], '='); eq >= 0 {
		end = t.skip(end+eq+1, "")
	}
	t.places[path] = place{key, t.at(end)}
	t.children(path, e.Value())
}

func (t *tomlReader) children(path string, n *unstable.Node) {
	if n.Kind != unstable.Array && n.Kind != unstable.InlineTable || t.tooDeep(path) {
		return
	}
	i := 0
	for it := n.Children(); it.Next(); i++ {
		c := it.Node()
		if c.Kind == unstable.KeyValue {
			t.keyValue(path, c)
			continue
		}
		sub := item(path, i)
		t.places[sub] = place{value: t.pos(path)}
		if c.Raw.Length > 0 { // arrays within arrays have none
			t.places[sub] = place{value: t.at(int(c.Raw.Offset))}
		}
		t.children(sub, c)
	}
}

// plain brings the containers of v to []any and map[string]any.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case []map[string]any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return v
}
