package bgpclient

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestDiffMakesAnyTableTheWantedOne applies what Diff says to random tables.
func TestDiffMakesAnyTableTheWantedOne(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		p := prefix(1)
		have := map[uint32]Path{}
		for _, id := range []uint32{0, 7, testOwner} {
			if rng.IntN(2) == 0 {
				have[id] = Path{Route: route(1, rng.Uint32N(2)), ID: id, Odd: rng.IntN(4) == 0}
			}
		}
		want := Want{State: WantState(rng.IntN(3))}
		if want.State == Present {
			want.Route = route(1, rng.Uint32N(2))
		}
		after := maps.Clone(have)
		list := func() (l []Path) {
			for _, path := range after {
				l = append(l, path)
			}
			return l
		}
		if op, differs := Diff(p, want, list(), testOwner); differs {
			if op.Route.Prefix != p || !op.Route.NextHop.IsValid() {
				t.Fatalf("seed %d: %v: not exactly one path", seed, op)
			}
			switch op.Verb {
			case Put:
				after[testOwner] = Path{Route: op.Route, ID: testOwner}
			case Delete:
				delete(after, testOwner)
			}
			if op, differs := Diff(p, want, list(), testOwner); differs {
				t.Fatalf("seed %d: not settled after one change: %v", seed, op)
			}
		}
		ours, there := after[testOwner]
		switch {
		case want.State == Absent && there,
			want.State == Present && (!there || ours.Odd || !ours.Route.Equal(want.Route)),
			want.State == Keep && !maps.EqualFunc(have, after, samePath):
			t.Fatalf("seed %d: want %v, have %v", seed, want, after)
		}
		delete(have, testOwner)
		delete(after, testOwner)
		if !maps.EqualFunc(have, after, samePath) {
			t.Fatalf("seed %d: foreign paths %v became %v", seed, have, after)
		}
	}
}

func samePath(a, b Path) bool { return a.ID == b.ID && a.Odd == b.Odd && a.Route.Equal(b.Route) }

func TestRouteEqualSeesEveryAttribute(t *testing.T) {
	one, two := uint32(1), uint32(2)
	base := func() Route {
		return Route{
			Prefix: netip.MustParsePrefix("192.0.2.1/32"), Communities: []Community{2, 1, 2},
			LargeCommunities: []LargeCommunity{{1, 2, 3}}, MED: &one,
		}
	}
	if !base().Normalize().Equal(base().Normalize()) {
		t.Fatal("equal routes differ")
	}
	for name, change := range map[string]func(*Route){
		"prefix":         func(r *Route) { r.Prefix = netip.MustParsePrefix("192.0.2.2/32") },
		"next hop":       func(r *Route) { r.NextHop = netip.MustParseAddr("10.0.0.1") },
		"communities":    func(r *Route) { r.Communities = []Community{1} },
		"large":          func(r *Route) { r.LargeCommunities = nil },
		"med":            func(r *Route) { r.MED = &two },
		"no med":         func(r *Route) { r.MED = nil },
		"local pref":     func(r *Route) { r.LocalPref = &one },
		"prepend":        func(r *Route) { r.Prepend = 1 },
		"link bandwidth": func(r *Route) { r.LinkBandwidth = 1 },
	} {
		changed := base()
		change(&changed)
		if base().Normalize().Equal(changed.Normalize()) {
			t.Errorf("a changed %s is not seen", name)
		}
	}
}

func TestNormalizeIsWhatASpeakerLists(t *testing.T) {
	r := Route{
		Prefix:           netip.MustParsePrefix("2001:db8::5/64"),
		Communities:      []Community{NoLLGR, 1, NoLLGR},
		LargeCommunities: []LargeCommunity{{2, 0, 0}, {1, 9, 9}, {1, 9, 8}},
	}.Normalize()
	want := "2001:db8::/64 communities [0:1 65535:7] large-communities [1:9:8 1:9:9 2:0:0]"
	if r.String() != want || r.NextHop != netip.IPv6Unspecified() {
		t.Fatalf("have %s next hop %s, want %s", r, r.NextHop, want)
	}
}
