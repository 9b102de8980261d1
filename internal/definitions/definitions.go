// Package definitions knows the VIPs that were made over the API: whose each
// is, in which version, and what a change of an owner's VIPs comes to. It does
// not know what a definition means, nor keep or apply any.
package definitions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// A VIP is one definition. Spec is never changed in place.
type VIP struct {
	Name    string
	Prefix  netip.Prefix // masked
	Owner   string
	Version uint64          // the owner's generation that brought it
	Spec    json.RawMessage // in one form only, so that equal bytes mean no change
}

// A Set is all definitions, and those of the configuration file that they must
// not clash with. It is one goroutine's.
type Set struct {
	idle        func(name string) bool
	vips        map[string]VIP
	prefixes    map[netip.Prefix]string
	wide        int               // prefixes of more than one address
	generations map[string]uint64 // by owner; it stays when the last VIP goes
	file        map[string]netip.Prefix
	filePrefix  map[netip.Prefix]string
}

// New returns an empty Set. idle tells of definitions that mean nothing at
// present: to put such a one is a change, though it be the same; nil: there are
// none.
func New(idle func(name string) bool) *Set {
	if idle == nil {
		idle = func(string) bool { return false }
	}
	s := &Set{idle: idle, vips: map[string]VIP{}, prefixes: map[netip.Prefix]string{}, generations: map[string]uint64{}}
	s.File(nil)
	return s
}

// File says which VIPs the configuration file has, by name.
func (s *Set) File(vips map[string]netip.Prefix) {
	s.file, s.filePrefix = vips, make(map[netip.Prefix]string, len(vips))
	for name, prefix := range vips {
		s.filePrefix[prefix] = name
	}
}

// Load adds what is known from before.
func (s *Set) Load(v VIP) { s.put(v) }

// LoadGeneration does so for an owner.
func (s *Set) LoadGeneration(owner string, generation uint64) {
	s.generations[owner] = max(s.generations[owner], generation)
}

// Get returns a definition.
func (s *Set) Get(name string) (VIP, bool) {
	v, ok := s.vips[name]
	return v, ok
}

// All returns all definitions by name.
func (s *Set) All() []VIP {
	return slices.SortedFunc(maps.Values(s.vips), func(a, b VIP) int { return cmp.Compare(a.Name, b.Name) })
}

// Generations returns every owner's generation, also of those without VIPs.
func (s *Set) Generations() map[string]uint64 { return maps.Clone(s.generations) }

// A Change is what a request comes to; nothing is changed before Apply.
type Change struct {
	Owner          string
	Generation     uint64 // after it
	Put            []VIP  // new or different
	Remove         []string
	Added, Changed int // of Put
	Unchanged      int
}

// Empty tells whether everything is as wanted already.
func (c Change) Empty() bool { return len(c.Put)+len(c.Remove) == 0 }

// A Refusal is why a request can't be carried out.
type Refusal struct {
	// Conflict: the version was not the expected one. Missing: no such VIP. Else
	// somebody or something else has the name or the prefix.
	Conflict, Missing bool
	Text              string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error { return &Refusal{Text: fmt.Sprintf(format, args...)} }

func conflict(format string, args ...any) error {
	return &Refusal{Conflict: true, Text: fmt.Sprintf(format, args...)}
}

// Upsert makes v one of its owner's. expected is the version that it replaces:
// 0 for none, nil for any.
func (s *Set) Upsert(v VIP, expected *uint64) (Change, error) {
	old, there := s.vips[v.Name]
	if there && old.Owner != v.Owner {
		return Change{}, s.taken(v.Name)
	}
	if expected != nil && *expected != old.Version {
		return Change{}, conflict("vip %s: is of version %d, not %d (get it again)", v.Name, old.Version, *expected)
	}
	return s.change(v.Owner, []VIP{v}, nil)
}

// Delete removes one of owner's.
func (s *Set) Delete(owner, name string, expected *uint64) (Change, error) {
	old, there := s.vips[name]
	switch {
	case !there && s.inFile(name):
		return Change{}, s.taken(name)
	case !there:
		return Change{}, &Refusal{Missing: true, Text: fmt.Sprintf("vip %s: there is none of that name", name)}
	case old.Owner != owner:
		return Change{}, s.taken(name)
	case expected != nil && *expected != old.Version:
		return Change{}, conflict("vip %s: is of version %d, not %d (get it again)", name, old.Version, *expected)
	}
	return s.change(owner, nil, []string{name})
}

// Replace makes these all of owner's; expected is the generation that it
// follows, nil for any.
func (s *Set) Replace(owner string, all []VIP, expected *uint64) (Change, error) {
	if now := s.generations[owner]; expected != nil && *expected != now {
		return Change{}, conflict("owner %s: is at generation %d, not %d (somebody else changed its VIPs)", owner, now, *expected)
	}
	listed := make(map[string]bool, len(all))
	for _, v := range all {
		if listed[v.Name] {
			return Change{}, refuse("vip %s: is listed twice", v.Name)
		}
		listed[v.Name] = true
	}
	var gone []string
	for name, v := range s.vips {
		if v.Owner == owner && !listed[name] {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return s.change(owner, all, gone)
}

// change is what putting and removing comes to.
func (s *Set) change(owner string, put []VIP, remove []string) (Change, error) {
	c := Change{Owner: owner, Generation: s.generations[owner], Remove: remove}
	for _, v := range put {
		old, there := s.vips[v.Name]
		switch {
		case there && old.Owner != owner, s.inFile(v.Name):
			return Change{}, s.taken(v.Name)
		case there && bytes.Equal(old.Spec, v.Spec) && !s.idle(v.Name):
			c.Unchanged++
			continue
		case there:
			c.Changed++
		default:
			c.Added++
		}
		v.Owner, v.Version = owner, c.Generation+1
		c.Put = append(c.Put, v)
	}
	if c.Empty() {
		return c, nil
	}
	c.Generation++
	return c, s.prefixesFree(c)
}

// prefixesFree refuses a prefix that another VIP has once c is applied.
func (s *Set) prefixesFree(c Change) error {
	leaving := make(map[string]bool, len(c.Remove)+len(c.Put))
	for _, name := range c.Remove {
		leaving[name] = true
	}
	taken := make(map[netip.Prefix]string, len(c.Put))
	for _, v := range c.Put {
		leaving[v.Name] = true // its former prefix becomes free
		if other, ok := taken[v.Prefix]; ok {
			return refuse("vip %s: prefix %s is that of %s too", v.Name, v.Prefix, other)
		}
		taken[v.Prefix] = v.Name
	}
	for _, v := range c.Put {
		if other, ok := s.filePrefix[v.Prefix]; ok {
			return refuse("vip %s: prefix %s is that of %s of the configuration file", v.Name, v.Prefix, other)
		}
		if other, ok := s.prefixes[v.Prefix]; ok && !leaving[other] {
			return refuse("vip %s: prefix %s is that of %s, made by %s", v.Name, v.Prefix, other, s.vips[other].Owner)
		}
	}
	return s.apart(c.Put, leaving)
}

func (s *Set) inFile(name string) bool {
	_, ok := s.file[name]
	return ok
}

// taken says whose a name is.
func (s *Set) taken(name string) error {
	if s.inFile(name) {
		return refuse("vip %s: is of the configuration file (change it there and reload)", name)
	}
	return refuse("vip %s: was made by owner %s, who alone may change it", name, s.vips[name].Owner)
}

// Apply carries out a change that the Set made, when nothing was applied since.
func (s *Set) Apply(c Change) {
	for _, name := range c.Remove {
		s.drop(name)
	}
	for _, v := range c.Put {
		s.drop(v.Name) // all of them first: two may swap their prefixes
	}
	for _, v := range c.Put {
		s.put(v)
	}
	if c.Generation > 0 {
		s.generations[c.Owner] = c.Generation
	}
}

func (s *Set) drop(name string) {
	if v, ok := s.vips[name]; ok {
		delete(s.vips, name)
		s.wide -= wide(v)
		if s.prefixes[v.Prefix] == name {
			delete(s.prefixes, v.Prefix)
		}
	}
}

func (s *Set) put(v VIP) {
	s.drop(v.Name)
	s.vips[v.Name] = v
	s.wide += wide(v)
	s.prefixes[v.Prefix] = v.Name
	s.generations[v.Owner] = max(s.generations[v.Owner], v.Version)
}
