package vipctl

import (
	"context"
	"strconv"

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
	return []column{{title: "PEER"}, {title: "LOCAL"}, {title: "INTERFACE"}, {title: "TYPE"}, {title: "STATE"}, {title: "SINCE"}, {title: "DETECTION"},
		{title: "ID", wide: true}, {title: "DISCRIMINATORS", wide: true}, {title: "TX", wide: true}, {title: "RX", wide: true},
		{title: "REMOTE", wide: true}, {title: "MAX-GAP", wide: true}, {title: "SENT", wide: true}, {title: "RECEIVED", wide: true},
		{title: "DROPPED", wide: true}, {title: "CHANGES", wide: true}, {title: "OWNER", wide: true}, {title: "DIAGNOSTIC"}}
}

func sessionRow(p *page, s *vipdv1.BfdSession) []cell {
	number := func(u uint64) cell { return in(plain, strconv.FormatUint(u, 10)) }
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
		in(plain, s.GetPeer()), in(plain, s.GetLocal()), in(plain, s.GetInterface()), in(plain, kind),
		in(sessionTone(s.GetState()), s.GetState()), in(plain, p.since(s.GetSince())), in(plain, interval(s.GetDetection())),
		in(plain, s.GetId()),
		in(plain, strconv.FormatUint(uint64(s.GetDiscriminator()), 10)+"/"+strconv.FormatUint(uint64(s.GetRemoteDiscriminator()), 10)),
		in(plain, interval(s.GetTxInterval())), in(plain, interval(s.GetRxInterval())),
		in(sessionTone(s.GetRemoteState()), s.GetRemoteState()), in(plain, interval(s.GetMaxGap())),
		number(s.GetSent()), number(s.GetReceived()), number(s.GetDropped()), number(s.GetChanges()),
		in(plain, s.GetOwner()),
		in(plain, diagnostic),
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
