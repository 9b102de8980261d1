package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
)

// Sets hold one neighbor or prefixes of one family, and an inverted rule says
// something of both families.
func TestLay(t *testing.T) {
	p4, p6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	one := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		rule       string
		prefixes   []netip.Prefix
		invert     bool
		statements string
	}{
		{"all routes", nil, false, "p-0"},
		{"one family", []netip.Prefix{p4}, false, "p-0-v4(p-0-v4-prefixes)"},
		{"both families", []netip.Prefix{p6, p4}, false, "p-0-v4(p-0-v4-prefixes) p-0-v6(p-0-v6-prefixes)"},
		{"all but one family's", []netip.Prefix{p4}, true, "p-0-v4(!p-0-v4-prefixes) p-0-v6(family 2)"},
		{"all but both's", []netip.Prefix{p4, p6}, true, "p-0-v4(!p-0-v4-prefixes) p-0-v6(!p-0-v6-prefixes)"},
	} {
		sets, statements := Lay(bgpclient.ExportPolicy{Name: "p", Rules: []bgpclient.ExportRule{{Neighbor: one, Prefixes: c.prefixes, Invert: c.invert}}})
		var have []string
		for _, s := range statements {
			have = append(have, describe(s))
			if !Owns("p", s.Name) || s.NeighborSet != sets[0].Name {
				t.Errorf("%s: %+v", c.rule, s)
			}
		}
		if joined := strings.Join(have, " "); joined != c.statements {
			t.Errorf("%s: have %s, want %s", c.rule, joined, c.statements)
		}
		if sets[0].Kind != Neighbor || sets[0].Neighbor.String() != "10.0.0.1/32" || len(sets) != 1+strings.Count(c.statements, "prefixes") {
			t.Errorf("%s: sets %+v", c.rule, sets)
		}
		for _, s := range sets {
			if !Owns("p", s.Name) {
				t.Errorf("%s: set %s is not the policy's", c.rule, s.Name)
			}
		}
	}
}

func describe(s Statement) string {
	switch {
	case s.Invert:
		return s.Name + "(!" + s.PrefixSet + ")"
	case s.PrefixSet != "":
		return s.Name + "(" + s.PrefixSet + ")"
	case s.AFI != 0:
		return fmt.Sprintf("%s(family %d)", s.Name, s.AFI)
	}
	return s.Name
}

func TestOwnsNothingOfOthers(t *testing.T) {
	for _, name := range []string{"", "p", "p-", "p-x", "p-0-0", "p-0-v4-", "p-0-mine", "pp-0", "q-0", "p-0-neighbor-0", "p-neighbor"} {
		if Owns("p", name) {
			t.Errorf("%q", name)
		}
	}
}
