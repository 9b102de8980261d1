package walls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// proofs are tests as docs/bfd.md names them: folder and function, session.TestJitter.
func proofs(t *testing.T, tree fs.FS) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[path.Base(path.Dir(name))+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A verdict begins the third cell of a row. One that claims something needs a test.
type verdict struct {
	word   string
	proven bool
}

var verdicts = []verdict{{"obeyed", true}, {"offered", true}, {"differs", false}, {"not done", false}}

// unproven returns a sentence for each row about an RFC that is no row, or that no
// test proves, and for each test that is named and does not exist.
func unproven(text string, tests map[string]bool) (all []string) {
	named := regexp.MustCompile("`([a-z0-9]+\\.(?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")
	rows := 0
	for i, line := range strings.Split(text, "\n") {
		breach := func(what string) { all = append(all, fmt.Sprintf("line %d: %s", i+1, what)) }
		names := named.FindAllStringSubmatch(line, -1)
		for _, n := range names {
			if !tests[n[1]] {
				breach("there is no test " + n[1])
			}
		}
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| §") || strings.HasPrefix(line, "| § |") {
			continue
		}
		rows++
		if len(cells) != 4 {
			breach(fmt.Sprintf("a row has 4 cells, not %d", len(cells)))
			continue
		}
		v := slices.IndexFunc(verdicts, func(v verdict) bool { return strings.HasPrefix(cells[2], v.word) })
		switch {
		case v < 0:
			breach(fmt.Sprintf("%q begins with no verdict", cells[2]))
		case verdicts[v].proven && len(names) == 0:
			breach(verdicts[v].word + " is proven by no test")
		}
	}
	if rows == 0 {
		all = append(all, "no rows at all")
	}
	return all
}

func TestWhatDocsSayOfRFCsIsProven(t *testing.T) {
	text, err := os.ReadFile("../../docs/bfd.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range unproven(string(text), proofs(t, os.DirFS("../.."))) {
		t.Errorf("docs/bfd.md: %s", breach)
	}
}

func TestProofsCanBeMissed(t *testing.T) {
	tests := proofs(t, fstest.MapFS{
		"a/b/b_test.go": {Data: []byte("package b\nfunc TestOne(t *testing.T) {}\nfunc (x) TestTwo() {}")},
		"a/b/b.go":      {Data: []byte("package b\nfunc TestThree() {}")},
	})
	for _, tt := range []struct{ row, want string }{
		{"| §1 | a rule | obeyed | `b.TestOne` |", ""},
		{"| §1 | a rule | obeyed | `b.TestOne`, `b.TestTwo` |", "line 1: there is no test b.TestTwo"},
		{"| §1 | a rule | obeyed | `b.TestThree` |", "line 1: there is no test b.TestThree"},
		{"| §1 | a rule | obeyed | |", "line 1: obeyed is proven by no test"},
		{"| §1 | a rule | differs: we know better | |", ""},
		{"| §1 | a rule | not done | |", ""},
		{"| §1 | a rule | perhaps | `b.TestOne` |", `line 1: "perhaps" begins with no verdict`},
		{"| §1 | obeyed | `b.TestOne` |", "line 1: a row has 4 cells, not 3"},
		{"| § | rule | here | proof |", "no rows at all"},
		{"| §1 | a rule | not done | |\nas `c.FuzzAll` shows", "line 2: there is no test c.FuzzAll"},
	} {
		if got := strings.Join(unproven(tt.row, tests), "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.row, got, tt.want)
		}
	}
}
