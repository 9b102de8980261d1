package gobgp_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// sent asks until the answer fits: a neighbor is told, and then shown, in time.
func (v *vipd) sent(t *testing.T, p netip.Prefix, fits func([]bgpclient.Sent) bool) []bgpclient.Sent {
	t.Helper()
	for ctx := bounded(t); ; {
		s, err := v.Sent(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		if fits(s) {
			return s
		}
		if ctx.Err() != nil {
			t.Fatalf("have %+v", s)
		}
	}
}

func word(s bgpclient.Sent) string {
	switch {
	case s.Sent:
		return "sent"
	case s.Filtered:
		return "filtered"
	case s.Err != "":
		return "not: " + s.Err
	}
	return "nothing"
}

// ours tells our path from an operator's.
func ours(r bgpclient.Route) func(gobgptest.Route) bool {
	return func(have gobgptest.Route) bool { return have.NextHop == r.NextHop }
}

// A kind of neighbor, and what it is sent of three routes: one that is ours
// alone, one that an operator has put too, and one of IPv6.
type kind struct {
	name   string
	change func(*bgpclient.Neighbor)
	want   [3]string
	router *gobgptest.Router
}

func kinds(t *testing.T, s speaker) ([]kind, *bgpclient.Management) {
	surplus := "not: "
	if s.name == "3.10" { // it sends all
		surplus = "sent"
	}
	list := []kind{
		{name: "plain", want: [3]string{"sent", "sent", "sent"}},
		{name: "with a filter", want: [3]string{"sent", "filtered", "filtered"}},
		{name: "withheld", want: [3]string{"filtered", "filtered", "filtered"}},
		{name: "several paths, and room for one", change: func(n *bgpclient.Neighbor) { n.AddPathsSendMax = 1 }, want: [3]string{"sent", surplus, "sent"}},
		{name: "several paths", change: func(n *bgpclient.Neighbor) { n.AddPathsSendMax = 2 }, want: [3]string{"sent", "sent", "sent"}},
		{name: "IPv6 only", change: func(n *bgpclient.Neighbor) { n.IPv4 = false }, want: [3]string{"not: ", "not: ", "sent"}},
	}
	m := &bgpclient.Management{Global: bgpclient.Global{
		ASN: localAS, RouterID: netip.MustParseAddr("10.0.0.1"), ListenPort: int(s.port), ListenAddresses: []netip.Addr{loopback},
	}}
	for i, k := range list {
		r, n := routerOn(t, s, fmt.Sprintf("127.0.0.%d", 2+i), func(p *gobgptest.Peer) { p.AddPaths = strings.HasPrefix(k.name, "several") })
		if k.change != nil {
			k.change(&n)
		}
		list[i].router, m.Neighbors = r, append(m.Neighbors, n)
	}
	away := m.Neighbors[0]
	away.Address = netip.MustParseAddr("127.0.0.99")
	m.Neighbors = append(m.Neighbors, away)
	return list, m
}

// The answer is what each router has in the end.
func TestSentIsWhatTheRouterHas(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		mine, both, v6 := route("198.51.100.1/32", nil), route("198.51.100.2/32", nil), route("2001:db8:1::1/128", nil)
		list, m := kinds(t, s)
		m.Export = []bgpclient.ExportRule{
			{Neighbor: m.Neighbors[0].Address, MED: pointer(5)},
			{Neighbor: m.Neighbors[1].Address, Prefixes: []netip.Prefix{mine.Prefix}, Invert: true, Reject: true},
		}
		c := startedWith(t, s, false)
		v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) {
			v.Hold(m.Neighbors[2].Address, bgpclient.Hold{Withhold: true})
			v.Manage(m)
		})
		for _, k := range list {
			established(t, k.router)
		}
		nothing := func(list []bgpclient.Sent) bool {
			return !slices.ContainsFunc(list, func(s bgpclient.Sent) bool { return s.Sent || s.Filtered })
		}
		if have := v.sent(t, mine.Prefix, func(s []bgpclient.Sent) bool { return len(s) == len(list) }); !nothing(have) {
			t.Errorf("before there is a route: %+v", have)
		}
		putByOperator(t, c.API(), s.target, both.Prefix)
		await(t, list[3].router, both.Prefix, nil)
		await(t, list[4].router, both.Prefix, nil)
		for _, r := range []bgpclient.Route{mine, both, v6} {
			v.Set(r)
			if err := v.Shown(bounded(t), r.Prefix); err != nil {
				t.Fatal(err)
			}
		}
		wantSent(t, v, list, m, mine, both, v6)
		v.Withdraw(mine.Prefix)
		absent(t, list[0].router, mine.Prefix)
		v.sent(t, mine.Prefix, nothing)
		// Of a session that is over GoBGP tells what it told of it before.
		list[0].router.Close()
		v.sent(t, v6.Prefix, func(s []bgpclient.Sent) bool { return len(s) == len(list)-1 && s[0].Neighbor == m.Neighbors[1].Address })
	})
}

func wantSent(t *testing.T, v *vipd, list []kind, m *bgpclient.Management, routes ...bgpclient.Route) {
	t.Helper()
	kept := map[*gobgptest.Router][]bgpclient.Route{}
	for at, r := range routes {
		for i, s := range v.sent(t, r.Prefix, func(s []bgpclient.Sent) bool { return len(s) == len(list) }) {
			k := list[i]
			if w := word(s); s.Neighbor != m.Neighbors[i].Address || !strings.HasPrefix(w, k.want[at]) {
				t.Errorf("%s: %s, %s; want %s", r.Prefix, k.name, w, k.want[at])
			}
			if s.Sent {
				await(t, k.router, r.Prefix, ours(r))
			} else {
				kept[k.router] = append(kept[k.router], r)
			}
		}
	}
	// What came last has come: so what is not there was not sent.
	for router, list := range kept {
		for _, r := range list {
			if slices.ContainsFunc(router.Of(r.Prefix), ours(r)) {
				t.Errorf("%s has it: %+v", router.Address, router.Of(r.Prefix))
			}
		}
	}
}

// GoBGP takes the speaker's own AS for a loop, and 3.10 lists the route though
// it is not sent.
func TestInternalNeighborIsSentNoPrependedRoute(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		r, err := gobgptest.StartRouter(bounded(t), gobgptest.RouterOptions{ASN: localAS, Address: netip.MustParseAddr("127.0.0.2")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		if err := r.Accept(bounded(t), gobgptest.Peer{Address: loopback, ASN: localAS, Port: s.port}); err != nil {
			t.Fatal(err)
		}
		connect(t, started(t, s), r, bgpclient.Neighbor{Address: r.Address, ASN: localAS, LocalAddress: loopback, IPv4: true, Passive: true})
		prepended, plain := route("198.51.100.1/32", func(r *bgpclient.Route) { r.Prepend = 1 }), route("198.51.100.2/32", nil)
		v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) { v.Set(prepended) })
		if err := v.Shown(bounded(t), prepended.Prefix); err != nil {
			t.Fatal(err)
		}
		v.Set(plain)
		await(t, r, plain.Prefix, nil)
		for prefix, want := range map[netip.Prefix]string{plain.Prefix: "sent", prepended.Prefix: "not: GoBGP takes the AS"} {
			have := v.sent(t, prefix, func(s []bgpclient.Sent) bool { return len(s) == 1 })
			if !strings.HasPrefix(word(have[0]), want) || (len(r.Of(prefix)) == 1) != have[0].Sent {
				t.Errorf("%+v; the router has %+v", have, r.Of(prefix))
			}
		}
	})
}

// gobgpd -r with neighbors in its file waits for all of them.
func TestNothingIsSentWhileTheSpeakerDefers(t *testing.T) {
	for _, version := range gobgptest.Versions() {
		t.Run(version, func(t *testing.T) {
			s := speaker{name: version, port: freePort(t)}
			r, n := routerOn(t, s, "127.0.0.2", func(p *gobgptest.Peer) { p.GracefulRestart, p.Port = 20, s.port })
			var b strings.Builder
			fmt.Fprintf(&b, "[global.config]\nas = %d\nrouter-id = \"10.0.0.1\"\nport = %d\nlocal-address-list = [%q]\n", localAS, s.port, loopback)
			for _, a := range []string{n.Address.String(), "127.0.0.99"} {
				fmt.Fprintf(&b, "[[neighbors]]\n[neighbors.config]\nneighbor-address = %q\npeer-as = %d\n", a, routerAS)
				fmt.Fprintf(&b, "[neighbors.transport.config]\npassive-mode = true\nlocal-address = %q\n", loopback)
				fmt.Fprint(&b, "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 20\ndeferral-time = 3\n")
				fmt.Fprint(&b, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"ipv4-unicast\"\n")
				fmt.Fprint(&b, "[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n")
			}
			file := filepath.Join(t.TempDir(), "gobgpd.toml")
			if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			s.target = gobgptest.Start(t, version, "-r", "-f", file).Target()
			in := route("198.51.100.1/32", nil)
			v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) { v.Set(in) })
			established(t, r)
			began := time.Now()
			first := v.sent(t, in.Prefix, func(s []bgpclient.Sent) bool { return len(s) == 1 })[0]
			if version != "3.37.0" && (first.Sent || !strings.Contains(first.Err, "restarted") || len(r.Routes()) > 0) { // it was not seen to wait
				t.Errorf("%+v, %+v", first, r.Routes())
			}
			v.sent(t, in.Prefix, func(s []bgpclient.Sent) bool { return len(s) == 1 && s[0].Sent })
			await(t, r, in.Prefix, nil)
			t.Logf("%+v for %v", first, time.Since(began))
		})
	}
}
