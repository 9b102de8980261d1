package control

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// FuzzUnary sends any bytes to any method. Nothing panics, what reaches the node
// keeps the promises of Node, and what does not is answered as the API says.
func FuzzUnary(f *testing.F) {
	methods := vipdv1.VipService_ServiceDesc.Methods
	for i := range methods {
		for _, m := range []proto.Message{
			&vipdv1.SetOverrideRequest{Vip: "web", Word: "withdraw", Reason: "r", Ttl: durationpb.New(time.Second)},
			&vipdv1.ReplaceVipsRequest{Owner: "lb", Vips: []*vipdv1.VipSpec{{Name: "a", Prefix: "::1", Announce: nested(17)}}},
			&vipdv1.UpsertVipRequest{Vip: &vipdv1.VipSpec{Name: "a", Prefix: "::1", HoldDown: durationpb.New(-1)}, Owner: "lb"},
			&vipdv1.ListVipsRequest{Search: "a", PageSize: 2000, PageToken: "*", Fresh: true},
			&vipdv1.CheckConfigRequest{FileName: "a.yaml", Content: []byte("vips: []")},
		} {
			wire, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), wire)
		}
	}
	f.Fuzz(func(t *testing.T, method uint8, wire []byte) {
		l := defaultLimits()
		l.mutations, l.burst = 1e9, 1e9
		r := newRig(Options{}, l)
		r.board.PutVIP(vip(1, "a"))
		r.node.seen = func(req any) { promised(t, req) }
		ctx := peer.NewContext(context.Background(), &peer.Peer{AuthInfo: alice()})
		m := methods[int(method)%len(methods)]
		parsed := true
		_, err := m.Handler(service{s: r.Server}, ctx, func(req any) error {
			err := proto.Unmarshal(wire, req.(proto.Message))
			parsed = err == nil
			return err
		}, r.unary)
		if !parsed {
			return
		}
		st := status.Convert(err)
		switch st.Code() {
		case codes.OK:
		case codes.InvalidArgument:
			if calls := r.node.called(); len(calls) > 0 || len(st.Details()) != 1 || st.Message() == "" {
				t.Errorf("%s: %v with details %v, and the node was asked %q", m.MethodName, err, st.Details(), calls)
			}
		default:
			t.Errorf("%s: %v", m.MethodName, err)
		}
		if size := encoded(st.Message()) + proto.Size(st.Proto())*4/3; size > 8<<10 || !utf8.ValidString(st.Message()) {
			t.Errorf("%s: an error of %d bytes: %q", m.MethodName, size, st.Message())
		}
	})
}

// promised checks in other words what Node says of requests.
func promised(t *testing.T, req any) {
	t.Helper()
	fail := func(what string) { t.Errorf("the node got %s: %v", what, req) }
	if vip, ok := req.(string); ok && vip == "" {
		fail("no VIP")
	}
	if r, ok := req.(interface{ GetReason() string }); ok {
		if utf8.RuneCountInString(r.GetReason()) > 200 || strings.ContainsFunc(r.GetReason(), unicode.IsControl) {
			fail("a bad reason")
		}
	}
	if r, ok := req.(interface{ GetTtl() *durationpb.Duration }); ok && r.GetTtl() != nil {
		if d := r.GetTtl(); !d.IsValid() || d.AsDuration() <= 0 || d.AsDuration() > 366*24*time.Hour {
			fail("a bad ttl")
		}
	}
	if r, ok := req.(interface{ GetOwner() string }); ok {
		if o := r.GetOwner(); len(o) > 63 || strings.Trim(o, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			fail("a bad owner")
		}
	}
	var specs []*vipdv1.VipSpec
	switch r := req.(type) {
	case *vipdv1.SetOverrideRequest:
		if r.Vip == "" || r.Word != "advertise" && r.Word != "withdraw" && r.Word != "auto" {
			fail("a bad override")
		}
	case *vipdv1.UpsertVipRequest:
		specs = append(specs, r.Vip)
	case *vipdv1.ReplaceVipsRequest:
		specs = r.Vips
		if r.Owner == "" {
			fail("no owner")
		}
	}
	for _, s := range specs {
		if s == nil || s.Name == "" || s.Prefix == "" || s.HoldDown.AsDuration() < 0 {
			fail("a bad VIP")
		}
	}
}
