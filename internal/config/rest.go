package config

import (
	"net/netip"
	"slices"
)

// A rest is what the making of VIPs beside those of a file needs to know of the
// configuration, besides what a Config shows. Nobody changes it any more.
type rest struct {
	opts     Options // ReadFile alone
	dir      string
	internal Pos
	checks   map[string]Check
	profiles map[string]BFDProfile
	sessions map[BFDKey]bfdUse
	names    map[string]Pos
	prefixes []taken // sorted; none overlap
}

// taken is a prefix that a VIP has already.
type taken struct {
	prefix netip.Prefix
	name   string
	pos    Pos
}

// rest notes what c knows, once all of it was read.
func (c *checker) rest(vips []VIP) *rest {
	r := &rest{
		opts: Options{ReadFile: onlyFiles(c.opts.ReadFile)}, dir: c.dir, internal: c.internal,
		checks: c.checks, profiles: c.profiles, sessions: c.sessions, names: make(map[string]Pos, len(vips)),
	}
	for i, v := range vips {
		r.names[v.Name] = c.pos(join(item("vips", i), "name"))
	}
	for _, i := range byPrefix(vips) {
		r.prefixes = append(r.prefixes, taken{vips[i].Prefix, vips[i].Name, c.pos(join(item("vips", i), "prefix"))})
	}
	return r
}

// checker makes one that finds out what fits into conf. It only reads what it
// shares with others.
func (r *rest) checker(conf *Config, told *report) *checker {
	c := newChecker(told, &document{BFD: rawBFD{Listen: conf.BFD.Listen}}, r.opts, r.dir)
	c.beside, c.bgp, c.internal = r, conf.BGP, r.internal
	c.checks, c.profiles, c.sessions = r.checks, r.profiles, r.sessions
	return c
}

// name tells whether, and where, a VIP has this name.
func (r *rest) name(name string) (pos Pos, ok bool) {
	if r == nil {
		return Pos{}, false
	}
	pos, ok = r.names[name]
	return pos, ok
}

// overlapping finds a prefix that is equal to p, around it or within it. Sorted,
// the first is p's neighbor on the left, and the last the one on the right.
func (r *rest) overlapping(p netip.Prefix) (taken, bool) {
	if r == nil {
		return taken{}, false
	}
	i, _ := slices.BinarySearchFunc(r.prefixes, p, func(t taken, p netip.Prefix) int { return comparePrefixes(t.prefix, p) })
	for _, t := range r.prefixes[max(0, i-1):min(i+1, len(r.prefixes))] {
		if t.prefix.Overlaps(p) {
			return t, true
		}
	}
	return taken{}, false
}
