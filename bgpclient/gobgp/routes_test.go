package gobgp_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgp"
)

func TestListedRouteIsTheOneThatWasPut(t *testing.T) {
	routes := map[string]bgpclient.Route{
		"bare":                            route("198.51.100.1/32", nil),
		"bare, IPv6":                      route("2001:db8:1::1/128", nil),
		"not a host prefix":               route("198.51.100.0/25", nil),
		"not a host prefix, IPv6":         route("2001:db8:1::/45", nil),
		"the speaker's own address":       route("198.51.100.1/32", func(r *bgpclient.Route) { r.NextHop = netip.IPv4Unspecified() }),
		"the speaker's own address, IPv6": route("2001:db8:1::1/128", func(r *bgpclient.Route) { r.NextHop = netip.IPv6Unspecified() }),
		"MED 0":                           route("198.51.100.1/32", func(r *bgpclient.Route) { r.MED = pointer(0) }),
		"everything":                      route("198.51.100.1/32", all),
		"everything, IPv6":                route("2001:db8:1::1/128", all),
		"IPv4 over IPv6 (RFC 8950)":       route("198.51.100.1/32", func(r *bgpclient.Route) { r.NextHop = netip.MustParseAddr("2001:db8::1") }),
		"as many communities as need a longer length": route("198.51.100.1/32", func(r *bgpclient.Route) {
			for i := range 100 {
				r.Communities = append(r.Communities, bgpclient.Community(i))
				r.LargeCommunities = append(r.LargeCommunities, bgpclient.LargeCommunity{Global: 1, Local1: uint32(i)})
			}
			r.Prepend = 70
		}),
	}
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		for name, r := range routes {
			apply(t, c, put(r))
			have := paths(t, c, r.Prefix)
			if len(have) != 1 || have[0].ID != owner || have[0].Odd || !have[0].Route.Equal(r) {
				t.Errorf("%s: have %+v, want %+v", name, have, r)
			}
			apply(t, c, del(r))
			if have := paths(t, c, r.Prefix); len(have) != 0 {
				t.Errorf("%s: after its deletion: %+v", name, have)
			}
		}
	})
}

func TestPutReplacesOnlyTheOwnersPath(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		ours, theirs := started(t, s), dialAs(t, s.target, another)
		for _, prefix := range []string{"198.51.100.1/32", "2001:db8:1::1/128"} {
			foreign := route(prefix, func(r *bgpclient.Route) { r.MED = pointer(7) })
			apply(t, theirs, put(foreign))
			apply(t, ours, put(route(prefix, nil)))
			changed := route(prefix, all)
			apply(t, ours, put(changed))
			have := map[uint32]bgpclient.Path{}
			for _, p := range paths(t, ours) {
				if p.Route.Prefix == foreign.Prefix {
					have[p.ID] = p
				}
			}
			if len(have) != 2 || !have[owner].Route.Equal(changed) || !have[another].Route.Equal(foreign) {
				t.Errorf("have %+v", have)
			}
			apply(t, ours, del(changed), del(changed))
			if p := paths(t, ours, foreign.Prefix); len(p) != 1 || p[0].ID != another || !p[0].Route.Equal(foreign) {
				t.Errorf("after deletion: %+v", p)
			}
		}
	})
}

// An operator's own path has identifier 0. Ours is beside it, and goes alone.
func TestOperatorsPathIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		for _, prefix := range []string{"198.51.100.1/32", "2001:db8:1::1/128"} {
			r := route(prefix, nil)
			putByOperator(t, c.API(), s.target, r.Prefix)
			apply(t, c, put(r))
			if have := paths(t, c, r.Prefix); len(have) != 2 {
				t.Errorf("have %+v, want two", have)
			}
			apply(t, c, del(r))
			have := paths(t, c, r.Prefix)
			if len(have) != 1 || have[0].ID != 0 || !have[0].Odd {
				t.Errorf("have %+v, want the operator's with an odd origin", have)
			}
		}
	})
}

func TestBulkIsCarriedOutInOrder(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		var ops []bgpclient.Op
		want := map[netip.Prefix]bgpclient.Route{}
		for i := range 1000 {
			r := route(fmt.Sprintf("10.1.%d.%d/32", i/250, i%250), all)
			if i%2 == 0 {
				r = route(fmt.Sprintf("2001:db8:2::%x/128", i), all)
			}
			ops = append(ops, put(r))
			want[r.Prefix] = r
		}
		for i, op := range ops[:750] {
			if i%3 == 0 {
				ops = append(ops, del(op.Route))
				delete(want, op.Route.Prefix)
				continue
			}
			changed := op.Route
			changed.MED = pointer(uint32(i))
			ops = append(ops, put(changed))
			want[changed.Prefix] = changed
		}
		for _, op := range ops[:250] { // once more what has gone
			if _, there := want[op.Route.Prefix]; !there {
				ops = append(ops, put(op.Route))
				want[op.Route.Prefix] = op.Route
			}
		}
		apply(t, c, ops...)
		var asked []netip.Prefix
		for _, op := range ops[:1000] {
			asked = append(asked, op.Route.Prefix)
		}
		for name, have := range map[string][]bgpclient.Path{"all": paths(t, c), "asked for": paths(t, c, asked...)} {
			if len(have) != len(want) {
				t.Errorf("%s: have %d paths, want %d", name, len(have), len(want))
			}
			for _, p := range have {
				if w, ok := want[p.Route.Prefix]; !ok || p.Odd || p.ID != owner || !p.Route.Equal(w) {
					t.Fatalf("%s: have %+v, want %+v", name, p, w)
				}
			}
		}
	})
}

// Only exactly the prefixes that are asked for are of interest.
func TestPathsLooksUpExactly(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		apply(t, c, put(route("198.51.100.0/24", nil)), put(route("198.51.100.0/25", nil)), put(route("0.0.0.0/0", nil)),
			put(route("2001:db8::/32", nil)), put(route("::/0", nil)))
		for prefix, want := range map[string]int{
			"198.51.100.0/24": 1, "198.51.100.0/26": 0, "198.51.100.1/32": 0, "0.0.0.0/0": 1, "::/0": 1, "2001:db8::/33": 0,
		} {
			if have := paths(t, c, netip.MustParsePrefix(prefix)); len(have) != want {
				t.Errorf("%s: %+v, want %d", prefix, have, want)
			}
		}
		if err := c.Paths(bounded(t), []netip.Prefix{}, func(p bgpclient.Path) { t.Errorf("asked for none, got %+v", p) }); err != nil {
			t.Error(err)
		}
	})
}

func TestWatchTellsOfEverybodysChanges(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c, theirs := started(t, s), dialAs(t, s.target, another)
		ctx, cancel := context.WithCancel(bounded(t))
		ready, ended := make(chan struct{}), make(chan error, 1)
		changes := make(chan bgpclient.Change, 100)
		go func() { ended <- c.Watch(ctx, func() { close(ready) }, func(ch bgpclient.Change) { changes <- ch }) }()
		<-ready
		see := func(p netip.Prefix) {
			t.Helper()
			for {
				select {
				case ch := <-changes:
					if ch.Prefix == p {
						return
					}
				case err := <-ended:
					t.Fatalf("watch ended: %v", err)
				}
			}
		}
		for _, r := range []bgpclient.Route{route("198.51.100.1/32", nil), route("2001:db8:1::1/128", nil)} {
			apply(t, c, put(r))
			see(r.Prefix)
			apply(t, c, del(r))
			see(r.Prefix)
			apply(t, theirs, put(r))
			see(r.Prefix)
			apply(t, theirs, del(r))
			see(r.Prefix)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("watch: %v, want nil at the end of its context", err)
		}
	})
}

// A restarted gobgpd is an empty one: nobody may go on as if it were the same.
func TestLostConnectionStaysLost(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		ctx := bounded(t)
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- c.Watch(ctx, func() { close(ready) }, func(bgpclient.Change) {}) }()
		<-ready
		s.kill()
		if err := <-ended; !errors.Is(err, bgpclient.ErrLost) {
			t.Errorf("watch: %v, want a lost connection", err)
		}
		if _, err := gobgp.Dial(ctx, "auto", bgpclient.DialOptions{Target: s.target, Owner: owner}); !errors.Is(err, bgpclient.ErrAbsent) {
			t.Errorf("dial: %v, want nobody listening", err)
		}
		if s.restart != nil {
			s.restart()
		}
		for range 3 {
			lostAll(ctx, t, c)
		}
	})
}

func lostAll(ctx context.Context, t *testing.T, c bgpclient.Conn) {
	t.Helper()
	a := netip.MustParseAddr("127.0.0.1")
	calls := map[string]error{
		"paths":       c.Paths(ctx, nil, func(bgpclient.Path) {}),
		"apply":       c.Apply(ctx, []bgpclient.Op{put(route("198.51.100.1/32", nil))}),
		"watch":       c.Watch(ctx, func() {}, func(bgpclient.Change) {}),
		"start":       c.Start(ctx, bgpclient.Global{ASN: 1, RouterID: a, ListenPort: -1}),
		"add":         c.AddNeighbor(ctx, bgpclient.Neighbor{Address: a, ASN: 1}),
		"update":      c.UpdateNeighbor(ctx, bgpclient.Neighbor{Address: a, ASN: 1}),
		"delete":      c.DeleteNeighbor(ctx, a),
		"soft reset":  c.SoftResetOut(ctx, a),
		"add policy":  c.AddExportPolicy(ctx, bgpclient.ExportPolicy{Name: "p"}),
		"del. policy": c.DeleteExportPolicy(ctx, "p"),
	}
	_, calls["global"] = c.Global(ctx)
	_, calls["neighbors"] = c.Neighbors(ctx)
	_, calls["adj-out"] = c.AdjOut(ctx, a, netip.MustParsePrefix("198.51.100.1/32"))
	_, calls["policies"] = c.ExportPolicies(ctx)
	for name, err := range calls {
		if !errors.Is(err, bgpclient.ErrLost) {
			t.Errorf("%s: %v, want a lost connection", name, err)
		}
	}
	many := make([]bgpclient.Op, 100)
	for i := range many {
		many[i] = put(route(fmt.Sprintf("10.9.9.%d/32", i), nil))
	}
	if err := c.Apply(ctx, many); !errors.Is(err, bgpclient.ErrLost) {
		t.Errorf("bulk: %v, want a lost connection", err)
	}
}

// What is deleted before it was looked at has a next hop that nobody knows.
func TestDeletionNeedsNotTheNextHop(t *testing.T) {
	routes := []bgpclient.Route{
		route("198.51.100.1/32", all), route("2001:db8:1::1/128", all),
		route("198.51.100.2/32", func(r *bgpclient.Route) { r.NextHop = netip.MustParseAddr("2001:db8::1") }),
	}
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		for _, r := range routes {
			apply(t, c, put(r))
			apply(t, c, del(bgpclient.Route{Prefix: r.Prefix}.Normalize()))
			if have := paths(t, c, r.Prefix); len(have) != 0 {
				t.Errorf("%s: after its deletion: %+v", r, have)
			}
		}
	})
}

func TestUnicastOnlyHasTheTwoFamiliesThatVipdNeeds(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := startedWith(t, s, true)
		routes := []bgpclient.Route{route("198.51.100.1/32", nil), route("2001:db8:1::1/128", nil)}
		for _, r := range routes {
			apply(t, c, put(r))
		}
		if have := paths(t, c); len(have) != len(routes) {
			t.Errorf("have %+v", have)
		}
	})
}
