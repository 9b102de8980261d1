package board

import (
	"slices"
	"testing"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func TestQueriesSelectVIPs(t *testing.T) {
	b := small(64, 16)
	for _, v := range []*vipdv1.Vip{
		{Name: "web", Prefix: "192.0.2.10/32", State: "advertised", Reason: "advertised: 2 of 3 Backends healthy"},
		{Name: "api", Prefix: "192.0.2.11/32", State: "withdrawn", Owner: "k8s", Reason: "withdrawn: draining"},
		{Name: "dns", Prefix: "2001:db8::53/128", State: "advertised", Owner: "k8s"},
		{Name: "Mail", Prefix: "192.0.2.12/32", State: "undecided"},
	} {
		b.PutVIP(v)
	}
	for _, tt := range []struct {
		name  string
		q     Query
		want  []string
		more  bool
		total int
	}{
		{"all, by name", Query{}, []string{"Mail", "api", "dns", "web"}, false, 4},
		{"a part of the name, in any case", Query{Search: "mAI"}, []string{"Mail"}, false, 1},
		{"a part of the prefix", Query{Search: "192.0.2"}, []string{"Mail", "api", "web"}, false, 3},
		{"the owner, found", Query{Search: "K8S"}, []string{"api", "dns"}, false, 2},
		{"a part of the reason", Query{Search: "3 backends"}, []string{"web"}, false, 1},
		{"nothing", Query{Search: "nothing"}, nil, false, 0},
		{"state", Query{State: "advertised"}, []string{"dns", "web"}, false, 2},
		{"owner and state", Query{Owner: "k8s", State: "withdrawn"}, []string{"api"}, false, 1},
		{"the first page", Query{Limit: 3}, []string{"Mail", "api", "dns"}, true, 4},
		{"a page that just ends", Query{Limit: 4}, []string{"Mail", "api", "dns", "web"}, false, 4},
		{"the second page", Query{Limit: 3, After: "dns"}, []string{"web"}, false, 4},
		{"after one that is gone", Query{After: "b"}, []string{"dns", "web"}, false, 4},
		{"after all", Query{After: "zzz"}, nil, false, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, more, total := b.VIPs(tt.q)
			wantNames(t, "vips", got, tt.want...)
			if more != tt.more || total != tt.total {
				t.Errorf("more %v, total %d, want %v, %d", more, total, tt.more, tt.total)
			}
		})
	}
}

func TestQueriesSelectEvents(t *testing.T) {
	b := small(64, 4)
	for _, e := range []struct{ kind, subject string }{
		{"vip", "lost"}, {"vip", "lost"}, {"vip", "web"}, {"bfd", "10.0.0.1"}, {"vip", "api"}, {"vip", "web"},
	} {
		b.Note(&vipdv1.Event{Kind: e.kind, Subject: e.subject})
	}
	b.PutVIP(vip("web", "withdrawn"))
	for _, tt := range []struct {
		name     string
		q        EventQuery
		want     []uint64
		sequence uint64
		missed   bool
	}{
		{"all that are kept", EventQuery{}, []uint64{3, 4, 5, 6}, 7, true},
		{"the last ones", EventQuery{Limit: 2}, []uint64{5, 6}, 7, true},
		{"by kind", EventQuery{Kind: "bfd"}, []uint64{4}, 7, true},
		{"by subject", EventQuery{Subject: "web"}, []uint64{3, 6}, 7, true},
		{"the last one by subject", EventQuery{Subject: "web", Limit: 1}, []uint64{6}, 7, true},
		{"later ones, when none was dropped between", EventQuery{After: 2}, []uint64{3, 4, 5, 6}, 7, false},
		{"later ones, when one was", EventQuery{After: 1}, []uint64{3, 4, 5, 6}, 7, true},
		{"later ones in pages, to go on from the last", EventQuery{After: 2, Limit: 3}, []uint64{3, 4, 5}, 5, false},
		{"the last page", EventQuery{After: 5, Limit: 3}, []uint64{6}, 7, false},
		{"a page that just ends", EventQuery{After: 3, Limit: 3}, []uint64{4, 5, 6}, 7, false},
		{"after the last", EventQuery{After: 7}, nil, 7, false},
		{"after what was in another life", EventQuery{After: 8}, []uint64{3, 4, 5, 6}, 7, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, sequence, missed := b.Events(tt.q)
			var got []uint64
			for _, e := range events {
				got = append(got, e.GetSequence())
			}
			if !slices.Equal(got, tt.want) || sequence != tt.sequence || missed != tt.missed {
				t.Errorf("%d, %d, %v, want %d, %d, %v", got, sequence, missed, tt.want, tt.sequence, tt.missed)
			}
		})
	}
}

func TestEventsAfterOneOfAnotherLifeAreMissedThoughAllAreKept(t *testing.T) {
	b := small(4, 4)
	b.Note(&vipdv1.Event{Subject: "web"})
	events, sequence, missed := b.Events(EventQuery{After: 2})
	if len(events) != 1 || sequence != 1 || !missed {
		t.Errorf("%v, %d, %v", events, sequence, missed)
	}
}
