package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/definitions"
)

// wishes records the last wish for each prefix.
type wishes map[string]string

func (w wishes) Set(r bgpclient.Route)   { w[r.Prefix.String()] = "set" + fmt.Sprint(r.Prepend) }
func (w wishes) Keep(p netip.Prefix)     { w[p.String()] = "keep" }
func (w wishes) Withdraw(p netip.Prefix) { w[p.String()] = "withdraw" }
func (w wishes) Forget(p netip.Prefix)   { w[p.String()] = "forget" }

func vip(name, prefix string, prepend uint8) config.VIP {
	return config.VIP{Name: name, Prefix: netip.MustParsePrefix(prefix), Announce: config.Announce{ASPathPrepend: prepend}}
}

func intent(s healthloop.State) healthloop.Intent { return healthloop.Intent{State: s, Level: -1} }

func TestSink(t *testing.T) {
	const p1, p2 = "192.0.2.1/32", "192.0.2.2/32"
	for _, c := range []struct {
		rule string
		do   func(*sink)
		want wishes
	}{
		{"a configured VIP is kept until it is decided", func(s *sink) {}, wishes{p1: "keep"}},
		{"an advertised one is set", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
		}, wishes{p1: "set0"}},
		{"a withdrawn one is withdrawn", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.Intent("a", intent(healthloop.Withdrawn))
		}, wishes{p1: "withdraw"}},
		{"new attributes act without a new decision", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage([]config.VIP{vip("a", p1, 2)})
			s.commit()
		}, wishes{p1: "set2"}},
		{"a new prefix takes the decision over, the old one is forgotten", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage([]config.VIP{vip("a", p2, 0)})
			s.commit()
		}, wishes{p1: "forget", p2: "set0"}},
		{"but not one that the loop takes back for what the VIP is now", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage([]config.VIP{vip("a", p2, 0)})
			s.Intent("a", intent(healthloop.Advertised)) // still of what it was
			s.Intent("a", intent(healthloop.Undecided))
			s.commit()
		}, wishes{p1: "forget", p2: "keep"}},
		{"nothing is announced before all is decided", func(s *sink) {
			s.stage([]config.VIP{vip("a", p2, 0)})
			s.Intent("a", intent(healthloop.Advertised))
		}, wishes{p1: "keep"}},
		{"a decided VIP that is undecided again stays as it was", func(s *sink) {
			s.Intent("a", intent(healthloop.Withdrawn))
			s.Intent("a", intent(healthloop.Undecided))
		}, wishes{p1: "withdraw"}},
		{"a level's place means nothing in other levels", func(s *sink) {
			weak := intent(healthloop.Advertised)
			weak.Level = 0
			s.Intent("a", weak)
			v := vip("a", p1, 0)
			v.Degraded = []config.Degraded{{Announce: config.Announce{ASPathPrepend: 9}}}
			s.stage([]config.VIP{v})
			s.Intent("a", intent(healthloop.Undecided))
			s.commit()
		}, wishes{p1: "set0"}},
		{"a removed VIP stays until the loop says so", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage(nil)
			s.commit()
		}, wishes{p1: "set0"}},
		{"and is forgotten then", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage(nil)
			s.Removed("a")
			s.commit()
		}, wishes{p1: "forget"}},
		{"a prefix that went to another VIP is that one's", func(s *sink) {
			s.Intent("a", intent(healthloop.Advertised))
			s.stage([]config.VIP{vip("b", p1, 0)})
			s.Intent("b", intent(healthloop.Withdrawn))
			s.Intent("a", intent(healthloop.Advertised))
			s.Removed("a")
			s.commit()
		}, wishes{p1: "withdraw"}},
		{"two VIPs may swap prefixes", func(s *sink) {
			s.stage([]config.VIP{vip("a", p1, 0), vip("b", p2, 0)})
			s.commit()
			s.Intent("a", intent(healthloop.Advertised))
			s.Intent("b", intent(healthloop.Withdrawn))
			s.stage([]config.VIP{vip("a", p2, 0), vip("b", p1, 0)})
			s.commit()
		}, wishes{p1: "withdraw", p2: "set0"}},
		{"a VIP that nobody configured is nothing", func(s *sink) {
			s.Intent("x", intent(healthloop.Advertised))
			s.Removed("x")
		}, wishes{p1: "keep"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			have := wishes{}
			s := newSink(have, zap.NewNop(), func(*vipdv1.Event) {}, func(string) definitions.VIP { return definitions.VIP{} })
			s.stage([]config.VIP{vip("a", p1, 0)})
			s.commit()
			c.do(s)
			if !maps.Equal(have, c.want) {
				t.Fatalf("have %v, want %v", have, c.want)
			}
		})
	}
}
