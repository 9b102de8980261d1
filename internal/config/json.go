package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// A jsonReader walks tokens, since encoding/json tells places for errors only.
type jsonReader struct {
	*report
	cursor
	dec     *json.Decoder
	stopped bool
}

// readJSON returns false when the text is no JSON.
func readJSON(r *report, source string, data []byte) (any, bool) {
	j := &jsonReader{report: r, cursor: cursor{data: data, source: source}, dec: json.NewDecoder(bytes.NewReader(data))}
	// The whole text is checked first: the walk may then take tokens as they
	// come, without looking at errors again.
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		at := len(data)
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && !strings.HasPrefix(err.Error(), "unexpected end") {
			at = int(syntax.Offset) - 1
		}
		r.problems = append(r.problems, Problem{Pos: j.at(at), Text: "not JSON: " + err.Error()})
		return nil, false
	}
	j.dec.UseNumber()
	return j.value("", Pos{}, 0), !j.stopped
}

// token returns the next token and where it begins.
func (j *jsonReader) token() (json.Token, Pos) {
	begin := j.skip(int(j.dec.InputOffset()), ",:")
	t, err := j.dec.Token()
	if err != nil {
		return nil, j.at(begin)
	}
	return t, j.at(begin)
}

func (j *jsonReader) value(path string, key Pos, depth int) any {
	t, pos := j.token()
	j.places[path] = place{key, pos}
	j.stopped = j.stopped || j.tooLong(path, depth)
	switch t := t.(type) {
	case json.Number:
		return jsonNumber(t)
	case json.Delim:
		if t == '{' {
			return j.object(path, depth)
		}
		list := []any{}
		for !j.stopped && j.dec.More() {
			list = append(list, j.value(item(path, len(list)), Pos{}, depth+1))
		}
		j.token() // ]
		return list
	}
	return t // nil, bool, string
}

func (j *jsonReader) object(path string, depth int) any {
	m := map[string]any{}
	for !j.stopped && j.dec.More() {
		t, pos := j.token()
		key, _ := t.(string) // all keys of JSON are
		sub := join(path, key)
		if _, twice := m[key]; twice {
			j.problems = append(j.problems, Problem{Pos: pos, Path: sub, Text: "key is already there", Also: j.places[sub].key})
			first := j.places[sub]
			j.value(sub, pos, depth+1)
			j.places[sub] = first
			continue
		}
		m[key] = j.value(sub, pos, depth+1)
	}
	j.token() // }
	return m
}

func jsonNumber(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, _ := n.Float64() // out of range: infinite, and so out of every range here
	return f
}
