package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/knadh/koanf/v2"
)

// maxFile bounds every file that is read: some paths never end.
const maxFile = 32 << 20

// Options are what a configuration is made from besides the text of its file.
type Options struct {
	Path     string   // .yaml, .yml, .json or .toml; empty: no file
	Env      []string // as os.Environ gives it; VIPD_… and three others count
	Set      []string // path=value, the strongest layer
	Hostname string   // the default of node
	// ReadFile reads the files that the configuration names, to see that they
	// are there; nil: from disk.
	ReadFile func(name string) ([]byte, error)
	// LookupUser and LookupGroup find the numbers of accounts; nil: this host's.
	LookupUser, LookupGroup func(name string) (uint32, error)
}

// complete fills in what this host has.
func (o Options) complete() Options {
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	if o.LookupUser == nil {
		o.LookupUser = lookupUser
	}
	if o.LookupGroup == nil {
		o.LookupGroup = lookupGroup
	}
	return o
}

// Load reads the file at opts.Path and parses it. The error is for a file that
// can't be read; what is wrong within it are problems.
func Load(opts Options) (*Config, []Problem, error) {
	opts = opts.complete()
	if opts.Path == "" {
		c, problems := Parse("", nil, opts)
		return c, problems, nil
	}
	data, err := opts.ReadFile(opts.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	c, problems := Parse(opts.Path, data, opts)
	return c, problems, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: longer than %d bytes", name, maxFile)
	}
	return data, err
}

// Parse makes a configuration of data, whose format name's ending tells, and
// of the other layers in opts. The problems are sorted by place; Config is nil
// unless all of them are warnings.
func Parse(name string, data []byte, opts Options) (*Config, []Problem) {
	opts = opts.complete()
	r := &report{places: map[string]place{"": {value: Pos{Source: "configuration"}}}}
	file, ok := r.readText(name, data)
	if !ok {
		return nil, r.sorted()
	}
	var doc document
	d := newDecoder(r)
	d.section("", r.merge(file, opts), reflect.ValueOf(&doc).Elem())
	c := assemble(newChecker(r, &doc, opts, filepath.Dir(name)))
	if r.failed() {
		return nil, r.sorted()
	}
	return c, r.sorted()
}

// readText reads the file's text into plain values.
func (r *report) readText(name string, data []byte) (map[string]any, bool) {
	// A full disk leaves such a file behind. Read as "no VIPs", it would withdraw
	// all of them.
	if name != "" && len(bytes.TrimSpace(data)) == 0 {
		r.problems = append(r.problems, Problem{Pos: Pos{Source: name, Line: 1, Column: 1}, Text: "the file is empty (write {} if nothing is to be configured)"})
		return nil, false
	}
	var root any
	ok := true
	switch ending := filepath.Ext(name); ending {
	case ".yaml", ".yml":
		root, ok = readYAML(r, name, data)
	case ".json":
		root, ok = readJSON(r, name, data)
	case ".toml":
		root, ok = readTOML(r, name, data)
	default:
		if ok = name == ""; !ok {
			r.problems = append(r.problems, Problem{Pos: Pos{Source: name}, Text: "unknown file ending (.yaml, .yml, .json or .toml)"})
		}
	}
	m, isMap := root.(map[string]any)
	if !isMap && root != nil {
		r.errorf("", "the file is %s (write a section of keys)", shown(root))
		ok = false
	}
	return m, ok
}

// A layer is a source of settings, as koanf reads it.
type layer map[string]any

func (l layer) Read() (map[string]any, error) { return l, nil }

// ReadBytes is never called: no parser is given.
func (l layer) ReadBytes() ([]byte, error) { return nil, nil }

// merge lays environment and flags over the file. The defaults come in when
// values are decoded: most belong to items of lists, which koanf replaces as a
// whole. What only the file can have is kept out of koanf, which copies all
// that it holds, by reflection.
func (r *report) merge(file map[string]any, opts Options) any {
	k := koanf.New(".")
	small := layer{}
	for key, v := range file {
		if key != "vips" && key != "checks" {
			small[key] = v
		}
	}
	for _, l := range []layer{small, r.fiberLB(file, opts.Env), r.environment(file, opts.Env), r.flags(file, opts.Set)} {
		if err := k.Load(l, nil); err != nil {
			r.errorf("", "%v", err)
		}
	}
	merged := k.Raw()
	for _, key := range []string{"vips", "checks"} {
		if v, ok := file[key]; ok {
			merged[key] = v
		}
	}
	return merged
}
