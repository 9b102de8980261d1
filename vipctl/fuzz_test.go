package vipctl

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/proto"
)

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Whatever a file has, it is refused with a text, or read to something that the
// API can be sent.
func FuzzSpecs(f *testing.F) {
	for _, name := range []string{"shop.yaml", "vips.yaml", "mistakes.yaml"} {
		f.Add(mustRead(f, "testdata/"+name))
	}
	for _, s := range []string{"", "[]", "vips:", "- {name: a}\n- b", "a: &a [*a]", "checks: {x: {y: !!int z}}", "link_bandwidth: .inf", "---\n---\n", "? [a]\n: b", "announce: {<<: {a: 1}}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		specs, err := parseSpecs("f.yaml", content)
		if err != nil {
			if err.Error() == "" || len(specs) > 0 {
				t.Errorf("%q with %d VIPs", err, len(specs))
			}
			return
		}
		for _, s := range specs {
			if _, err := proto.Marshal(s); err != nil {
				t.Errorf("%v: %v", s, err)
			}
		}
	})
}

// Whatever a daemon or a backend says, nothing of it reaches the terminal but
// text.
func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mb\x9b\u202e\r\n\x00")
	f.Fuzz(func(t *testing.T, s string) {
		for _, text := range []string{clean(s), strings.ReplaceAll(cleanLines(s), "\n", "")} {
			if strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(text, "\u202a\u202b\u202d\u202e\u2066") {
				t.Errorf("%q of %q", text, s)
			}
		}
	})
}

// --backend is refused, or has an address.
func FuzzBackend(f *testing.F) {
	f.Add("10.1.0.11:80,weight=2,name=a,check=web")
	f.Add(",weight=,=")
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := parseBackend(s); err == nil && b.GetAddress() == "" {
			t.Errorf("%q has no address", s)
		}
	})
}
