package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Heard is a span of what a collector recorded.
type Heard []Message

// Heard returns all that came since a time; the zero time means all.
func (c *Collector) Heard(since time.Time) Heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for i < len(c.messages) && !c.messages[i].At.After(since) {
		i++
	}
	return slices.Clone(Heard(c.messages[i:]))
}

// From leaves what peers with these addresses sent.
func (h Heard) From(peers ...netip.Addr) (out Heard) {
	for _, m := range h {
		if slices.Contains(peers, m.Peer) {
			out = append(out, m)
		}
	}
	return out
}

// About leaves, of what was announced and withdrawn, these prefixes, and of
// messages those with any of them.
func (h Heard) About(prefixes ...netip.Prefix) (out Heard) {
	other := func(p netip.Prefix) bool { return !slices.Contains(prefixes, p) }
	for _, m := range h {
		m.Announced = slices.DeleteFunc(slices.Clone(m.Announced), other)
		m.Withdrawn = slices.DeleteFunc(slices.Clone(m.Withdrawn), other)
		if len(m.Announced)+len(m.Withdrawn) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// Announcements counts prefixes that were announced, again or anew.
func (h Heard) Announcements() (n int) {
	for _, m := range h {
		n += len(m.Announced)
	}
	return n
}

// Withdrawals counts prefixes that were withdrawn.
func (h Heard) Withdrawals() (n int) {
	for _, m := range h {
		n += len(m.Withdrawn)
	}
	return n
}

// Withdrawn returns when a prefix was first withdrawn.
func (h Heard) Withdrawn(p netip.Prefix) (time.Time, error) {
	for _, m := range h {
		if slices.Contains(m.Withdrawn, p) {
			return m.At, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s not withdrawn in %d messages", p, len(h))
}
