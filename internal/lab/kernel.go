package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Hop is a next hop of a route in a host's kernel, with its share.
type Hop struct {
	Via    string // the name of the host at the other end
	Weight int
}

// Hops are the next hops that a host's kernel has for a prefix now, sorted by
// name; none if there is no route.
func (h *Host) Hops(p netip.Prefix) ([]Hop, error) {
	family := "-4"
	dst := p.String()
	if p.Addr().Is6() {
		family = "-6"
	}
	type hop struct {
		Gateway string
		Dev     string
		Weight  int
	}
	var routes []struct {
		hop
		Nexthops []hop
	}
	if err := h.show(&routes, "ip", "-j", family, "route", "show", dst); err != nil {
		return nil, err
	}
	var hops []Hop
	for _, r := range routes {
		if len(r.Nexthops) == 0 {
			r.Nexthops = []hop{{r.Gateway, r.Dev, 1}}
		}
		for _, n := range r.Nexthops {
			hops = append(hops, Hop{n.Dev, max(n.Weight, 1)})
		}
	}
	slices.SortFunc(hops, func(a, b Hop) int { return strings.Compare(a.Via, b.Via) })
	return hops, nil
}

// Via returns an error unless a host's kernel sends a prefix exactly to these
// neighbors, in equal shares; to nobody where none is named.
func (h *Host) Via(p netip.Prefix, names ...string) error {
	hops, err := h.Hops(p)
	if err != nil {
		return err
	}
	var want []Hop
	for _, name := range names {
		want = append(want, Hop{name, 1})
	}
	if !slices.Equal(hops, want) {
		return fmt.Errorf("%s: %s goes via %v, not %v", h.Name, p, hops, want)
	}
	return nil
}

// Routes counts the IPv4 routes inside a prefix that a host's kernel has from
// BGP.
func (h *Host) Routes(inside string) int {
	h.lab.Helper()
	return strings.Count(h.Run("ip", "-o", "-4", "route", "show", "root", inside, "proto", "bgp"), "\n")
}

// Track has the host's kernel keep track of connections. Where it can't, the test
// is skipped, or fails if VIPD_REQUIRE is 1.
func (h *Host) Track() {
	h.lab.Helper()
	const rules = "table inet tracked {\n chain in {\n type filter hook input priority filter\n ct state new accept\n }\n}\n"
	if _, err := h.output(rules, "nft", "-f", "-"); err != nil {
		missing(h.lab, "no nf_conntrack in this kernel: %v", err)
	}
}

// probe is a route that nobody else has.
const probe = "203.0.113.255"

// A Watch records what happens to a host's routes and next hops.
type Watch struct{ monitor *Process }

// Watch begins to record.
func (h *Host) Watch(label string) *Watch {
	h.lab.Helper()
	w := &Watch{h.Start(label, "ip", "-ts", "-o", "monitor", "route", "nexthop")}
	// A route of our own shows that it listens.
	h.lab.Within(limit, "ip monitor listens", func() error {
		h.Run("ip", "route", "replace", "blackhole", probe)
		h.Run("ip", "route", "del", "blackhole", probe)
		if !strings.Contains(w.monitor.Log(), "Deleted blackhole "+probe) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	return w
}

// replacing is how long FRR may be without a route that it replaces: it can't
// do that to an IPv6 route in one step, as it can to an IPv4 one.
const replacing = 20 * time.Millisecond

// Deleted returns the routes and next hops that were taken away since, but not
// those that FRR put back at once.
func (w *Watch) Deleted() (lines []string) {
	log := slices.Collect(strings.Lines(w.monitor.Log()))
	for i, line := range log {
		at, what, err := event(line)
		gone, ok := strings.CutPrefix(what, "Deleted ")
		if err != nil || !ok || strings.Contains(gone, probe) {
			continue
		}
		dst, _, _ := strings.Cut(gone, " ")
		if !strings.Contains(dst, ":") || !slices.ContainsFunc(log[i+1:], func(later string) bool {
			again, what, err := event(later)
			return err == nil && strings.HasPrefix(what, dst+" ") && again.Sub(at) <= replacing
		}) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// event reads a line of ip monitor: "[2026-11-21T16:21:09.032206] Deleted …".
func event(line string) (at time.Time, what string, err error) {
	stamp, what, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	if !ok {
		return time.Time{}, "", fmt.Errorf("ip monitor: %q", line)
	}
	if at, err = time.ParseInLocation("2006-01-02T15:04:05.999999", stamp, time.Local); err != nil {
		return time.Time{}, "", fmt.Errorf("ip monitor: %w", err)
	}
	return at, strings.TrimSpace(what), nil
}

// Changed returns when the routes to a prefix were first changed or taken away
// after a time.
func (w *Watch) Changed(p netip.Prefix, since time.Time) (time.Time, error) {
	dst := strings.TrimSuffix(strings.TrimSuffix(p.String(), "/32"), "/128") + " "
	for line := range strings.Lines(w.monitor.Log()) {
		at, what, err := event(line)
		if err == nil && strings.HasPrefix(strings.TrimPrefix(what, "Deleted "), dst) && at.After(since) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("nothing happened to %s", p)
}
