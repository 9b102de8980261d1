package gobgp_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// Two routers, one rule each: what one is told never shows at the other.
func TestExportPolicyActsPerNeighbor(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		one, n1 := routerOn(t, s, "127.0.0.2", nil)
		two, n2 := routerOn(t, s, "127.0.0.3", nil)
		v4, v6 := route("198.51.100.1/32", nil), route("2001:db8:1::1/128", nil)
		other4, other6 := route("203.0.113.1/32", nil), route("2001:db8:2::1/128", nil)
		add(t, c, bgpclient.ExportPolicy{Name: "vipd-1", Rules: []bgpclient.ExportRule{
			{Neighbor: n1.Address, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:1::/48")}, Invert: true, Reject: true},
			{Neighbor: n1.Address, Communities: []bgpclient.Community{65001<<16 | 7}, LargeCommunities: []bgpclient.LargeCommunity{{Global: 1, Local1: 2, Local2: 3}}},
			{Neighbor: n2.Address, Prefixes: []netip.Prefix{v4.Prefix}, Reject: true},
			{Neighbor: n2.Address, MED: pointer(0), Prepend: 2},
		}})
		connect(t, c, one, n1)
		connect(t, c, two, n2)
		apply(t, c, put(v4), put(v6), put(other4), put(other6))

		await(t, one, v6.Prefix, nil)
		out := await(t, one, v4.Prefix, nil)
		if !slices.Equal(out.Communities, []bgpclient.Community{65001<<16 | 7}) || len(out.LargeCommunities) != 1 || out.MED != nil || len(out.ASPath) != 1 {
			t.Errorf("at the first: %+v", out)
		}
		await(t, two, v6.Prefix, nil)
		await(t, two, other6.Prefix, nil)
		out = await(t, two, other4.Prefix, nil)
		if len(out.Communities) != 0 || out.MED == nil || *out.MED != 0 || !slices.Equal(out.ASPath, []uint32{localAS, localAS, localAS}) {
			t.Errorf("at the second: %+v", out)
		}
		// What came in later has come: so what is not there was kept back.
		for _, unwanted := range []netip.Prefix{other4.Prefix, other6.Prefix} {
			if have := one.Of(unwanted); len(have) != 0 {
				t.Errorf("at the first: %+v", have)
			}
		}
		if have := two.Of(v4.Prefix); len(have) != 0 {
			t.Errorf("at the second: %+v", have)
		}
	})
}

// "All but these" with prefixes of one family keeps back all of the other.
func TestInvertedRuleCoversBothFamilies(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		v4, v6 := route("198.51.100.1/32", nil), route("2001:db8:1::1/128", nil)
		add(t, c, bgpclient.ExportPolicy{Name: "vipd-1", Rules: []bgpclient.ExportRule{
			{Neighbor: n.Address, Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Invert: true, Reject: true},
		}})
		connect(t, c, r, n)
		apply(t, c, put(v6), put(v4))
		await(t, r, v4.Prefix, nil)
		if have := r.Of(v6.Prefix); len(have) != 0 {
			t.Errorf("%+v", have)
		}
	})
}

func TestChangedPolicyActsAfterSoftReset(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		kept, rejected := route("198.51.100.1/32", nil), route("198.51.100.2/32", nil)
		apply(t, c, put(kept), put(rejected))
		await(t, r, rejected.Prefix, nil)
		policy := bgpclient.ExportPolicy{Name: "vipd-1", Rules: []bgpclient.ExportRule{
			{Neighbor: n.Address, Prefixes: []netip.Prefix{rejected.Prefix}, Reject: true},
			{Neighbor: n.Address, MED: pointer(9)},
		}}
		add(t, c, policy)
		reset(t, c, n)
		absent(t, r, rejected.Prefix)
		await(t, r, kept.Prefix, func(r gobgptest.Route) bool { return r.MED != nil && *r.MED == 9 })

		if err := c.DeleteExportPolicy(bounded(t), policy.Name); err != nil {
			t.Fatal(err)
		}
		reset(t, c, n)
		await(t, r, kept.Prefix, func(r gobgptest.Route) bool { return r.MED == nil })
		await(t, r, rejected.Prefix, nil)
	})
}

func reset(t *testing.T, c bgpclient.Conn, n bgpclient.Neighbor) {
	t.Helper()
	if err := c.SoftResetOut(bounded(t), n.Address); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, c bgpclient.Conn, p bgpclient.ExportPolicy) {
	t.Helper()
	if err := c.AddExportPolicy(bounded(t), p); err != nil {
		t.Fatal(err)
	}
}

func TestPoliciesComeAndGoWhole(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		rules := []bgpclient.ExportRule{
			{Neighbor: loopback, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, Reject: true},
			{Neighbor: loopback, Communities: []bgpclient.Community{1}, LargeCommunities: []bgpclient.LargeCommunity{{Global: 1}}, MED: pointer(1), Prepend: 1},
		}
		first, second := bgpclient.ExportPolicy{Name: "vipd-a", Rules: rules}, bgpclient.ExportPolicy{Name: "vipd-a-0", Rules: rules}
		for range 2 { // the second time nothing is left of the first
			add(t, c, first)
			add(t, c, second)
			add(t, c, first) // again: it is there
			wantPolicies(t, c, first.Name, second.Name)
			for _, name := range []string{first.Name, first.Name} {
				if err := c.DeleteExportPolicy(bounded(t), name); err != nil {
					t.Fatal(err)
				}
				wantPolicies(t, c, second.Name)
			}
			if err := c.DeleteExportPolicy(bounded(t), second.Name); err != nil {
				t.Fatal(err)
			}
			wantPolicies(t, c)
		}
		// An unknown neighbor's policy matters to nobody else.
		r, n := routerOn(t, s, "127.0.0.2", nil)
		add(t, c, first)
		connect(t, c, r, n)
		in := route("10.0.0.1/32", nil)
		apply(t, c, put(in))
		if out := await(t, r, in.Prefix, nil); out.MED != nil {
			t.Errorf("%+v", out)
		}
	})
}

func wantPolicies(t *testing.T, c bgpclient.Conn, want ...string) {
	t.Helper()
	have, err := c.ExportPolicies(bounded(t))
	if err != nil || !slices.Equal(have, want) {
		t.Fatalf("have %v, %v; want %v", have, err, want)
	}
}
