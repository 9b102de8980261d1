package vipctl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// parseSpecs reads definitions of VIPs from YAML, of which JSON is a part: one
// VIP, a list of them, or a list below the key vips as the configuration file
// has it. It knows the shape of the API's message and no more; what the values
// may be is the daemon's to say.
func parseSpecs(name string, content []byte) ([]*vipdv1.VipSpec, error) {
	r := &specReader{name: name}
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(content))
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, usage("%s: it is empty", name)
	case err != nil:
		return nil, usage("%s: %w", name, err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, usage("%s: it has more than one document", name)
	}
	specs := r.specs(document.Content[0])
	if len(r.problems) > 0 {
		return nil, usage("%s", strings.Join(r.problems, "\n  "))
	}
	return specs, nil
}

// A specReader collects all that is wrong in a file.
type specReader struct {
	name     string
	problems []string
}

func (r *specReader) problem(n *yaml.Node, path, format string, args ...any) {
	what := clean(fmt.Sprintf(format, args...))
	r.problems = append(r.problems, fmt.Sprintf("%s:%d:%d: %s: %s", r.name, n.Line, n.Column, clean(path), what))
}

// A field is what a key of a mapping is read by.
type field map[string]func(n *yaml.Node, path string)

func (r *specReader) mapping(n *yaml.Node, path string, fields field) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, orVIP(path), "it is no mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		read := fields[key.Value]
		switch {
		case seen[key.Value]:
			r.problem(key, at, "the key is there twice")
		case read == nil:
			r.problem(key, at, "unknown key")
		case value.Tag != "!!null": // a key without a value says nothing
			read(value, at)
		}
		seen[key.Value] = true
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orVIP(path string) string {
	if path == "" {
		return "the VIP"
	}
	return path
}

func (r *specReader) sequence(n *yaml.Node, path string, each func(n *yaml.Node, path string)) {
	if n.Kind != yaml.SequenceNode {
		r.problem(n, path, "it is no list")
		return
	}
	for i, x := range n.Content {
		each(x, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (r *specReader) specs(n *yaml.Node) (all []*vipdv1.VipSpec) {
	add := func(n *yaml.Node, path string) { all = append(all, r.spec(n, path)) }
	list := func(n *yaml.Node, path string) { r.sequence(n, path, add) }
	switch {
	case n.Kind == yaml.SequenceNode:
		list(n, "vips")
	case n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].Value == "vips":
		r.mapping(n, "", field{"vips": list})
	default:
		add(n, "")
	}
	return all
}

func (r *specReader) spec(n *yaml.Node, path string) *vipdv1.VipSpec {
	s := &vipdv1.VipSpec{}
	r.mapping(n, path, field{
		"name":        r.text(&s.Name),
		"prefix":      r.text(&s.Prefix),
		"min_healthy": r.text(&s.MinHealthy),
		"check":       r.text(&s.Check),
		"hold_down":   func(n *yaml.Node, path string) { s.HoldDown = r.duration(n, path) },
		"announce":    func(n *yaml.Node, path string) { s.Announce = r.section(n, path) },
		"degraded": func(n *yaml.Node, path string) {
			r.sequence(n, path, func(n *yaml.Node, path string) { s.Degraded = append(s.Degraded, r.section(n, path)) })
		},
		"link_bandwidth": func(n *yaml.Node, path string) { s.LinkBandwidth = r.value(n, path) },
		"backends": func(n *yaml.Node, path string) {
			r.sequence(n, path, func(n *yaml.Node, path string) { s.Backends = append(s.Backends, r.backend(n, path)) })
		},
		"checks": func(n *yaml.Node, path string) { s.Checks = r.checks(n, path) },
	})
	return s
}

func (r *specReader) backend(n *yaml.Node, path string) *vipdv1.BackendSpec {
	b := &vipdv1.BackendSpec{}
	r.mapping(n, path, field{
		"name":    r.text(&b.Name),
		"address": r.text(&b.Address),
		"check":   r.text(&b.Check),
		"weight": func(n *yaml.Node, path string) {
			var weight uint32
			if err := n.Decode(&weight); err != nil || n.Tag != "!!int" {
				r.problem(n, path, "%q is no number", n.Value)
				return
			}
			b.Weight = &weight
		},
	})
	return b
}

// text reads a text; min_healthy: 2 is written as a number, and means "2".
func (r *specReader) text(to *string) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode {
			r.problem(n, path, "it is no text")
			return
		}
		*to = n.Value
	}
}

func (r *specReader) duration(n *yaml.Node, path string) *durationpb.Duration {
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		r.problem(n, path, "%q is no duration (300ms, 5s, 1h30m)", n.Value)
		return nil
	}
	return durationpb.New(d)
}

func (r *specReader) checks(n *yaml.Node, path string) map[string]*structpb.Struct {
	s := r.section(n, path)
	if s == nil {
		return nil
	}
	all := map[string]*structpb.Struct{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		check := s.GetFields()[name].GetStructValue()
		if check == nil {
			r.problem(n.Content[i+1], join(path, name), "it is no mapping")
			continue
		}
		all[name] = check
	}
	return all
}

// section reads a mapping as it is; the daemon knows its keys.
func (r *specReader) section(n *yaml.Node, path string) *structpb.Struct {
	if n.Kind != yaml.MappingNode {
		r.problem(n, path, "it is no mapping")
		return nil
	}
	return r.value(n, path).GetStructValue()
}

func (r *specReader) value(n *yaml.Node, path string) *structpb.Value {
	switch n.Kind {
	case yaml.MappingNode:
		fields := map[string]*structpb.Value{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if fields[key.Value] != nil {
				r.problem(key, join(path, key.Value), "the key is there twice")
			}
			fields[key.Value] = r.value(n.Content[i+1], join(path, key.Value))
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	case yaml.SequenceNode:
		list := &structpb.ListValue{}
		r.sequence(n, path, func(n *yaml.Node, path string) { list.Values = append(list.Values, r.value(n, path)) })
		return structpb.NewListValue(list)
	case yaml.AliasNode:
		// A few lines of aliases can stand for gigabytes.
		r.problem(n, path, "aliases (*%s) are not taken", n.Value)
		return structpb.NewNullValue()
	}
	return r.scalar(n, path)
}

// scalar keeps a number a number and a word a word; what YAML takes for a date
// is a text.
func (r *specReader) scalar(n *yaml.Node, path string) *structpb.Value {
	var err error
	value := structpb.NewStringValue(n.Value)
	switch n.Tag {
	case "!!null":
		value = structpb.NewNullValue()
	case "!!bool":
		var b bool
		err = n.Decode(&b)
		value = structpb.NewBoolValue(b)
	case "!!int", "!!float":
		var f float64
		err = n.Decode(&f)
		value = structpb.NewNumberValue(f)
	}
	if err != nil {
		r.problem(n, path, "%v", err)
	}
	return value
}
