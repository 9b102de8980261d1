package walls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// breaches returns a sentence for each breach in the Go files of a tree.
func breaches(t *testing.T, tree fs.FS) (all []string) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parse(name, source)
		if err != nil {
			return err
		}
		all = slices.Concat(all, f.size(), f.arrows(), f.banned())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A file is a Go file with what it imports, and what of that it uses.
type file struct {
	path           string
	lines          int
	ast            *ast.File
	imported, used []string // "time", "time.Now"
}

func parse(name string, source []byte) (file, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{path: name, lines: strings.Count(string(source), "\n"), ast: parsed}
	names := map[string]string{}
	for _, spec := range parsed.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		f.imported = append(f.imported, imported)
		names[path.Base(strings.TrimSuffix(imported, "/v2"))] = imported
		if spec.Name != nil {
			names[spec.Name.Name] = imported
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// Obj is set where a local name hides the package.
		if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil && names[x.Name] != "" {
			f.used = append(f.used, names[x.Name]+"."+s.Sel.Name)
		}
		return true
	})
	return f, nil
}

func (f file) test() bool               { return strings.HasSuffix(f.path, "_test.go") }
func (f file) under(set string) bool    { return within(path.Dir(f.path), set) }
func (f file) imports(what string) bool { return slices.Contains(f.imported, what) }

func (f file) core() bool {
	return !f.test() && slices.ContainsFunc(cores, func(core string) bool {
		ok, _ := path.Match(core, f.path)
		return ok
	})
}

// within reports whether name is in the set: itself, "tree/...", "package.*".
func within(name, set string) bool {
	if tree, ok := strings.CutSuffix(set, "/..."); ok {
		return name == tree || strings.HasPrefix(name, tree+"/")
	}
	all, ok := strings.CutSuffix(set, "*")
	return name == set || ok && strings.HasPrefix(name, all)
}

func (f file) size() (all []string) {
	if ast.IsGenerated(f.ast) {
		return nil
	}
	if f.lines > maxLines {
		all = append(all, fmt.Sprintf("%s: %d lines: one idea a file, in %d lines at most", f.path, f.lines, maxLines))
	}
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			all = append(all, f.path+": init: what happens at start belongs to main, where it can fail and be seen")
		}
	}
	return all
}

func (f file) arrows() (all []string) {
	dir := path.Dir(f.path)
	for _, imported := range f.imported {
		ours, ok := strings.CutPrefix(imported, module)
		if !ok || ours == dir { // an external test imports what it tests
			continue
		}
		if f.test() && slices.Contains(testsMay[dir], ours) {
			continue
		}
		may, why := []string(nil), dir+" has no room in this test: draw its arrows here first"
		for _, r := range rooms {
			if within(dir, r.where) {
				may, why = r.may, r.why
				break
			}
		}
		if !slices.ContainsFunc(may, func(set string) bool { return within(ours, set) }) {
			all = append(all, fmt.Sprintf("%s: imports %s: %s", f.path, ours, why))
		}
	}
	return all
}

func (f file) banned() (all []string) {
	for _, b := range bans {
		hit := func(word string, sets []string) bool {
			in := func(set string) bool { return within(word, set) }
			return slices.ContainsFunc(sets, in) && !slices.ContainsFunc(b.but, in)
		}
		for _, word := range slices.Concat(f.imported, f.used) {
			if b.in(f) && (slices.Contains(f.imported, word) && hit(word, b.imports) || hit(word, b.uses)) {
				all = append(all, fmt.Sprintf("%s: %s: %s", f.path, strings.TrimPrefix(word, module), b.why))
			}
		}
	}
	return all
}
