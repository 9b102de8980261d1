// Package flows counts the connections to VIPs that the kernel knows. It closes
// none of them.
//
// By sockets it counts those that end in a program of this network namespace, as
// with a proxy. By conntrack it counts those that the kernel forwards, too, as
// with DNAT or IPVS; it sees only what is tracked here, and that takes a rule
// that asks for it. Both ask the kernel for all and let go of each as it comes:
// memory does not grow with their number.
package flows

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// A Counter counts connections by one measure. It holds nothing open.
type Counter struct {
	measure string
	count   func(ctx context.Context, vips set) (int, error)
}

// New returns a Counter by sockets or conntrack.
func New(measure string) (*Counter, error) {
	switch measure {
	case "sockets":
		return &Counter{measure, sockets}, nil
	case "conntrack":
		return &Counter{measure, conntrack}, nil
	}
	return nil, fmt.Errorf("count connections: there is no measure %q (sockets, conntrack)", measure)
}

// Count returns how many connections to these prefixes there are now: open ones,
// with those that are being opened or closed, and without those of which only a
// TIME_WAIT is left.
func (c *Counter) Count(ctx context.Context, prefixes []netip.Prefix) (int, error) {
	n, err := c.count(ctx, newSet(prefixes))
	if err != nil {
		return 0, fmt.Errorf("count connections by %s: %w", c.measure, err)
	}
	return n, nil
}

// A set is prefixes to look an address up in: once for each length of theirs.
type set struct {
	prefixes map[netip.Prefix]bool
	four     []int // lengths
	six      []int
}

func newSet(prefixes []netip.Prefix) set {
	s := set{prefixes: make(map[netip.Prefix]bool, len(prefixes))}
	for _, p := range prefixes {
		s.prefixes[p.Masked()] = true
		lengths := &s.six
		if p.Addr().Is4() {
			lengths = &s.four
		}
		if !slices.Contains(*lengths, p.Bits()) {
			*lengths = append(*lengths, p.Bits())
		}
	}
	return s
}

func (s set) has(a netip.Addr) bool {
	lengths := s.six
	if a = a.Unmap(); a.Is4() {
		lengths = s.four
	}
	for _, bits := range lengths {
		if p, err := a.Prefix(bits); err == nil && s.prefixes[p] {
			return true
		}
	}
	return false
}
