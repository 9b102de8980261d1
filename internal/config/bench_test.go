package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// large is a YAML text of n VIPs with four backends each.
func large(n int) string {
	var b strings.Builder
	b.WriteString("checks: {web: {kind: http, path: /healthz}}\nvips:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: vip-%d\n    prefix: 10.%d.%d.%d/32\n    check: web\n    min_healthy: 1\n    backends:\n", i, i>>16, i>>8&255, i&255)
		for j := range 4 {
			fmt.Fprintf(&b, "      - {address: \"172.16.%d.%d:8080\", name: b%d, weight: 1}\n", i>>8, i&255, j)
		}
	}
	return b.String()
}

func BenchmarkParse10kVIPs(b *testing.B) {
	text := []byte(large(10_000))
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		b.Fatal(err)
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		b.Fatal(err)
	}
	asTOML, err := toml.Marshal(tree)
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"vipd.yaml": text, "vipd.json": asJSON, "vipd.toml": asTOML} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				c, problems := Parse(name, data, Options{Hostname: "host"})
				if c == nil || len(c.VIPs) != 10_000 {
					b.Fatalf("problems: %d, first %v", len(problems), problems[0])
				}
			}
		})
	}
}

// The specs are what encoding/json gives.
func BenchmarkMake(b *testing.B) {
	var tree struct {
		VIPs []Spec `json:"vips"`
	}
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(large(10_000)), &doc); err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(data, &tree); err != nil {
		b.Fatal(err)
	}
	one := Spec{"name": "one", "prefix": "192.0.2.1", "check": "web", "backends": []any{map[string]any{"address": "10.1.0.1:80"}}}
	for _, bench := range []struct {
		name, file string
		specs      []Spec
	}{
		{"10k", large(0), tree.VIPs},
		{"one beside 10k", large(10_000), []Spec{one}},
	} {
		c, problems := Parse("vipd.yaml", []byte(bench.file), Options{Hostname: "host"})
		if c == nil {
			b.Fatal(problems)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if list, problems := c.Make(bench.specs); len(problems) > 0 || list[0].Name == "" {
					b.Fatalf("problems: %d, first %v", len(problems), problems[0])
				}
			}
		})
	}
}
