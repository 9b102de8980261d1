// Package policy lays out an export policy as GoBGP's sets and statements, for
// both APIs. It sends nothing.
package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// A Kind of set.
type Kind uint8

// GoBGP keeps sets of prefixes and of neighbors apart.
const (
	Prefixes Kind = iota + 1
	Neighbor
)

// A Set is what a statement's condition refers to by name: either one neighbor
// or prefixes of one family, since GoBGP mixes none.
type Set struct {
	Name     string
	Kind     Kind
	Neighbor netip.Prefix
	Prefixes []netip.Prefix
}

// A Statement applies its rule's actions to a neighbor's routes that fit.
type Statement struct {
	Name, NeighborSet string
	// PrefixSet is empty for all routes, else a set they must be in (or, with
	// Invert, must not).
	PrefixSet string
	Invert    bool
	AFI       uint16 // 0: any; else the address family that it is for
	Rule      bgpclient.ExportRule
}

const (
	suffix4        = "-v4"
	suffix6        = "-v6"
	suffixPrefixes = "-prefixes"
	suffixNeighbor = "-neighbor"
)

// Lay returns what p consists of. All names begin with p's, see Owns.
func Lay(p bgpclient.ExportPolicy) (sets []Set, statements []Statement) {
	for i, rule := range p.Rules {
		base := Statement{
			Name:        fmt.Sprintf("%s-%d", p.Name, i),
			NeighborSet: fmt.Sprintf("%s-%d%s", p.Name, i, suffixNeighbor), Rule: rule,
		}
		sets = append(sets, Set{Name: base.NeighborSet, Kind: Neighbor, Neighbor: netip.PrefixFrom(rule.Neighbor, rule.Neighbor.BitLen())})
		if len(rule.Prefixes) == 0 {
			statements = append(statements, base)
			continue
		}
		more, list := perFamily(base)
		sets, statements = append(sets, more...), append(statements, list...)
	}
	return sets, statements
}

// perFamily makes a rule with prefixes one statement a family, because a prefix
// set fits no route of the other one, inverted or not.
func perFamily(base Statement) (sets []Set, statements []Statement) {
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		s := base
		s.Name += suffix4
		if family.Is6() {
			s.Name = base.Name + suffix6
		}
		var in []netip.Prefix
		for _, p := range base.Rule.Prefixes {
			if p.Addr().Is4() == family.Is4() {
				in = append(in, p)
			}
		}
		switch {
		case len(in) > 0:
			s.PrefixSet, s.Invert = s.Name+suffixPrefixes, base.Rule.Invert
			sets = append(sets, Set{Name: s.PrefixSet, Kind: Prefixes, Prefixes: in})
		case base.Rule.Invert: // all but none
			s.AFI = wire.AFI(family)
		default:
			continue
		}
		statements = append(statements, s)
	}
	return sets, statements
}

// Owns reports whether Lay could have given that name to a set or statement of
// the policy.
func Owns(policy, name string) bool {
	rest, ok := strings.CutPrefix(name, policy+"-")
	suffix := strings.TrimLeft(rest, "0123456789")
	if !ok || suffix == rest {
		return false
	}
	switch suffix {
	case "", suffixNeighbor, suffix4, suffix6, suffix4 + suffixPrefixes, suffix6 + suffixPrefixes:
		return true
	}
	return false
}

// Notations gives communities as GoBGP's actions want them.
func Notations[C fmt.Stringer](list []C) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.String()
	}
	return out
}

// Rejects reports whether rules keep a prefix from a neighbor.
func Rejects(rules []bgpclient.ExportRule, neighbor netip.Addr, prefix netip.Prefix) bool {
	for _, r := range rules {
		in := slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool {
			return p.Bits() <= prefix.Bits() && p.Contains(prefix.Addr())
		})
		if r.Reject && r.Neighbor == neighbor && (len(r.Prefixes) == 0 || in != r.Invert) {
			return true
		}
	}
	return false
}
