package control

import (
	"context"
	"encoding/base64"
	"slices"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// Bounds of lists.
const (
	statusRows    = 100 // of VIPs, neighbors and sessions in a Status
	statusEvents  = 20
	largestPage   = 1000
	defaultEvents = 100
	mostEvents    = 10000
)

// A service is the methods of the API. Interceptors have been there before:
// who calls may, and the request can be meant.
type service struct {
	vipdv1.UnimplementedVipServiceServer
	s *Server
}

func (v service) board() *board.Board { return v.s.opts.Board }
func (v service) node() Node          { return v.s.opts.Node }

func (v service) GetStatus(context.Context, *vipdv1.GetStatusRequest) (*vipdv1.Status, error) {
	b := v.board()
	events, sequence, _ := b.Events(board.EventQuery{Limit: statusEvents})
	slices.Reverse(events)
	status := &vipdv1.Status{
		Sequence: sequence, // first, so that what follows is not older than it says
		Events:   events,
		Node:     b.Node(),
		Counts:   b.Counts(),
	}
	room := v.s.limits.page / 2
	status.Troubled = fit(b.Troubled(statusRows), room)
	if vips, more, _ := b.VIPs(board.Query{Limit: statusRows}); !more && len(fit(vips, room)) == len(vips) {
		status.Vips = vips
	}
	status.Neighbors = first(b.Neighbors(), statusRows)
	sessions := b.Sessions()
	slices.SortStableFunc(sessions, func(a, b *vipdv1.BfdSession) int { return up(a) - up(b) })
	status.BfdSessions = first(sessions, statusRows)
	return status, nil
}

func up(s *vipdv1.BfdSession) int {
	if s.State == "up" {
		return 1
	}
	return 0
}

func first[T any](all []T, n int) []T { return all[:min(n, len(all))] }

// fit returns the first VIPs that fit in room bytes, at least one: a VIP may
// have thousands of backends.
func fit(vips []*vipdv1.Vip, room int) []*vipdv1.Vip {
	for i, vip := range vips {
		if room -= proto.Size(vip); room < 0 && i > 0 {
			return vips[:i]
		}
	}
	return vips
}

func (v service) ListVips(ctx context.Context, r *vipdv1.ListVipsRequest) (*vipdv1.ListVipsResponse, error) {
	after, err := pageAfter(r.PageToken)
	if err != nil {
		return nil, err
	}
	limit := int(r.PageSize)
	if limit == 0 {
		limit = largestPage
	}
	vips, more, total := v.board().VIPs(board.Query{Search: r.Search, State: r.State, Owner: r.Owner, After: after, Limit: limit})
	page := fit(vips, v.s.limits.page)
	response := &vipdv1.ListVipsResponse{Vips: page, Total: uint32(total)}
	if more || len(page) < len(vips) {
		response.NextPageToken = pageToken(page[len(page)-1].Name)
	}
	if r.Fresh && len(page) > 0 {
		names := make([]string, len(page))
		for i, vip := range page {
			names[i] = vip.Name
		}
		response.Vips, err = v.node().Fresh(ctx, names)
	}
	return response, err
}

// A page token is the last name of the page before: what is added or removed
// between two pages then shifts nothing.
func pageToken(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

func pageAfter(token string) (string, error) {
	name, err := base64.RawURLEncoding.DecodeString(token)
	return string(name), err
}

func (v service) GetVip(ctx context.Context, r *vipdv1.GetVipRequest) (*vipdv1.Vip, error) {
	return v.node().GetVip(ctx, r.Vip)
}

func (v service) Explain(ctx context.Context, r *vipdv1.ExplainRequest) (*vipdv1.Explanation, error) {
	return v.node().Explain(ctx, r.Vip)
}

func (v service) ListNeighbors(context.Context, *vipdv1.ListNeighborsRequest) (*vipdv1.ListNeighborsResponse, error) {
	return &vipdv1.ListNeighborsResponse{Neighbors: v.board().Neighbors()}, nil
}

func (v service) ListBfdSessions(ctx context.Context, _ *vipdv1.ListBfdSessionsRequest) (*vipdv1.ListBfdSessionsResponse, error) {
	sessions, err := v.node().Sessions(ctx)
	return &vipdv1.ListBfdSessionsResponse{BfdSessions: sessions}, err
}

func (v service) ListEvents(_ context.Context, r *vipdv1.ListEventsRequest) (*vipdv1.ListEventsResponse, error) {
	q := board.EventQuery{Subject: r.Subject, Kind: r.Kind, After: r.AfterSequence, Limit: int(r.Limit)}
	if q.Limit == 0 {
		q.Limit = defaultEvents
	}
	events, sequence, missed := v.board().Events(q)
	return &vipdv1.ListEventsResponse{Events: events, Sequence: sequence, Missed: missed, Instance: v.board().Instance()}, nil
}
