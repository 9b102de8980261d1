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

// Deleted returns the routes and next hops that were taken away since.
func (w *Watch) Deleted() (lines []string) {
	for line := range strings.Lines(w.monitor.Log()) {
		if strings.Contains(line, "Deleted") && !strings.Contains(line, probe) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Changed returns when the routes to a prefix were first changed or taken away
// after a time.
func (w *Watch) Changed(p netip.Prefix, since time.Time) (time.Time, error) {
	dst := " " + strings.TrimSuffix(strings.TrimSuffix(p.String(), "/32"), "/128") + " "
	for line := range strings.Lines(w.monitor.Log()) {
		stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
		if !ok || !strings.Contains(rest, dst) {
			continue
		}
		at, err := time.ParseInLocation("2006-01-02T15:04:05.999999", stamp, time.Local)
		if err != nil {
			return time.Time{}, fmt.Errorf("ip monitor: %w", err)
		}
		if at.After(since) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("nothing happened to %s", p)
}
