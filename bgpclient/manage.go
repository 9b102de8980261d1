package bgpclient

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// A Management is the part of a speaker's configuration that vipd gives it.
// What it does not name is left alone.
type Management struct {
	Global    Global
	Neighbors []Neighbor
	// Export holds the rules of all neighbors, in order.
	Export []ExportRule
}

// Manage says what the speaker's configuration should be; nil is hands off.
// A neighbor that an earlier call named and this one does not is deleted.
// Callers don't change m afterwards.
func (r *Reconciler) Manage(m *Management) {
	r.manage.Store(m)
	wake(r.manageWake)
}

// configure compares all that is not routes.
func (l *lane) configure(ctx context.Context, global Global) error {
	now, err := l.global(ctx)
	if err != nil {
		return fmt.Errorf("global configuration: %w", err)
	}
	if now.ASN != global.ASN || now.RouterID != global.RouterID {
		// Somebody stopped BGP under us: all tables are gone.
		return fmt.Errorf("the speaker's configuration changed: %w", ErrLost)
	}
	if err := l.policies(ctx, global); err != nil {
		return err
	}
	return l.neighbors(ctx, global)
}

// managing returns what to manage, nil for nothing. A speaker that runs as
// somebody else than configured keeps its configuration: to change it would
// need a stop of BGP, which is the operator's to order.
func (l *lane) managing(global Global) *Management {
	want := l.manage.Load()
	if want == nil {
		return nil
	}
	if global.ASN == want.Global.ASN && global.RouterID == want.Global.RouterID {
		return withRejects(want, l.holds.withholding())
	}
	problem := fmt.Sprintf("the speaker runs as AS %d, router id %s, the configuration says AS %d, router id %s: neighbors are left alone until it is restarted",
		global.ASN, global.RouterID, want.Global.ASN, want.Global.RouterID)
	if link := *l.link.Load(); link.Connected && link.Problem != problem {
		link.Problem = problem
		l.linkIs(&link)
		l.opts.Log.Error(problem)
	}
	return nil
}

// neighbors makes the managed neighbors as wanted, and publishes all.
func (l *lane) neighbors(ctx context.Context, global Global) error {
	ctx, cancel := context.WithTimeout(ctx, bulkTimeout)
	defer cancel()
	have, err := l.conn.Neighbors(ctx)
	if err != nil {
		return fmt.Errorf("list neighbors: %w", err)
	}
	l.peersAre(have)
	want := l.managing(global)
	if want == nil {
		return nil
	}
	for _, change := range DiffNeighbors(want.Neighbors, have, l.had) {
		if l.open && change.Verb == Put && !change.Exists && filtered(want.Export, change.Neighbor.Address) {
			continue // it would be sent what its filter is to hold back
		}
		if change.Verb == Put && !change.Exists && l.holds.disabling(change.Neighbor.Address) {
			continue // it would have a session until it is disabled
		}
		if err := l.changeNeighbor(ctx, change); err != nil {
			return err
		}
	}
	for _, n := range want.Neighbors {
		l.had[n.Address] = struct{}{}
	}
	return nil
}

// changeNeighbor carries out one change. A refusal is logged and tried again
// with the next poll; it must not keep routes from their way.
func (l *lane) changeNeighbor(ctx context.Context, c NeighborChange) error {
	addr := c.Neighbor.Address
	if c.Verb == Put && c.Exists && l.pushed[addr] == c.Neighbor {
		// Written before, and still shown otherwise: this speaker does not
		// show everything that it was told. Writing again would reset it.
		return nil
	}
	var err error
	switch {
	case c.Verb == Delete:
		err = l.conn.DeleteNeighbor(ctx, addr)
		delete(l.had, addr)
	case c.Exists:
		err = l.conn.UpdateNeighbor(ctx, c.Neighbor)
	default:
		err = l.conn.AddNeighbor(ctx, c.Neighbor)
	}
	if lost(ctx, err) {
		return fmt.Errorf("%s neighbor %s: %w", c.Verb, addr, err)
	}
	log := l.opts.Log.With(zap.Stringer("neighbor", addr), zap.Stringer("op", c.Verb))
	if err != nil {
		log.Error("neighbor not as wanted, trying on", zap.Error(err))
		return nil
	}
	if c.Verb == Put {
		l.pushed[addr] = c.Neighbor
	}
	log.Info("neighbor configured")
	wake(l.holds.wake) // a speaker may make it anew, and enabled
	return nil
}

// policies makes the export policy of ours as wanted: its name tells its
// content, so an equal name needs nothing.
func (l *lane) policies(ctx context.Context, global Global) error {
	want := l.managing(global)
	if want == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bulkTimeout)
	defer cancel()
	have, err := l.conn.ExportPolicies(ctx)
	if err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	policy := exportPolicy(l.opts.Owner, want.Export)
	add, remove := diffPolicies(policy, have, l.opts.Owner)
	if add || len(remove) > 0 {
		err = l.replacePolicy(ctx, policy, add, remove)
	}
	l.open = err != nil && add
	if err == nil {
		l.exported = &policy
		l.holds.policyIs(policy.Rules)
		err = l.payOwed(ctx)
	}
	if lost(ctx, err) {
		return err
	}
	if err != nil {
		l.opts.Log.Error("export policy not as wanted, trying on", zap.Error(err))
	}
	return nil
}

// replacePolicy puts the new one in force before the old one goes, so that a
// filter is never off in between.
func (l *lane) replacePolicy(ctx context.Context, p ExportPolicy, add bool, remove []string) error {
	have, err := l.conn.Neighbors(ctx)
	if err != nil {
		return fmt.Errorf("list neighbors: %w", err)
	}
	for _, n := range have {
		if l.exported == nil || !equalRules(l.exported.Rules, p.Rules, n.Address) {
			l.owed[n.Address] = struct{}{}
		}
	}
	if add {
		if err := l.conn.AddExportPolicy(ctx, p); err != nil {
			return fmt.Errorf("add export policy %s: %w", p.Name, err)
		}
	}
	for _, name := range remove {
		if err := l.conn.DeleteExportPolicy(ctx, name); err != nil {
			return fmt.Errorf("delete export policy %s: %w", name, err)
		}
	}
	l.opts.Log.Info("export policy configured", zap.String("policy", p.Name))
	return nil
}

// payOwed sends neighbors their routes anew for whom the policy changed. One
// without a session hears the policy's word when it has one.
func (l *lane) payOwed(ctx context.Context) error {
	if len(l.owed) == 0 {
		return nil
	}
	have, err := l.conn.Neighbors(ctx)
	if err != nil {
		return fmt.Errorf("list neighbors: %w", err)
	}
	up := map[netip.Addr]bool{}
	for _, n := range have {
		up[n.Address] = n.State == Established
	}
	var errs []error
	for addr := range l.owed {
		if up[addr] {
			if err := l.conn.SoftResetOut(ctx, addr); err != nil {
				errs = append(errs, fmt.Errorf("neighbor %s: send routes anew: %w", addr, err))
				continue
			}
		}
		delete(l.owed, addr)
	}
	return errors.Join(errs...)
}

// policyPrefix begins the names of all policies that an owner makes.
func policyPrefix(owner uint32) string { return fmt.Sprintf("vipd-%08x-", owner) }

// exportPolicy names rules after their content; without rules the name is empty.
func exportPolicy(owner uint32, rules []ExportRule) ExportPolicy {
	if len(rules) == 0 {
		return ExportPolicy{}
	}
	h := fnv.New64a()
	for _, r := range rules {
		fmt.Fprintf(h, "%s %v %t %t %v %v %s %d\n", r.Neighbor, r.Prefixes, r.Invert, r.Reject,
			r.Communities, r.LargeCommunities, formatValue(r.MED), r.Prepend)
	}
	return ExportPolicy{Name: fmt.Sprintf("%s%016x", policyPrefix(owner), h.Sum64()), Rules: rules}
}

func formatValue(v *uint32) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

// diffPolicies tells whether want must be added, and which of ours must go.
func diffPolicies(want ExportPolicy, have []string, owner uint32) (add bool, remove []string) {
	add = want.Name != ""
	for _, name := range have {
		switch {
		case name == want.Name:
			add = false
		case strings.HasPrefix(name, policyPrefix(owner)):
			remove = append(remove, name)
		}
	}
	return add, remove
}

// A NeighborChange is one difference between the managed neighbors and the
// speaker's.
type NeighborChange struct {
	Verb     Verb // Put or Delete
	Neighbor Neighbor
	Exists   bool // a Put changes an existing one
}

// DiffNeighbors lists what makes the speaker's neighbors agree with want. Of
// those that want does not name, only the ones in ours are deleted.
func DiffNeighbors(want []Neighbor, have []NeighborState, ours map[netip.Addr]struct{}) []NeighborChange {
	var out []NeighborChange
	there := map[netip.Addr]NeighborState{}
	for _, n := range have {
		there[n.Address] = n
	}
	wanted := map[netip.Addr]struct{}{}
	for _, n := range want {
		wanted[n.Address] = struct{}{}
		state, ok := there[n.Address]
		if !ok || !n.agrees(state.Neighbor) {
			out = append(out, NeighborChange{Verb: Put, Neighbor: n, Exists: ok})
		}
	}
	for _, n := range have {
		_, keep := wanted[n.Address]
		if _, mine := ours[n.Address]; mine && !keep {
			out = append(out, NeighborChange{Verb: Delete, Neighbor: n.Neighbor, Exists: true})
		}
	}
	return out
}

// agrees reports whether a speaker that shows have needs no change to be as n
// wants. What a speaker does not tell (a password, say) counts as agreed.
func (n Neighbor) agrees(have Neighbor) bool {
	n, have = n.defaults(), have.defaults()
	if have.Password == "" {
		n.Password = ""
	}
	if !n.LocalAddress.IsValid() {
		have.LocalAddress = n.LocalAddress
	}
	if n.ConnectRetry == 0 {
		have.ConnectRetry = 0
	}
	return n == have
}

// defaults fills in what a speaker shows for fields that were left to it.
func (n Neighbor) defaults() Neighbor {
	if n.Port == 0 {
		n.Port = 179
	}
	if n.HoldTime == 0 {
		n.HoldTime = 90 * time.Second
	}
	return n
}

// lost reports whether err means that the connection is of no use any more.
func lost(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, ErrLost) || ctx.Err() != nil)
}

// equalRules reports whether two policies do the same to a neighbor.
func equalRules(a, b []ExportRule, neighbor netip.Addr) bool {
	of := func(rules []ExportRule) (out []ExportRule) {
		for _, r := range rules {
			if r.Neighbor == neighbor {
				out = append(out, r)
			}
		}
		return out
	}
	return exportPolicy(0, of(a)).Name == exportPolicy(0, of(b)).Name
}

// filtered reports whether a neighbor has export rules of its own.
func filtered(rules []ExportRule, a netip.Addr) bool {
	return slices.ContainsFunc(rules, func(r ExportRule) bool { return r.Neighbor == a })
}
