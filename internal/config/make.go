package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A Spec is a VIP as a client of the API wants it: the keys of one item of
// vips, and checks, which are this VIP's own. Values are what encoding/json or a
// protobuf Struct gives; durations are text, whole floats pass for integers, and
// min_healthy may be text in any case.
//
// An own check comes before one of the configuration that has its name: the
// VIP means the same at each node then, and a reload that adds a check changes
// or refuses none.
type Spec = map[string]any

type rawSpec struct {
	rawVIP
	Checks map[string]rawCheck `key:"checks"`
}

// Make tells what specs would be as VIPs beside those of c, with its checks,
// attributes and BFD sessions, and refuses what Load would refuse. Problems have
// paths as vips[2].prefix, no places, and the other half of a conflict in their
// texts; they are in the order of specs. There are no warnings among them. A
// spec with a problem has a zero VIP; of two that don't go together it is the
// later one, or the one inside the other.
//
// Checks may look at BFD sessions that c has, not at others: none are made.
// Make changes neither c nor specs, and may be called by many goroutines.
func (c *Config) Make(specs []Spec) ([]VIP, []Problem) {
	told := &report{nowhere: true, places: map[string]place{}}
	m, d := c.around().checker(c, told), newDecoder(told)
	list := make([]VIP, len(specs))
	for i, s := range specs {
		list[i] = m.made(item("vips", i), s, d)
	}
	m.apart(list)
	problems := told.ofSpecs()
	for _, p := range problems {
		list[specOf(p)] = VIP{}
	}
	return list, problems
}

// made makes one VIP, with checks that it brings along.
func (c *checker) made(at string, s Spec, d decoder) VIP {
	c.places = map[string]place{} // nobody asks for those of other specs again
	before := len(c.problems)
	var raw rawSpec
	if values, ok := c.readSpec(at, s); ok {
		// A message of the API has either kind of threshold as text.
		if text, isText := values["min_healthy"].(string); isText {
			values["min_healthy"] = fromText(text, reflect.TypeFor[int]())
		}
		d.section(at, values, reflect.ValueOf(&raw).Elem())
	}
	c.refused = c.paths(before)
	c.own = make(map[string]Check, len(raw.Checks))
	c.templates(join(at, "checks"), raw.Checks, c.own)
	return c.vip(at, &raw.rawVIP)
}

// MakeSession tells what a BFD session would be beside those of c, which may
// have it already. Problems have the settings' names in bfd.sessions as paths.
func (c *Config) MakeSession(peer, local, iface string, multihop bool, profile string) (BFDSession, []Problem) {
	told := &report{nowhere: true, places: map[string]place{}}
	values := map[string]any{"multihop": multihop}
	for key, text := range map[string]string{"peer": peer, "local": local, "interface": iface, "profile": profile} {
		if text != "" {
			values[key] = text
		}
	}
	var raw rawSession
	d := newDecoder(told)
	d.section("", values, reflect.ValueOf(&raw).Elem())
	m := c.around().checker(c, told)
	m.interfaceName("interface", raw.Interface)
	key := m.bfdKey(raw.Peer, raw.Local, raw.Interface, raw.Multihop, raw.Profile)
	if m.profileKnown("profile", raw.Profile) && m.possible("peer", key, raw.Profile) {
		m.fits("peer", key, raw.Profile)
	}
	if problems := told.ofSpecs(); len(problems) > 0 {
		return BFDSession{}, problems
	}
	return BFDSession{key, m.profiles[raw.Profile]}, nil
}

// fits refuses a session that can't be beside those that are there.
func (c *checker) fits(at string, key BFDKey, profile string) {
	if use, there := c.sessions[key]; there {
		c.oneProfile(at, key, profile, use)
		return
	}
	for other := range c.sessions {
		if other.Peer.WithZone("") == key.Peer.WithZone("") {
			c.distinct(at, key, other)
		}
	}
}

// around is what c knows besides what it shows: nothing, if nobody loaded it.
func (c *Config) around() *rest {
	return cmp.Or(c.rest, &rest{opts: Options{ReadFile: onlyFiles(readFile)}})
}

// onlyFiles reads nothing that could keep its reader waiting for ever, as a FIFO
// does: a client may name what it likes.
func onlyFiles(read func(string) ([]byte, error)) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: is no regular file", name)
		}
		return read(name)
	}
}

// ofSpecs returns the problems in the order of specs, each once. Their places
// are their paths, which they have already.
func (r *report) ofSpecs() []Problem {
	problems := r.sorted()
	problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.Warning })
	for i, p := range problems {
		problems[i] = Problem{Path: p.Path, Text: p.sentence()}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(specOf(a), specOf(b)) })
	return problems
}

// specOf is the index in a path that begins with vips[index].
func specOf(p Problem) int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(p.Path, "vips["), "]")
	i, _ := strconv.Atoi(digits) // made by item
	return i
}

// readSpec turns a client's values into those that a file's reader gives, and
// notes their paths. It returns false when they are nested too deep.
func (r *report) readSpec(at string, s Spec) (map[string]any, bool) {
	before := len(r.problems)
	values, _ := r.specValue(at, s, 0).(map[string]any)
	for i := before; i < len(r.problems); i++ {
		r.problems[i].Path = at // the path itself may be without bounds
	}
	return values, len(r.problems) == before
}

func (r *report) specValue(path string, v any, depth int) any {
	if r.places[path] = (place{}); r.tooLong(path, depth) {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, one := range v {
			m[key] = r.specValue(join(path, key), one, depth+1)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = r.specValue(item(path, i), one, depth+1)
		}
		return list
	case json.Number:
		return wholeNumber(jsonNumber(v))
	}
	return wholeNumber(number(v))
}

// wholeNumber makes an integer of a float that surely stands for one.
func wholeNumber(v any) any {
	if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return v
}
