package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// waitRoute waits until the router has a route as text tells.
func (w *world) waitRoute(r *gobgptest.Router, want string) {
	w.Helper()
	prefix, _, _ := strings.Cut(want, " ")
	_, err := r.WaitRoute(w.ctx, netip.MustParsePrefix(prefix), func(have gobgptest.Route) bool { return text(have) == want })
	if err != nil {
		w.Fatalf("router: want %s, have %v: %v", want, table(r), err)
	}
}

// waitAbsent waits until the router has no route for a prefix.
func (w *world) waitAbsent(r *gobgptest.Router, prefix string) {
	w.Helper()
	if err := r.WaitAbsent(w.ctx, netip.MustParsePrefix(prefix)); err != nil {
		w.Fatalf("router: %v", err)
	}
}

// at is a VIP's route with more attributes, as the router sees it.
func at(w *world, prefix, attributes string) string {
	return strings.Replace(w.plain(prefix), " communities", " "+attributes+" communities", 1)
}

// plain is one with nothing special.
func (w *world) plain(prefix string) string {
	return fmt.Sprintf("%s via %s path [%d] communities [65535:7]", prefix, w.node, nodeAS)
}

// text tells all of a received route.
func text(r gobgptest.Route) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s via %s path %v", r.Prefix, r.NextHop, r.ASPath)
	if r.MED != nil {
		fmt.Fprintf(&b, " med %d", *r.MED)
	}
	if r.LocalPref != nil {
		fmt.Fprintf(&b, " local-pref %d", *r.LocalPref)
	}
	if len(r.Communities) > 0 {
		// A set: the speaker's policies append to it.
		fmt.Fprintf(&b, " communities %v", slices.Sorted(slices.Values(r.Communities)))
	}
	if len(r.LargeCommunities) > 0 {
		fmt.Fprintf(&b, " large %v", r.LargeCommunities)
	}
	if r.LinkBandwidth != 0 {
		fmt.Fprintf(&b, " bandwidth %.0f", r.LinkBandwidth)
	}
	return b.String()
}

// table is what a router has now.
func table(r *gobgptest.Router) []string {
	var out []string
	for _, route := range r.Routes() {
		out = append(out, text(route))
	}
	slices.Sort(out)
	return out
}

// changes tells, route by route, what a router was told from its update number
// from on: "+" and the route, or "-" and the prefix.
func changes(r *gobgptest.Router, from int) []string {
	var out []string
	for _, u := range r.Updates()[from:] {
		for _, route := range u.Announced {
			out = append(out, "+"+text(route))
		}
		for _, p := range u.Withdrawn {
			out = append(out, "-"+p.String())
		}
	}
	return out
}

// wantChanges fails the test for everything that the router was told besides.
func (w *world) wantChanges(r *gobgptest.Router, from int, want ...string) {
	w.Helper()
	if have := changes(r, from); !slices.Equal(have, want) {
		w.Fatalf("the router was told\n  %s\nwant\n  %s", strings.Join(have, "\n  "), strings.Join(want, "\n  "))
	}
}

// wantTable fails the test unless the router has exactly these routes.
func (w *world) wantTable(want ...string) {
	w.Helper()
	slices.Sort(want)
	if have := table(w.router); !slices.Equal(have, want) {
		w.Errorf("the router has\n  %s\nwant\n  %s", strings.Join(have, "\n  "), strings.Join(want, "\n  "))
	}
}
