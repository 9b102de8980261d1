package vipctl

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A format is how answers are shown.
type format string

const (
	formatTable format = "table"
	formatWide  format = "wide"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

// String, Set and Type make it a flag.
func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "format" }
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatWide, formatJSON, formatYAML:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("it is one of table, wide, json, yaml")
}

// encoded reports whether the output is for programs.
func (a *app) encoded() bool { return a.output == formatJSON || a.output == formatYAML }

// show writes an answer: m for programs, else what draw makes of it.
func (a *app) show(m proto.Message, draw func(*page)) error {
	if a.encoded() {
		compact, err := compactJSON(m)
		if err != nil {
			return err
		}
		return a.showJSON(compact)
	}
	p := a.page()
	draw(p)
	_, err := a.Stdout.Write(p.text.Bytes())
	return err
}

// showJSON writes a JSON document for programs.
func (a *app) showJSON(compact []byte) error {
	var b bytes.Buffer
	if a.output == formatYAML {
		if err := writeYAML(&b, compact); err != nil {
			return err
		}
	} else {
		if err := json.Indent(&b, compact, "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// showLine writes one of many documents, each whole: a line of JSON, or a
// document of a YAML stream.
func (a *app) showLine(m proto.Message) error {
	compact, err := compactJSON(m)
	if err != nil {
		return err
	}
	if a.output == formatYAML {
		if _, err := fmt.Fprintln(a.Stdout, "---"); err != nil {
			return err
		}
		return a.showJSON(compact)
	}
	_, err = a.Stdout.Write(append(compact, '\n'))
	return err
}

// compactJSON has every field that the API knows, so that a script may rely on
// it, with the API's names. What is unset is left out.
func compactJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	// protojson puts blanks at random, so that nobody relies on them.
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return b.Bytes(), nil
}

// writeYAML writes a JSON document, which is YAML too, as people write YAML.
func writeYAML(b *bytes.Buffer, compact []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(compact, &document); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	restyle(&document)
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(&document); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return e.Close()
}

// restyle takes JSON's braces and quotes away. The tags stay, so that a text
// that looks like a number is quoted again.
func restyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		restyle(c)
	}
}
