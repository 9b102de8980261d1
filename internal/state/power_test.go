package state

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A deed is one thing that was done to the disk: create, write, sync, close,
// rename, remove, or names, which syncs the directory. Files go by number, for a
// name may come to be another file's.
type deed struct {
	do, name, to string
	file         int
	data         string
}

// A recorder is the real disk, and notes what is done to it.
type recorder struct {
	osDisk
	deeds []deed
	files int
}

func (r *recorder) lock(dir string) (handle, error) {
	h, err := r.osDisk.lock(dir)
	return recorded{handle: h, r: r}, err
}

func (r *recorder) create(name string) (handle, error) {
	h, err := r.osDisk.create(name)
	r.files++
	r.note(deed{do: "create", name: filepath.Base(name), file: r.files})
	return recorded{h, r, r.files}, err
}

func (r *recorder) rename(from, to string) error {
	r.note(deed{do: "rename", name: filepath.Base(from), to: filepath.Base(to)})
	return r.osDisk.rename(from, to)
}

func (r *recorder) remove(name string) error {
	r.note(deed{do: "remove", name: filepath.Base(name)})
	return r.osDisk.remove(name)
}

func (r *recorder) note(d deed) { r.deeds = append(r.deeds, d) }

type recorded struct {
	handle
	r    *recorder
	file int // 0: the directory
}

func (h recorded) Write(data []byte) (int, error) {
	h.r.note(deed{do: "write", file: h.file, data: string(data)})
	return h.handle.Write(data)
}

func (h recorded) Sync() error {
	do := "sync"
	if h.file == 0 {
		do = "names"
	}
	h.r.note(deed{do: do, file: h.file})
	return h.handle.Sync()
}

func (h recorded) Close() error {
	h.r.note(deed{do: "close", file: h.file})
	return h.handle.Close()
}

// A platter is what is safe on a disk, and what only seems to be there.
type platter struct {
	safe, seen map[int]string // content by file
	names      map[string]int
	waiting    []deed // changes of names
}

// spin returns the platter that had these files on it, safe, and then saw deeds.
func spin(before map[string]string, deeds []deed) platter {
	p := platter{map[int]string{}, map[int]string{}, map[string]int{}, nil}
	for i, name := range slices.Sorted(maps.Keys(before)) {
		file := -1 - i
		p.safe[file], p.seen[file], p.names[name] = before[name], before[name], file
	}
	now := maps.Clone(p.names)
	for _, d := range deeds {
		switch d.do {
		case "write":
			p.seen[d.file] += d.data
		case "sync":
			p.safe[d.file] = p.seen[d.file]
		case "names":
			p.names, p.waiting = maps.Clone(now), nil
		case "rename":
			d.file = now[d.name]
			fallthrough
		case "create", "remove":
			apply(now, d, 1)
			p.waiting = append(p.waiting, d)
		}
	}
	return p
}

// apply changes names: 0 not at all, 1 as it was meant, 2 half a rename, that
// has given the new name and not yet taken the old.
func apply(names map[string]int, d deed, how int) {
	switch {
	case how == 0:
	case d.do == "create":
		names[d.name] = d.file
	case d.do == "remove":
		delete(names, d.name)
	case d.do == "rename":
		names[d.to] = d.file
		if how == 1 {
			delete(names, d.name)
		}
	}
}

// remains yields every state of the files that a power failure may leave: of the
// changes of names that were not synced any may be lost, whatever their order,
// and of data that was not synced any part.
func (p platter) remains(yield func(map[string]string) bool) {
	ways := 1
	for range p.waiting {
		ways *= 3
	}
	for way := range ways {
		names, rest := maps.Clone(p.names), way
		for _, d := range p.waiting {
			apply(names, d, rest%3)
			rest /= 3
		}
		files := slices.Compact(slices.Sorted(maps.Values(names)))
		if !p.contents(files, map[int]string{}, func(content map[int]string) bool {
			laid := map[string]string{}
			for name, file := range names {
				laid[name] = content[file]
			}
			return yield(laid)
		}) {
			return
		}
	}
}

// contents yields what may be in files, beside what was chosen for others.
func (p platter) contents(files []int, chosen map[int]string, yield func(map[int]string) bool) bool {
	if len(files) == 0 {
		return yield(chosen)
	}
	safe, seen := p.safe[files[0]], p.seen[files[0]]
	possible := []string{safe}
	for cut := 0; safe != seen && cut <= len(seen); cut++ { // the rest is lost, or allocated and never written
		possible = append(possible, seen[:cut], seen[:cut]+strings.Repeat("\x00", len(seen)-cut))
	}
	for _, chosen[files[0]] = range possible {
		if !p.contents(files[1:], chosen, yield) {
			return false
		}
	}
	return true
}

// fails tells after which deeds a power failure may leave files that are not ok;
// done says that all deeds were.
func fails(t *testing.T, before map[string]string, deeds []deed, ok func(dir string, done bool) error) error {
	dir, looks := memory(t), 0
	for n := range len(deeds) + 1 {
		known := map[string]bool{}
		for files := range spin(before, deeds[:n]).remains {
			key := fmt.Sprint(files)
			if known[key] {
				continue
			}
			known[key] = true
			looks++
			if err := ok(lay(t, dir, files), n == len(deeds)); err != nil {
				return fmt.Errorf("%w, after %+v, of %q", err, deeds[:n], files)
			}
		}
	}
	t.Logf("%d deeds, %d different remains", len(deeds), looks)
	return nil
}

// memory is a folder that no disk makes slow, where there is one.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "vipd-state-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func eitherOf(old, next State) func(dir string, done bool) error {
	return func(dir string, done bool) error {
		have, err := Load(dir)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(have, next) && (done || !reflect.DeepEqual(have, old)) {
			return fmt.Errorf("loaded %+v", have)
		}
		return nil
	}
}

// saves returns what is on a disk with an old state on it, and what Save does to
// put a next one in its place.
func saves(t *testing.T, before map[string]string, next State) []deed {
	t.Helper()
	r := &recorder{}
	if err := save(r, lay(t, t.TempDir(), before), next); err != nil {
		t.Fatal(err)
	}
	return r.deeds
}

func TestPowerFailureLeavesTheOldStateOrTheNew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before map[string]string
		old    State
	}{
		{"first", nil, State{}},
		{"later", map[string]string{fileName: versionTwo}, some()},
		{"after another one", map[string]string{fileName: versionTwo, tempName: "{half"}, some()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			deeds := saves(t, tt.before, all())
			if err := fails(t, tt.before, deeds, eitherOf(tt.old, all())); err != nil {
				t.Error(err)
			}
		})
	}
}

// The test above must be able to fail: a Save with one lapse does not pass it.
func TestPowerFailureFindsALapse(t *testing.T) {
	before := map[string]string{fileName: versionTwo}
	deeds := saves(t, before, all())
	without := func(do string) []deed {
		return slices.DeleteFunc(slices.Clone(deeds), func(d deed) bool { return d.do == do })
	}
	written := ""
	for _, d := range deeds {
		written += d.data
	}
	for _, tt := range []struct {
		name  string
		deeds []deed
	}{
		{"data is not synced", without("sync")},
		{"names are not synced", without("names")},
		{"nothing is done", nil},
		{"in place", []deed{{do: "write", file: -1, data: written}, {do: "sync", file: -1}}},
		{"removed first", slices.Concat([]deed{{do: "remove", name: fileName}}, deeds)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if fails(t, before, tt.deeds, eitherOf(some(), all())) == nil {
				t.Error("not found")
			}
		})
	}
}

// The words in it may be nowhere else.
func TestPowerFailureLosesNoFileThatWasSetAside(t *testing.T) {
	before := map[string]string{fileName: "{bad", fileName + ".bad": "{older"}
	r, dir := &recorder{}, lay(t, t.TempDir(), before)
	if _, err := setAside(r, dir); err != nil {
		t.Fatal(err)
	}
	aside := len(r.deeds)
	if err := save(r, dir, all()); err != nil {
		t.Fatal(err)
	}
	kept := func(dir string, done bool) error {
		var have bytes.Buffer
		for _, name := range filesOf(t, dir) {
			have.WriteString(content(t, dir, name))
		}
		for _, file := range before {
			if !strings.Contains(have.String(), file) {
				return fmt.Errorf("%s is lost", file)
			}
		}
		if !done {
			return nil
		}
		return eitherOf(all(), all())(dir, true)
	}
	if err := fails(t, before, r.deeds, kept); err != nil {
		t.Error(err)
	}
	// As above: without the sync of names between them, the last Save may come
	// to the disk alone.
	lapse := slices.DeleteFunc(slices.Clone(r.deeds[:aside]), func(d deed) bool { return d.do == "names" })
	if fails(t, before, slices.Concat(lapse, r.deeds[aside:]), kept) == nil {
		t.Error("a lapse was not found")
	}
}
