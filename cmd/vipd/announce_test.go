package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

const (
	web    = "192.0.2.10/32"
	other  = "192.0.2.11/32"
	six    = "2001:db8::10/128"
	marker = "192.0.2.99/32"
)

// A VIP appears once its minimum has answered `rise` times, stays while the
// minimum is met, and goes when it is not.
func TestVIPFollowsItsMinimum(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(3)
		asked, release := make(chan struct{}), make(chan struct{})
		b[0].onRequest(func(n int64, _ *http.Request) {
			if n == 3 {
				close(asked)
				<-release
			}
		})
		b[1].kill()
		v := w.run(plan{bgp: `next_hop_ipv6: "2001:db8::1"`, rise: 3, vips: []string{
			vip("web", web, "min_healthy: 2", b...), vip("six", six, "", b[1]),
		}})
		<-asked // two good answers of a are in, of three
		if strings.Contains(v.stderr(), "vip advertised") {
			w.Error("a VIP was advertised before its backends had answered `rise` times")
		}
		w.wantChanges(w.router, 0)
		close(release)
		w.waitRoute(w.router, w.plain(web))

		b[1].start()
		sixth := fmt.Sprintf("%s via 2001:db8::1 path [%d] communities [65535:7]", six, nodeAS)
		w.waitRoute(w.router, sixth)
		from := len(w.router.Updates())
		b[0].kill() // two are left
		v.waitLog("backend down", "backend", "a")
		b[1].kill() // one is
		w.waitAbsent(w.router, six)
		w.waitAbsent(w.router, web)
		b[0].start()
		w.waitRoute(w.router, w.plain(web))
		if have := changes(w.router, from); len(have) != 3 || have[2] != "+"+w.plain(web) {
			w.Errorf("want two withdrawals and one announcement, have %q", have)
		}
	})
}

// Everything that the configuration says of a route is what the router has, and
// each change of it is one UPDATE.
func TestRouterHasWhatIsConfigured(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(3)
		v := w.run(plan{
			bgp: `communities: ["65001:100"], large_communities: ["65001:1:100"], med: 100`,
			vips: []string{vip("web", web, `
				announce: {communities: ["65001:10"], large_communities: ["65001:1:10"], med: 10, as_path_prepend: 1, next_hop: 10.9.9.9},
				link_bandwidth: {per_weight: 8G, settle: 0s},
				degraded: [{below: 2, communities: ["65001:50"], med: 200, as_path_prepend: 2}]`, b...)},
		})
		const full = "path [65001 65001] med 10 communities [65001:10 65001:100 65535:7] large [65001:1:10 65001:1:100]"
		const weak = "path [65001 65001 65001] med 200 communities [65001:10 65001:50 65001:100 65535:7] large [65001:1:10 65001:1:100]"
		at := func(attributes string, bytesPerSecond int) string {
			return fmt.Sprintf("%s via 10.9.9.9 %s bandwidth %d", web, attributes, bytesPerSecond)
		}
		w.waitRoute(w.router, at(full, 3e9))
		v.waitLog("vip advertised", "reason", "3 of 3") // none is unknown any more
		from := len(w.router.Updates())
		b[0].kill()
		w.waitRoute(w.router, at(full, 2e9))
		b[1].kill()
		w.waitRoute(w.router, at(weak, 1e9))
		b[1].start()
		w.waitRoute(w.router, at(full, 2e9))
		w.wantChanges(w.router, from, "+"+at(full, 2e9), "+"+at(weak, 1e9), "+"+at(full, 2e9))
	})
}

// A gobgpd with a configuration file of its own is given routes, and nothing else.
func TestGobgpdWithItsOwnConfiguration(t *testing.T) {
	cast{speakers: gobgptest.Versions(), own: true}.play(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{own: true, vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		for range 2 {
			b[0].kill()
			w.waitAbsent(w.router, web)
			b[0].start()
			w.waitRoute(w.router, w.plain(web))
		}
		if strings.Contains(v.stderr(), "neighbor configured") {
			w.Error("vipd configured a neighbor of a gobgpd that it does not manage")
		}
		w.gobgpd.Kill()
		w.waitAbsent(w.router, web)
		w.gobgpd.Restart()
		w.waitRoute(w.router, w.plain(web))
	})
}
