package daemon

import (
	"net/netip"
	"testing"

	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
)

func TestRouteFor(t *testing.T) {
	med, weakMED, pref := uint32(10), uint32(200), uint32(150)
	v4 := config.VIP{
		Name: "web", Prefix: netip.MustParsePrefix("192.0.2.10/32"),
		Announce: config.Announce{
			Communities: []uint32{65001<<16 | 100}, LargeCommunities: [][3]uint32{{65001, 1, 2}},
			MED: &med, LocalPref: &pref, ASPathPrepend: 1, NextHop4: netip.MustParseAddr("10.0.0.1"),
		},
		Degraded: []config.Degraded{{Announce: config.Announce{MED: &weakMED, ASPathPrepend: 3}}},
	}
	v6 := config.VIP{
		Name: "six", Prefix: netip.MustParsePrefix("2001:db8::10/128"),
		Announce: config.Announce{NextHop4: netip.MustParseAddr("10.0.0.1"), NextHop6: netip.MustParseAddr("2001:db8::1")},
	}
	full := healthloop.Intent{State: healthloop.Advertised, Level: -1}
	weak := full
	weak.Level = 0
	leaving := full
	leaving.GracefulShutdown = true
	stale := full
	stale.Level = 7
	wide := full
	wide.LinkBandwidth = 125e6
	for _, c := range []struct {
		rule string
		vip  config.VIP
		in   healthloop.Intent
		want string
	}{
		{"a healthy VIP carries its own attributes, and NO_LLGR", v4, full,
			"192.0.2.10/32 next-hop 10.0.0.1 med 10 local-pref 150 prepend 1 communities [65001:100 65535:7] large-communities [65001:1:2]"},
		{"a degraded one those of its level", v4, weak, "192.0.2.10/32 med 200 prepend 3 communities [65535:7]"},
		{"a draining one asks to be avoided inside and outside", v4, leaving,
			"192.0.2.10/32 next-hop 10.0.0.1 med 10 local-pref 0 prepend 1 communities [65001:100 65535:0 65535:7] large-communities [65001:1:2]"},
		{"a level that a reload took away counts as none", v4, stale,
			"192.0.2.10/32 next-hop 10.0.0.1 med 10 local-pref 150 prepend 1 communities [65001:100 65535:7] large-communities [65001:1:2]"},
		{"the next hop is of the prefix's family", v6, full, "2001:db8::10/128 next-hop 2001:db8::1 communities [65535:7]"},
		{"capacity is the intent's", v6, wide, "2001:db8::10/128 next-hop 2001:db8::1 communities [65535:7] link-bandwidth 125000000"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if have := routeFor(c.vip, c.in).String(); have != c.want {
				t.Fatalf("\nhave %s\nwant %s", have, c.want)
			}
		})
	}
}
