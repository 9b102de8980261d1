package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxAliased bounds what aliases stand for, in bytes: a few lines of them can
// mean more values than fit into memory.
const maxAliased = 32 << 20

// A yamlReader turns nodes into plain values and notes where they stand.
type yamlReader struct {
	*report
	source  string
	aliased int // about how many bytes all values reached through aliases take
	within  int // how many aliases lead to the node at hand
	stopped bool
}

// readYAML returns false when the text is no YAML.
func readYAML(r *report, source string, data []byte) (any, bool) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		r.problems = append(r.problems, yamlSyntax(source, data, err))
		return nil, false
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		r.problems = append(r.problems, Problem{Pos: Pos{source, second.Line, max(second.Column, 1)},
			Text: "a second document (one file is one configuration: remove the line ---)"})
	case !errors.Is(err, io.EOF):
		r.problems = append(r.problems, yamlSyntax(source, data, err))
	}
	y := &yamlReader{report: r, source: source}
	return y.value("", Pos{}, doc.Content[0], 0), !y.stopped
}

var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
)

// yamlSyntax gives a place to an error of the YAML parser, which tells at best
// a line, and for some mistakes the one before.
func yamlSyntax(source string, data []byte, err error) Problem {
	text := err.Error()
	c := cursor{data: data, source: source}
	if at := bytes.IndexFunc(data, notYAML); at >= 0 {
		return Problem{Pos: c.at(at), Text: "not YAML: a character that is not allowed (write it escaped, in double quotes)"}
	}
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		return Problem{Pos: c.at(max(0, bytes.Index(data, []byte("*"+m[1])))), Text: "not YAML: no anchor &" + m[1] + " before this alias"}
	}
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits, by the expression
		text = text[len(m[0]):]
	}
	rest, start := data, 0
	for range line - 1 {
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			rest, start = rest[i+1:], start+i+1
		}
	}
	indent := len(rest) - len(bytes.TrimLeft(rest, " \t"))
	return Problem{Pos: c.at(start + indent),
		Text: "not YAML: " + strings.TrimPrefix(text, "yaml: ") + " (look at this line and at those after it)"}
}

func notYAML(c rune) bool {
	return c == utf8.RuneError || c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f
}

func (y *yamlReader) at(n *yaml.Node) Pos { return Pos{y.source, n.Line, n.Column} }

func (y *yamlReader) value(path string, key Pos, n *yaml.Node, depth int) any {
	if n.Kind == yaml.AliasNode {
		y.within++
		defer func() { y.within-- }()
		n = n.Alias
	}
	if y.places[path] = (place{key, y.at(n)}); y.tooMuch(path, depth) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		y.mapping(path, n, depth, m)
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = y.value(item(path, i), Pos{}, c, depth+1)
		}
		return list
	}
	return y.scalar(path, n)
}

// tooMuch bounds what is read; it tells so once.
func (y *yamlReader) tooMuch(path string, depth int) bool {
	if y.stopped {
		return true
	}
	if y.within > 0 {
		y.aliased += 64 + len(path)
	}
	switch {
	case y.tooLong(path, depth):
	case y.aliased > maxAliased:
		y.errorf(path, "aliases stand for more than %d MB of values", maxAliased>>20)
	default:
		return false
	}
	y.stopped = true
	return true
}

// mapping puts the keys of n into m. Keys of a merged mapping (<<) give way to
// those that stand in n itself.
func (y *yamlReader) mapping(path string, n *yaml.Node, depth int, m map[string]any) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			y.problems = append(y.problems, Problem{Pos: y.at(key), Path: path, Text: "a list or section as a key (write a word)"})
			continue
		}
		sub := join(path, key.Value)
		if _, twice := m[key.Value]; twice {
			y.problems = append(y.problems, Problem{Pos: y.at(key), Path: sub, Text: "key is already there", Also: y.places[sub].key})
			continue
		}
		m[key.Value] = y.value(sub, y.at(key), value, depth+1)
	}
	for _, from := range merged {
		y.merge(path, from, depth, m)
	}
}

// merge is YAML's merge key: a mapping, or a list of them of which an earlier
// one wins.
func (y *yamlReader) merge(path string, from *yaml.Node, depth int, m map[string]any) {
	if from.Kind == yaml.AliasNode {
		from = from.Alias
	}
	y.within++
	defer func() { y.within-- }()
	if y.tooMuch(path, depth) {
		return
	}
	switch from.Kind {
	case yaml.SequenceNode:
		for _, one := range from.Content {
			y.merge(path, one, depth+1, m)
		}
	case yaml.MappingNode:
		rest := &yaml.Node{Kind: yaml.MappingNode}
		for i := 0; i+1 < len(from.Content); i += 2 {
			if _, there := m[from.Content[i].Value]; !there {
				rest.Content = append(rest.Content, from.Content[i:i+2]...)
			}
		}
		y.mapping(path, rest, depth+1, m)
	default:
		y.problems = append(y.problems, Problem{Pos: y.at(from), Path: path, Text: "<< of something else than a section (write << and an alias of one)"})
	}
}

// scalar keeps to YAML's core schema. What else a tag may ask for (dates,
// binary) has no use here and stays the text that it is.
func (y *yamlReader) scalar(path string, n *yaml.Node) any {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return nil
	case "!!str", "!!timestamp":
		return n.Value
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			return n.Value // a tag that lies: !!int abc
		}
		return number(v)
	default:
		y.errorf(path, "has the tag %s (remove it)", tag)
		return n.Value
	}
}

// number brings the types of the parsers' numbers to int64 and float64.
func number(v any) any {
	switch n := v.(type) {
	case int:
		return int64(n)
	case uint64:
		return float64(n)
	case uint:
		return float64(n)
	}
	return v
}

// A cursor turns byte offsets into places; it is quick when they grow.
type cursor struct {
	data      []byte
	source    string
	offset    int // of where line and column stand, both from 0
	line, col int
}

func (c *cursor) at(offset int) Pos {
	offset = min(offset, len(c.data))
	if offset < c.offset {
		c.offset, c.line, c.col = 0, 0, 0
	}
	for c.offset < offset {
		r, size := utf8.DecodeRune(c.data[c.offset:])
		c.offset += size
		c.col++
		if r == '\n' {
			c.line, c.col = c.line+1, 0
		}
	}
	return Pos{c.source, c.line + 1, c.col + 1}
}

// skip returns the first offset from from on that is none of cutset or space.
func (c *cursor) skip(from int, cutset string) int {
	for from < len(c.data) && (unicode.IsSpace(rune(c.data[from])) || strings.IndexByte(cutset, c.data[from]) >= 0) {
		from++
	}
	return from
}
