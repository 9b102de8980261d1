package driver

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/link"
	"github.com/fiberlb/vipd/bgpclient/internal/policy"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// ExportPolicies lists the policies that apply to what is sent, in order.
func (c *Conn) ExportPolicies(ctx context.Context) (names []string, err error) {
	err = c.api.ListAssigned(ctx, func(name string) { names = append(names, name) })
	return names, link.Error(ctx, "list export policies", err)
}

// AddExportPolicy defines and assigns p. The assignment is the last step, so a
// policy that is assigned is whole, and one that is not is made anew.
func (c *Conn) AddExportPolicy(ctx context.Context, p bgpclient.ExportPolicy) error {
	assigned, err := c.ExportPolicies(ctx)
	if err != nil || slices.Contains(assigned, p.Name) {
		return err
	}
	asn, err := c.ownASN(ctx)
	if err != nil {
		return err
	}
	if err := c.deleteParts(ctx, p.Name); err != nil {
		return err
	}
	sets, statements := policy.Lay(p)
	for _, s := range sets {
		if err := c.api.AddSet(ctx, s); err != nil {
			return link.Error(ctx, "add set "+s.Name, err)
		}
	}
	if err := c.api.AddPolicy(ctx, p.Name, statements, asn); err != nil {
		return link.Error(ctx, "add policy "+p.Name, err)
	}
	if err := c.api.Assign(ctx, p.Name); err != nil {
		return link.Error(ctx, "assign policy "+p.Name, err)
	}
	c.added, c.before = p, c.added.Rules
	return nil
}

// DeleteExportPolicy unassigns a policy and deletes it with all its parts.
func (c *Conn) DeleteExportPolicy(ctx context.Context, name string) error {
	assigned, err := c.ExportPolicies(ctx)
	if err != nil {
		return err
	}
	if name == c.added.Name {
		c.added, c.before = bgpclient.ExportPolicy{}, nil
	}
	if slices.Contains(assigned, name) {
		if err := c.api.Unassign(ctx, name); err != nil {
			return link.Error(ctx, "unassign policy "+name, err)
		}
	}
	return c.deleteParts(ctx, name)
}

// deleteParts deletes whatever is there of a policy that is not assigned: a
// call may have been interrupted anywhere. Users go before what they use.
func (c *Conn) deleteParts(ctx context.Context, name string) error {
	type list = func(context.Context, func(string)) error
	type remove = func(context.Context, string) error
	ofKind := func(k policy.Kind) (list, remove) {
		return func(ctx context.Context, yield func(string)) error { return c.api.ListSet(ctx, k, yield) },
			func(ctx context.Context, n string) error { return c.api.DeleteSet(ctx, k, n) }
	}
	listPrefixes, deletePrefixes := ofKind(policy.Prefixes)
	listNeighbors, deleteNeighbors := ofKind(policy.Neighbor)
	for _, step := range []struct {
		list   list
		remove remove
		ours   func(string) bool
	}{
		{c.api.ListPolicy, c.api.DeletePolicy, func(n string) bool { return n == name }},
		{c.api.ListStatement, c.api.DeleteStatement, func(n string) bool { return policy.Owns(name, n) }},
		{listPrefixes, deletePrefixes, func(n string) bool { return policy.Owns(name, n) }},
		{listNeighbors, deleteNeighbors, func(n string) bool { return policy.Owns(name, n) }},
	} {
		var there []string
		err := step.list(ctx, func(n string) {
			if step.ours(n) {
				there = append(there, n)
			}
		})
		for _, n := range there {
			if err == nil {
				err = step.remove(ctx, n)
			}
		}
		if err != nil {
			return link.Error(ctx, "delete policy "+name, err)
		}
	}
	return nil
}

// SoftResetOut sends a neighbor its routes anew. GoBGP before 4.6 then leaves
// those at the neighbor that a policy rejects since: where ours does, only an
// end of the session takes them away.
func (c *Conn) SoftResetOut(ctx context.Context, a netip.Addr) error {
	if !a.IsValid() { // GoBGP takes an empty address for everybody
		return errors.New("soft reset: no neighbor")
	}
	doing := "soft reset of neighbor " + a.String()
	if err := c.api.SoftResetOut(ctx, a.String()); err != nil {
		return link.Error(ctx, doing, err)
	}
	behind, err := c.leftBehind(ctx, a)
	if err != nil || !behind {
		return link.Error(ctx, doing, err)
	}
	// ResetPeer would do, but 3.10 then rests for 30 seconds.
	var n bgpclient.Neighbor
	err = c.api.ListPeer(ctx, a.String(), func(s bgpclient.NeighborState) { n = s.Neighbor })
	if err != nil || !n.Address.IsValid() {
		return link.Error(ctx, doing, err)
	}
	return c.replaceNeighbor(ctx, n)
}

// leftBehind reports whether a neighbor may have routes that the policy which
// was added last rejects, and the one before did not. Such a policy names
// managed neighbors only.
func (c *Conn) leftBehind(ctx context.Context, a netip.Addr) (behind bool, err error) {
	if c.added.Rules == nil {
		return false, nil
	}
	for _, afi := range []uint16{wire.AFIv4, wire.AFIv6} {
		err := c.api.ListLeftBehind(ctx, a.String(), afi, func(l Listed) {
			prefix, err := wire.ParsePrefix(l.NLRI, afi)
			behind = behind || err == nil && policy.Rejects(c.added.Rules, a, prefix) && !policy.Rejects(c.before, a, prefix)
		})
		if err != nil {
			return false, err
		}
	}
	return behind, nil
}
