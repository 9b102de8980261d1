package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func namesOf(vips []*vipdv1.Vip) (all []string) {
	for _, v := range vips {
		all = append(all, v.Name)
	}
	return all
}

func TestPagesHaveEachVIPOnce(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	for i := range 2500 {
		r.board.PutVIP(vip(i, ""))
	}
	c := service{s: r.Server}
	var sizes, all []string
	for token, more := "", true; more; more = token != "" {
		page, err := c.ListVips(context.Background(), &vipdv1.ListVipsRequest{PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		token = page.NextPageToken
		sizes, all = append(sizes, fmt.Sprint(len(page.Vips), "/", page.Total)), append(all, namesOf(page.Vips)...)
		r.board.RemoveVIP("vip-00000") // before the next page: shifts nothing
	}
	if got := strings.Join(sizes, " "); got != "1000/2500 1000/2499 500/2499" {
		t.Errorf("pages of %s", got)
	}
	for i, name := range all {
		if want := fmt.Sprintf("vip-%05d", i); name != want {
			t.Fatalf("the %dth is %s", i, name)
		}
	}
	last, err := c.ListVips(context.Background(), &vipdv1.ListVipsRequest{Search: "00042", PageSize: 1})
	if err != nil || len(last.Vips) != 1 || last.Total != 1 || last.NextPageToken != "" {
		t.Errorf("a search: %v, %v", last, err)
	}
}

// gRPC's clients refuse messages of more than 4 MiB unless they are told not to.
func TestPagesFitAClientsDefault(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	for i := range 10 {
		r.board.PutVIP(vip(i, strings.Repeat("x", 1<<20)))
	}
	r.board.PutVIP(vip(10, strings.Repeat("x", 5<<20)))
	r.board.PutVIP(vip(11, ""))
	c := service{s: r.Server}
	var pages []int
	for token, more := "", true; more; more = token != "" {
		page, err := c.ListVips(context.Background(), &vipdv1.ListVipsRequest{PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		token = page.NextPageToken
		pages = append(pages, len(page.Vips))
		if len(page.Vips) > 1 && proto.Size(page) > 4<<20 {
			t.Errorf("a page of %d bytes", proto.Size(page))
		}
	}
	if got := fmt.Sprint(pages); got != "[2 2 2 2 2 1 1]" { // what is too large comes alone
		t.Errorf("pages of %s", got)
	}
	status, err := c.GetStatus(context.Background(), &vipdv1.GetStatusRequest{})
	if err != nil || len(status.Vips) != 0 || proto.Size(status) > 4<<20 {
		t.Errorf("a status of %d VIPs and %d bytes, %v", len(status.GetVips()), proto.Size(status), err)
	}
}

func TestFreshListsAreOfTheProbes(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := service{s: r.Server}
	ask := func() (*vipdv1.ListVipsResponse, error) {
		return c.ListVips(context.Background(), &vipdv1.ListVipsRequest{Fresh: true, PageSize: 2})
	}
	if got, err := ask(); err != nil || len(got.Vips) != 0 || len(r.node.called()) > 0 {
		t.Errorf("none: %v, %v", got, err)
	}
	for _, name := range []string{"a", "gone", "z"} {
		r.board.PutVIP(&vipdv1.Vip{Name: name})
	}
	got, err := ask()
	if err != nil || len(got.Vips) != 1 || got.Vips[0].Reason != "fresh" || got.NextPageToken != pageToken("gone") || got.Total != 3 {
		t.Errorf("one of two is gone: %v, %v", got, err)
	}
	r.node.err = errors.New("no loop")
	if _, err := ask(); err == nil || err.Error() != "no loop" {
		t.Errorf("got %v", err)
	}
}

func TestStatusIsBounded(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := service{s: r.Server}
	ask := func() *vipdv1.Status {
		s, err := c.GetStatus(context.Background(), &vipdv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask(); s.Sequence != 0 || s.Counts == nil {
		t.Errorf("of nothing: %v", s)
	}
	r.board.PutNode(&vipdv1.Node{Name: "lb-1"})
	for i := range 100 {
		r.board.PutVIP(vip(i, ""))
	}
	r.board.PutVIP(&vipdv1.Vip{Name: "vip-00000", State: "withdrawn"})
	if s := ask(); len(s.Vips) != 100 || len(s.Troubled) != 1 || s.Node.Name != "lb-1" {
		t.Errorf("of few: %d VIPs, %d troubled", len(s.Vips), len(s.Troubled))
	}
	for i := range 200 {
		r.board.PutVIP(&vipdv1.Vip{Name: fmt.Sprint("b", i), State: "withdrawn"})
		r.board.PutNeighbor(&vipdv1.Neighbor{Address: fmt.Sprintf("10.0.0.%d", i)})
		r.board.PutSession(&vipdv1.BfdSession{Id: fmt.Sprintf("%03d", i), State: map[bool]string{true: "up", false: "down"}[i < 150]})
		r.board.Note(&vipdv1.Event{Kind: "vip", Subject: fmt.Sprint(i)})
	}
	s := ask()
	if len(s.Vips) != 0 || len(s.Troubled) != 100 || len(s.Neighbors) != 100 || len(s.BfdSessions) != 100 || len(s.Events) != 20 {
		t.Errorf("of many: %d VIPs, %d troubled, %d neighbors, %d sessions, %d events",
			len(s.Vips), len(s.Troubled), len(s.Neighbors), len(s.BfdSessions), len(s.Events))
	}
	if s.Counts.Vips != 300 || s.BfdSessions[0].Id != "150" || s.BfdSessions[50].Id != "000" || s.Events[0].Subject != "199" || s.Sequence != 902 {
		t.Errorf("counts %v, sessions %s … %s, last event %s, sequence %d",
			s.Counts, s.BfdSessions[0].Id, s.BfdSessions[50].Id, s.Events[0].Subject, s.Sequence)
	}
}

func TestEventsAreReadOn(t *testing.T) {
	r := newRig(Options{}, defaultLimits())
	c := service{s: r.Server}
	for i := range 250 {
		r.board.Note(&vipdv1.Event{Kind: "vip", Subject: fmt.Sprint(i)})
	}
	ask := func(q *vipdv1.ListEventsRequest) *vipdv1.ListEventsResponse {
		got, err := c.ListEvents(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(&vipdv1.ListEventsRequest{}); len(got.Events) != 100 || got.Events[99].Subject != "249" || got.Sequence != 250 {
		t.Errorf("the last ones: %d, sequence %d", len(got.Events), got.Sequence)
	}
	got := ask(&vipdv1.ListEventsRequest{AfterSequence: 5, Limit: 10})
	if len(got.Events) != 10 || got.Events[0].Subject != "5" || got.Sequence != 15 || got.Missed {
		t.Errorf("those after one: %v", got)
	}
	if got := ask(&vipdv1.ListEventsRequest{Subject: "7"}); len(got.Events) != 1 {
		t.Errorf("of a subject: %v", got)
	}
	neighbors, err := c.ListNeighbors(context.Background(), &vipdv1.ListNeighborsRequest{})
	if err != nil || len(neighbors.Neighbors) != 0 {
		t.Errorf("neighbors: %v, %v", neighbors, err)
	}
}
