package gobgpv4

import (
	"context"

	"github.com/fiberlb/vipd/bgpclient/internal/driver"
	"github.com/fiberlb/vipd/bgpclient/internal/policy"

	"github.com/osrg/gobgp/v4/api"
)

func assignment(policies ...*api.Policy) *api.PolicyAssignment {
	return &api.PolicyAssignment{
		Name: "global", Direction: api.PolicyDirection_POLICY_DIRECTION_EXPORT, Policies: policies,
	}
}

// ListAssigned lists what the global export assignment names.
func (c client) ListAssigned(ctx context.Context, yield func(string)) error {
	a := assignment()
	s, err := c.ListPolicyAssignment(ctx, &api.ListPolicyAssignmentRequest{Name: a.Name, Direction: a.Direction})
	return driver.Collect(s, err, func(r *api.ListPolicyAssignmentResponse) {
		for _, p := range r.GetAssignment().GetPolicies() {
			yield(p.GetName())
		}
	})
}

// Assign appends to the assignment. It leaves the default action as it is.
func (c client) Assign(ctx context.Context, name string) error {
	_, err := c.AddPolicyAssignment(ctx, &api.AddPolicyAssignmentRequest{Assignment: assignment(&api.Policy{Name: name})})
	return err
}

// Unassign takes one policy out: All would take everybody's, and then nothing
// is let out at all.
func (c client) Unassign(ctx context.Context, name string) error {
	_, err := c.DeletePolicyAssignment(ctx, &api.DeletePolicyAssignmentRequest{Assignment: assignment(&api.Policy{Name: name})})
	return err
}

// ListPolicy lists the names of policies.
func (c client) ListPolicy(ctx context.Context, yield func(string)) error {
	s, err := c.GoBgpServiceClient.ListPolicy(ctx, &api.ListPolicyRequest{})
	return driver.Collect(s, err, func(r *api.ListPolicyResponse) { yield(r.GetPolicy().GetName()) })
}

// AddPolicy adds a policy with its statements.
func (c client) AddPolicy(ctx context.Context, name string, statements []policy.Statement, asn uint32) error {
	p := &api.Policy{Name: name}
	for _, s := range statements {
		p.Statements = append(p.Statements, statement(s, asn))
	}
	_, err := c.GoBgpServiceClient.AddPolicy(ctx, &api.AddPolicyRequest{Policy: p})
	return err
}

// DeletePolicy removes a policy and the statements that nobody else uses.
func (c client) DeletePolicy(ctx context.Context, name string) error {
	_, err := c.GoBgpServiceClient.DeletePolicy(ctx, &api.DeletePolicyRequest{Policy: &api.Policy{Name: name}, All: true})
	return err
}

// ListStatement lists the names of statements.
func (c client) ListStatement(ctx context.Context, yield func(string)) error {
	s, err := c.GoBgpServiceClient.ListStatement(ctx, &api.ListStatementRequest{})
	return driver.Collect(s, err, func(r *api.ListStatementResponse) { yield(r.GetStatement().GetName()) })
}

// DeleteStatement removes a statement.
func (c client) DeleteStatement(ctx context.Context, name string) error {
	_, err := c.GoBgpServiceClient.DeleteStatement(ctx, &api.DeleteStatementRequest{Statement: &api.Statement{Name: name}, All: true})
	return err
}

func definedType(k policy.Kind) api.DefinedType {
	if k == policy.Neighbor {
		return api.DefinedType_DEFINED_TYPE_NEIGHBOR
	}
	return api.DefinedType_DEFINED_TYPE_PREFIX
}

// ListSet lists the names of sets.
func (c client) ListSet(ctx context.Context, k policy.Kind, yield func(string)) error {
	s, err := c.ListDefinedSet(ctx, &api.ListDefinedSetRequest{DefinedType: definedType(k)})
	return driver.Collect(s, err, func(r *api.ListDefinedSetResponse) { yield(r.GetDefinedSet().GetName()) })
}

// AddSet adds a set.
func (c client) AddSet(ctx context.Context, s policy.Set) error {
	set := &api.DefinedSet{DefinedType: definedType(s.Kind), Name: s.Name}
	if s.Kind == policy.Neighbor {
		set.List = []string{s.Neighbor.String()}
	}
	for _, p := range s.Prefixes {
		set.Prefixes = append(set.Prefixes, &api.Prefix{
			IpPrefix: p.String(), MaskLengthMin: uint32(p.Bits()), MaskLengthMax: uint32(p.Addr().BitLen()),
		})
	}
	_, err := c.AddDefinedSet(ctx, &api.AddDefinedSetRequest{DefinedSet: set})
	return err
}

// DeleteSet removes a set.
func (c client) DeleteSet(ctx context.Context, k policy.Kind, name string) error {
	_, err := c.DeleteDefinedSet(ctx, &api.DeleteDefinedSetRequest{
		DefinedSet: &api.DefinedSet{DefinedType: definedType(k), Name: name}, All: true,
	})
	return err
}

// statement never accepts: what it lets through goes on to the next one, and
// to the operator's own policies.
func statement(s policy.Statement, asn uint32) *api.Statement {
	conditions := &api.Conditions{NeighborSet: &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: s.NeighborSet}}
	if s.PrefixSet != "" {
		conditions.PrefixSet = &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: s.PrefixSet}
		if s.Invert {
			conditions.PrefixSet.Type = api.MatchSet_TYPE_INVERT
		}
	}
	if s.AFI != 0 {
		conditions.AfiSafiIn = []*api.Family{family(s.AFI)}
	}
	actions, rule := &api.Actions{}, s.Rule
	if rule.Reject {
		actions.RouteAction = api.RouteAction_ROUTE_ACTION_REJECT
		return &api.Statement{Name: s.Name, Conditions: conditions, Actions: actions}
	}
	if len(rule.Communities) > 0 {
		actions.Community = &api.CommunityAction{Type: api.CommunityAction_TYPE_ADD, Communities: policy.Notations(rule.Communities)}
	}
	if len(rule.LargeCommunities) > 0 {
		actions.LargeCommunity = &api.CommunityAction{Type: api.CommunityAction_TYPE_ADD, Communities: policy.Notations(rule.LargeCommunities)}
	}
	if rule.MED != nil {
		actions.Med = &api.MedAction{Type: api.MedAction_TYPE_REPLACE, Value: int64(*rule.MED)}
	}
	if rule.Prepend > 0 {
		actions.AsPrepend = &api.AsPrependAction{Asn: asn, Repeat: uint32(rule.Prepend)}
	}
	return &api.Statement{Name: s.Name, Conditions: conditions, Actions: actions}
}
