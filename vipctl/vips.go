package vipctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A selection is which VIPs a list has.
type selection struct{ search, state, owner string }

func (s *selection) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.state, "state", "", "only those that are advertised, withdrawn or undecided")
	c.Flags().StringVar(&s.owner, "owner", "", "only those of this owner")
	choices(c, "state", "advertised", "withdrawn", "undecided")
}

func (s *selection) request(fresh bool) *vipdv1.ListVipsRequest {
	return &vipdv1.ListVipsRequest{Search: s.search, State: s.state, Owner: s.owner, Fresh: fresh}
}

// matches is for what Watch tells: it selects as ListVips does.
func (s *selection) matches(v *vipdv1.Vip) bool {
	found := false
	for _, text := range []string{v.GetName(), v.GetPrefix(), v.GetOwner(), v.GetReason()} {
		found = found || strings.Contains(strings.ToLower(text), strings.ToLower(s.search))
	}
	return found && (s.state == "" || s.state == v.GetState()) && (s.owner == "" || s.owner == v.GetOwner())
}

func vipKind() kind[*vipdv1.Vip] {
	return kind[*vipdv1.Vip]{
		key:     (*vipdv1.Vip).GetName,
		part:    (*vipdv1.Snapshot).GetVips,
		one:     (*vipdv1.Change).GetVip,
		removed: (*vipdv1.Change).GetVipRemoved,
		change:  func(v *vipdv1.Vip) *vipdv1.Change { return &vipdv1.Change{Object: &vipdv1.Change_Vip{Vip: v}} },
		removal: func(key string) *vipdv1.Change {
			return &vipdv1.Change{Object: &vipdv1.Change_VipRemoved{VipRemoved: key}}
		},
	}
}

func (a *app) vipsVerb() *cobra.Command {
	c := &cobra.Command{Use: "vips [SEARCH]", Short: "list VIPs and what was decided on each", Args: cobra.MaximumNArgs(1),
		Long:              "vips lists VIPs, those that have SEARCH in name, prefix, owner or reason.",
		ValidArgsFunction: a.completeVIPs}
	s := &selection{}
	s.flags(c)
	return listVerb(a, c, func(args []string) *list[*vipdv1.Vip] {
		s.search = strings.Join(args, "")
		return &list[*vipdv1.Vip]{
			kind:    vipKind(),
			columns: vipColumns(),
			rows:    func(p *page, v *vipdv1.Vip) [][]cell { return [][]cell{vipRow(p, v)} },
			matches: s.matches,
			all: func(ctx context.Context, api vipdv1.VipServiceClient) ([]*vipdv1.Vip, error) {
				return pages(ctx, api, s.request(false))
			},
			encode: func(all []*vipdv1.Vip) ([]byte, error) {
				return compactJSON(&vipdv1.ListVipsResponse{Vips: all, Total: uint32(len(all))})
			},
		}
	})
}

func vipColumns() []column {
	return columns("NAME PREFIX STATE HEALTHY ROUTE SINCE +MINIMUM +WEIGHT +RULE +OVERRIDE +OWNER +ATTRIBUTES REASON")
}

func vipRow(p *page, v *vipdv1.Vip) []cell {
	t := v.GetTally()
	return []cell{
		text(v.GetName()), text(v.GetPrefix()),
		in(vipTone(v), v.GetState()),
		text(fmt.Sprintf("%d/%d", t.GetHealthy(), t.GetTotal())),
		routeCell(v),
		text(p.since(v.GetSince())),
		text(v.GetMinHealthy()),
		text(fmt.Sprintf("%d/%d", t.GetHealthyWeight(), t.GetTotalWeight())),
		text(v.GetRule()), in(doubt, v.GetOverride().GetWord()), text(v.GetOwner()),
		text(v.GetRoute().GetAttributes()),
		text(strings.TrimPrefix(why(v), v.GetState()+": ")), // the state has a column of its own
	}
}

func vipTone(v *vipdv1.Vip) tone {
	switch v.GetState() {
	case "advertised":
		if v.GetDegraded() || v.GetGracefulShutdown() {
			return doubt
		}
		return good
	case "withdrawn":
		return bad
	}
	return doubt
}

// routeCell is one word on what the speaker has of a VIP.
func routeCell(v *vipdv1.Vip) cell {
	r := v.GetRoute()
	switch {
	case r.GetError() != "":
		return in(bad, "error")
	case r.GetForeign():
		return in(doubt, "foreign")
	case r.GetWanted() && r.GetConfirmed():
		return text("installed")
	case r.GetWanted():
		return in(doubt, "pending")
	case r.GetInstalled():
		return in(doubt, "leaving")
	}
	return text("-")
}

// why is the reason of a VIP's state, and where the speaker is not as wanted,
// that too.
func why(v *vipdv1.Vip) string {
	r, text := v.GetRoute(), v.GetReason()
	switch {
	case r.GetError() != "":
		text += "; but the speaker: " + r.GetError()
	case r.GetWanted() && !r.GetConfirmed():
		text += "; but the speaker does not show it yet"
	case !r.GetWanted() && r.GetInstalled():
		text += "; but the speaker still shows a route"
	}
	if r.GetForeign() {
		text += "; somebody else announces it here too"
	}
	return text
}
