package vipctl

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func sessionKind() kind[*vipdv1.BfdSession] {
	return kind[*vipdv1.BfdSession]{
		key:     (*vipdv1.BfdSession).GetId,
		part:    (*vipdv1.Snapshot).GetBfdSessions,
		one:     (*vipdv1.Change).GetBfdSession,
		removed: (*vipdv1.Change).GetBfdSessionRemoved,
		change: func(s *vipdv1.BfdSession) *vipdv1.Change {
			return &vipdv1.Change{Object: &vipdv1.Change_BfdSession{BfdSession: s}}
		},
		removal: func(key string) *vipdv1.Change {
			return &vipdv1.Change{Object: &vipdv1.Change_BfdSessionRemoved{BfdSessionRemoved: key}}
		},
	}
}

func (a *app) bfdVerb() *cobra.Command {
	c := &cobra.Command{Use: "bfd", Short: "list BFD sessions; add or remove one", Args: cobra.NoArgs}
	c.AddCommand(a.bfdAddVerb(), a.bfdRemoveVerb())
	return listVerb(a, c, func([]string) *list[*vipdv1.BfdSession] {
		return &list[*vipdv1.BfdSession]{
			kind:    sessionKind(),
			columns: sessionColumns(),
			rows:    func(p *page, s *vipdv1.BfdSession) [][]cell { return [][]cell{sessionRow(p, s)} },
			all: func(ctx context.Context, api vipdv1.VipServiceClient) ([]*vipdv1.BfdSession, error) {
				r, err := api.ListBfdSessions(ctx, &vipdv1.ListBfdSessionsRequest{})
				return r.GetBfdSessions(), err
			},
			encode: func(all []*vipdv1.BfdSession) ([]byte, error) {
				return compactJSON(&vipdv1.ListBfdSessionsResponse{BfdSessions: all})
			},
		}
	})
}

func sessionColumns() []column {
	return columns("PEER LOCAL INTERFACE TYPE STATE SINCE DETECTION +ID +DISCRIMINATORS +TX +RX +REMOTE +MAX-GAP" +
		" +SENT +RECEIVED +DROPPED +CHANGES +OWNER DIAGNOSTIC")
}

func sessionRow(p *page, s *vipdv1.BfdSession) []cell {
	kind := "single-hop"
	switch {
	case s.GetEcho():
		kind = "echo"
	case s.GetMultihop():
		kind = "multihop"
	}
	diagnostic := s.GetProblem()
	if diagnostic == "" {
		diagnostic = s.GetDiag()
	}
	return []cell{
		text(s.GetPeer()), text(s.GetLocal()), text(s.GetInterface()), text(kind),
		in(sessionTone(s.GetState()), s.GetState()), text(p.since(s.GetSince())), text(interval(s.GetDetection())),
		text(s.GetId()), text(fmt.Sprintf("%d/%d", s.GetDiscriminator(), s.GetRemoteDiscriminator())),
		text(interval(s.GetTxInterval())), text(interval(s.GetRxInterval())),
		in(sessionTone(s.GetRemoteState()), s.GetRemoteState()), text(interval(s.GetMaxGap())),
		number(s.GetSent()), number(s.GetReceived()), number(s.GetDropped()), number(s.GetChanges()),
		text(s.GetOwner()),
		text(diagnostic),
	}
}

func sessionTone(state string) tone {
	switch state {
	case "up":
		return good
	case "":
		return plain
	}
	return bad
}

func interval(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().String()
}

func (a *app) bfdAddVerb() *cobra.Command {
	r := &vipdv1.AddBfdSessionRequest{}
	c := &cobra.Command{Use: "add PEER", Short: "add a BFD session", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeNeighbors}
	f := c.Flags()
	f.StringVar(&r.Local, "local", "", "our address")
	f.StringVar(&r.Interface, "interface", "", "the interface that the peer is at")
	f.BoolVar(&r.Multihop, "multihop", false, "the peer is not on a link of ours (RFC 5883)")
	f.StringVar(&r.Profile, "profile", "", "one of bfd.profiles")
	f.StringVar(&r.Owner, "owner", "", `whose session it is (default "api")`)
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		r.Peer = args[0]
		s, err := api.AddBfdSession(ctx, r)
		if err != nil {
			return err
		}
		return a.show(s, func(p *page) { p.say("session %s added: %s", s.GetId(), s.GetState()) })
	})
}

func (a *app) bfdRemoveVerb() *cobra.Command {
	c := &cobra.Command{Use: "rm ID|PEER", Short: "remove a BFD session that was added here", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeSessions}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		r, err := api.RemoveBfdSession(ctx, &vipdv1.RemoveBfdSessionRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.show(r, func(p *page) { p.say("session %s removed", args[0]) })
	})
}
