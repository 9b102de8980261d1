// Package flows counts the connections to VIPs that the kernel knows. It closes
// none of them.
package flows

import (
	"context"
	"errors"
	"net/netip"
)

// A Counter counts connections by one measure. It holds nothing open.
type Counter struct{}

// New returns a Counter by sockets or conntrack.
func New(measure string) (*Counter, error) { return &Counter{}, nil }

// Count returns how many connections to these prefixes there are now.
func (c *Counter) Count(ctx context.Context, prefixes []netip.Prefix) (int, error) {
	return 0, errors.ErrUnsupported
}
