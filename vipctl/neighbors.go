package vipctl

import (
	"context"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func neighborKind() kind[*vipdv1.Neighbor] {
	return kind[*vipdv1.Neighbor]{
		key:     (*vipdv1.Neighbor).GetAddress,
		part:    (*vipdv1.Snapshot).GetNeighbors,
		one:     (*vipdv1.Change).GetNeighbor,
		removed: (*vipdv1.Change).GetNeighborRemoved,
		change: func(n *vipdv1.Neighbor) *vipdv1.Change {
			return &vipdv1.Change{Object: &vipdv1.Change_Neighbor{Neighbor: n}}
		},
		removal: func(key string) *vipdv1.Change {
			return &vipdv1.Change{Object: &vipdv1.Change_NeighborRemoved{NeighborRemoved: key}}
		},
	}
}

func (a *app) neighborsVerb() *cobra.Command {
	c := &cobra.Command{Use: "neighbors", Short: "list the speaker's BGP neighbors", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions}
	return listVerb(a, c, func([]string) *list[*vipdv1.Neighbor] {
		return &list[*vipdv1.Neighbor]{
			kind:    neighborKind(),
			columns: neighborColumns(),
			rows:    func(p *page, n *vipdv1.Neighbor) [][]cell { return [][]cell{neighborRow(p, n)} },
			all: func(ctx context.Context, api vipdv1.VipServiceClient) ([]*vipdv1.Neighbor, error) {
				r, err := api.ListNeighbors(ctx, &vipdv1.ListNeighborsRequest{})
				return r.GetNeighbors(), err
			},
			encode: func(all []*vipdv1.Neighbor) ([]byte, error) {
				return compactJSON(&vipdv1.ListNeighborsResponse{Neighbors: all})
			},
		}
	})
}

func neighborColumns() []column {
	return columns("ADDRESS AS STATE SINCE BFD HOLD +MANAGED +PREFIXES +SENT +RECEIVED DESCRIPTION")
}

func neighborRow(p *page, n *vipdv1.Neighbor) []cell {
	managed := "no"
	if n.GetManaged() {
		managed = "yes"
	}
	return []cell{
		text(n.GetAddress()), number(n.GetAsn()), neighborState(n), text(p.since(n.GetSince())),
		in(sessionTone(n.GetBfd()), n.GetBfd()), in(bad, hold(n.GetHold())), text(managed),
		number(n.GetPrefixesReceived()), number(n.GetUpdatesSent()), number(n.GetUpdatesReceived()),
		text(n.GetDescription()),
	}
}

func neighborState(n *vipdv1.Neighbor) cell {
	switch {
	case n.GetAdminDown():
		return in(bad, "admin-down")
	case n.GetState() == "established":
		return in(good, n.GetState())
	}
	return in(bad, n.GetState())
}

// hold tells what vipd does to a neighbor, and why.
func hold(h *vipdv1.Hold) string {
	if h == nil {
		return ""
	}
	text := "none"
	switch {
	case h.GetDisable():
		text = "disabled"
	case h.GetWithhold():
		text = "sent nothing"
	}
	if h.GetReason() != "" {
		text += ": " + h.GetReason()
	}
	switch {
	case h.GetError() != "":
		text += " (not in force: " + h.GetError() + ")"
	case !h.GetInForce():
		text += " (not in force yet)"
	}
	return text
}
