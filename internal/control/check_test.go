package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func TestWhatNoNodeTakesIsRefused(t *testing.T) {
	spec := func(change func(*vipdv1.VipSpec)) *vipdv1.UpsertVipRequest {
		v := &vipdv1.VipSpec{Name: "web", Prefix: "192.0.2.10", Backends: []*vipdv1.BackendSpec{{Address: "10.0.0.1:80"}}}
		change(v)
		return &vipdv1.UpsertVipRequest{Vip: v}
	}
	for _, tt := range []struct {
		name string
		req  any
		want string // all violations; empty: none
	}{
		{"a list of all", &vipdv1.ListVipsRequest{}, ""},
		{"a list by all words", &vipdv1.ListVipsRequest{Search: "we b", State: "advertised", Owner: "a.b-c_9", PageSize: 1000, PageToken: pageToken("web")}, ""},
		{"a list by wrong words", &vipdv1.ListVipsRequest{Search: strings.Repeat("x", 201), State: "up", Owner: "Ä", PageSize: 1001, PageToken: "*"},
			"search: has 201 characters (at most 200)\n" +
				`state: is "up" (write one of: advertised, withdrawn, undecided)` + "\n" +
				`owner: is "Ä" (write 1 to 63 of a-z, 0-9, dot, dash and underscore)` + "\n" +
				"page_size: is 1001 (at most 1000)\n" +
				"page_token: is of no answer (send next_page_token as it was, or none for the first page)"},
		{"a VIP by prefix", &vipdv1.GetVipRequest{Vip: "2001:db8::/64"}, ""},
		{"no VIP", &vipdv1.GetVipRequest{}, "vip: is missing (write the VIP's name, prefix or address)"},
		{"a VIP with a space", &vipdv1.ExplainRequest{Vip: "a b"}, `vip: is "a b" (write it without spaces)`},
		{"a VIP with a bell", &vipdv1.ExplainRequest{Vip: "a\a"}, `vip: is "a\a" (write it without spaces)`},
		{"a long VIP", &vipdv1.ExplainRequest{Vip: strings.Repeat("é", 129)}, "vip: has 129 characters (at most 128)"},
		{"events", &vipdv1.ListEventsRequest{Subject: "web", Kind: "vip", Limit: 10000, AfterSequence: 7}, ""},
		{"events of no kind", &vipdv1.ListEventsRequest{Kind: "vips", Limit: 10001},
			`kind: is "vips" (write one of: vip, backend, override, drain, definition, reload, speaker, neighbor, bfd, state, hook)` + "\n" +
				"limit: is 10001 (at most 10000)"},
		{"a stream from the start", &vipdv1.WatchRequest{EventsOnly: true}, ""},
		{"a stream that goes on", &vipdv1.WatchRequest{Instance: "a", AfterSequence: 3}, ""},
		{"a stream that goes on from nowhere", &vipdv1.WatchRequest{AfterSequence: 3},
			"instance: is missing, and after_sequence means nothing without it (send both of the last response, or neither)"},
		{"an override", &vipdv1.SetOverrideRequest{Vip: "web", Word: "withdraw", Reason: strings.Repeat("é", 200), Ttl: durationpb.New(366 * 24 * time.Hour)}, ""},
		{"an override's end", &vipdv1.SetOverrideRequest{Vip: "web", Word: "auto"}, ""},
		{"an override of nothing", &vipdv1.SetOverrideRequest{},
			"vip: is missing (write the VIP's name, prefix or address)\nword: is missing (write one of: advertise, withdraw, auto)"},
		{"a wrong override", &vipdv1.SetOverrideRequest{Vip: "web", Word: "up", Reason: "a\nb", Ttl: durationpb.New(-time.Second)},
			`word: is "up" (write one of: advertise, withdraw, auto)` + "\n" +
				`reason: is "a\nb", with control characters (write one line of plain text)` + "\n" +
				"ttl: is -1s, which is negative"},
		{"an override for nothing", &vipdv1.SetOverrideRequest{Vip: "web", Word: "advertise", Ttl: &durationpb.Duration{}},
			"ttl: is 0 (write how long, or leave it out for no end)"},
		{"an override's end with an end", &vipdv1.SetOverrideRequest{Vip: "web", Word: "auto", Ttl: durationpb.New(time.Second)},
			"ttl: has no meaning with auto, which ends an override (leave it out)"},
		{"a drain", &vipdv1.DrainRequest{}, ""},
		{"a long drain", &vipdv1.DrainRequest{Reason: strings.Repeat("é", 201), Ttl: durationpb.New(366*24*time.Hour + 1)},
			"reason: has 201 characters (at most 200)\nttl: is longer than 366 days, or no duration"},
		{"a drain for no duration", &vipdv1.DrainRequest{Ttl: &durationpb.Duration{Seconds: 1, Nanos: -1}}, "ttl: is longer than 366 days, or no duration"},
		{"a VIP to make", spec(func(*vipdv1.VipSpec) {}), ""},
		{"no VIP to make", &vipdv1.UpsertVipRequest{Owner: "A"},
			`owner: is "A" (write 1 to 63 of a-z, 0-9, dot, dash and underscore)` + "\nvip: is missing"},
		{"a VIP of nothing", &vipdv1.UpsertVipRequest{Vip: &vipdv1.VipSpec{Backends: []*vipdv1.BackendSpec{{}}}},
			"vip.name: is missing\nvip.prefix: is missing\nvip.backends[0].address: is missing (write host:port)"},
		{"a VIP of bad values", spec(func(v *vipdv1.VipSpec) {
			v.MinHealthy, v.Check, v.HoldDown = "\x00", strings.Repeat("c", 129), durationpb.New(-1)
			v.Checks = map[string]*structpb.Struct{"a b": nil}
		}), `vip.min_healthy: is "\x00", with control characters (write one line of plain text)` + "\n" +
			"vip.check: has 129 characters (at most 128)\nvip.hold_down: is -1ns, which is negative\n" +
			`vip.checks: is "a b" (write it without spaces)`},
		{"a VIP as deep as can be", spec(func(v *vipdv1.VipSpec) { v.Announce = nested(16) }), ""},
		{"a VIP that is deeper", spec(func(v *vipdv1.VipSpec) {
			v.Announce, v.Degraded, v.LinkBandwidth = nested(17), []*structpb.Struct{nested(17)}, structpb.NewStructValue(nested(17))
			v.Checks = map[string]*structpb.Struct{"c": nested(17)}
		}), "vip.announce: has sections in sections (at most 16 deep)\nvip.degraded[0]: has sections in sections (at most 16 deep)\n" +
			"vip.link_bandwidth: has sections in sections (at most 16 deep)\nvip.checks.c: has sections in sections (at most 16 deep)"},
		{"a VIP to remove", &vipdv1.DeleteVipRequest{Owner: "-"}, "vip: is missing (write the VIP's name, prefix or address)"},
		{"an owner's none", &vipdv1.ReplaceVipsRequest{Owner: "a"}, ""},
		{"nobody's none", &vipdv1.ReplaceVipsRequest{}, "owner: is missing (all VIPs of this owner are replaced)"},
		{"an owner's second is bad", &vipdv1.ReplaceVipsRequest{Owner: "a", Vips: []*vipdv1.VipSpec{{Name: "a", Prefix: "::1"}, {Name: "b"}}}, "vips[1].prefix: is missing"},
		{"too many VIPs", &vipdv1.ReplaceVipsRequest{Owner: "a", Vips: make([]*vipdv1.VipSpec, 100_001)}, "vips: are 100001 (at most 100000)"},
		{"a BFD session", &vipdv1.AddBfdSessionRequest{Peer: "fe80::1%eth0"}, ""},
		{"a BFD session with nobody", &vipdv1.AddBfdSessionRequest{Local: "\n", Interface: "\n", Profile: "\n", Owner: "\n"},
			"peer: is missing\n" + `local: is "\n", with control characters (write one line of plain text)` + "\n" +
				`interface: is "\n", with control characters (write one line of plain text)` + "\n" +
				`profile: is "\n", with control characters (write one line of plain text)` + "\n" +
				`owner: is "\n" (write 1 to 63 of a-z, 0-9, dot, dash and underscore)`},
		{"no session to remove", &vipdv1.RemoveBfdSessionRequest{}, "id: is missing (write the session's id, or its peer's address)"},
		{"no file", &vipdv1.CheckConfigRequest{}, "file_name: is missing (its ending tells the format: .yaml, .json or .toml)"},
		{"a file", &vipdv1.CheckConfigRequest{FileName: "a b.yaml"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range check(tt.req) {
				got = append(got, v.Field+": "+v.Text)
			}
			if got := strings.Join(got, "\n"); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// nested is sections in sections, n of them in all.
func nested(n int) *structpb.Struct {
	v := structpb.NewStringValue("")
	for i := range n - 1 {
		if i%2 == 0 {
			v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
		} else {
			v = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": v}})
		}
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"a": v}}
}

func TestProblemsAreBounded(t *testing.T) {
	r := &vipdv1.ReplaceVipsRequest{Owner: "a"}
	for i := range 10_000 {
		r.Vips = append(r.Vips, &vipdv1.VipSpec{Name: fmt.Sprint("vip", i)})
	}
	if got := len(check(r)); got != mostProblems {
		t.Errorf("%d problems, want %d", got, mostProblems)
	}
}
