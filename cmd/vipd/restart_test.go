package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A gobgpd that was killed has its routes again, and its neighbors, without
// anybody's hand.
func TestRestartedGobgpdHasItsRoutesAgain(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{bgp: `next_hop_ipv6: "2001:db8::1"`, vips: []string{vip("web", web, "", b...), vip("six", six, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		from := v.said()
		w.gobgpd.Kill()
		w.waitAbsent(w.router, web)
		v.waitLogFrom(from, "speaker not")
		w.waitGet("/readyz", 503, "speaker")
		w.gobgpd.Restart()
		w.waitRoute(w.router, w.plain(web))
		w.waitRoute(w.router, strings.Replace(w.plain(six), w.node.String(), "2001:db8::1", 1))
		w.waitGet("/readyz", 200, "")
	})
}

// A vipd that was killed and comes back causes no UPDATE. The router is told in
// order, so all that it was told before the marker is what vipd caused.
func TestRestartedVipdIsSilent(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b, late := w.running(2), w.backend("late")
		v := w.run(plan{bgp: "med: 7", vips: []string{
			vip("web", web, "min_healthy: 2", b...), vip("other", other, "", b[1]), vip("marker", marker, "", late),
		}})
		w.waitRoute(w.router, at(w, web, "med 7"))
		w.waitRoute(w.router, at(w, other, "med 7"))
		v.kill9()

		release := make(chan struct{})
		for _, one := range b {
			one.onRequest(func(int64, *http.Request) { <-release })
		}
		from := len(w.router.Updates())
		v = w.again()
		w.waitGet("/readyz", 200, "")
		w.waitGet("/metrics", 200, `vipd_vip_backends{state="unknown",vip="web"} 2`)
		w.waitGet("/metrics", 200, `vipd_vip_advertised{vip="web"} 1`) // undecided, and its route is kept
		close(release)
		v.waitLog("vip advertised", "vip", "web")
		v.waitLog("vip advertised", "vip", "other")
		late.start()
		w.waitRoute(w.router, at(w, marker, "med 7"))
		w.wantChanges(w.router, from, "+"+at(w, marker, "med 7"))
		if strings.Contains(v.stderr(), "neighbor configured") {
			w.Error("the restarted vipd wrote to a neighbor that was as wanted")
		}
	})
}

// A new life changes only what must change: a VIP that is not configured any
// more goes, so does one whose backends died meanwhile, and the others stay.
func TestRestartedVipdPutsRightWhatChangedMeanwhile(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b := w.running(2)
		gone := "192.0.2.12/32"
		vips := []string{vip("web", web, "", b[0]), vip("other", other, "", b[1]), vip("gone", gone, "", b[0])}
		v := w.run(plan{vips: vips})
		for _, prefix := range []string{web, other, gone} {
			w.waitRoute(w.router, w.plain(prefix))
		}
		v.kill9()
		b[1].kill()

		from := len(w.router.Updates())
		w.run(plan{vips: vips[:2]})
		w.waitAbsent(w.router, gone)
		w.waitAbsent(w.router, other)
		have := changes(w.router, from)
		slices.Sort(have) // the order is nobody's concern
		if want := []string{"-" + other, "-" + gone}; !slices.Equal(have, want) {
			w.Errorf("the router was told %q, want %q", have, want)
		}
	})
}

// A gobgpd may be upgraded under a running vipd, or the other way round.
func TestGobgpdIsUpgradedUnderVipd(t *testing.T) {
	cast{speakers: []string{"3.37.0", "4.8.0"}}.play(t, func(w *world) {
		next := map[string]string{"3.37.0": "4.8.0", "4.8.0": "3.37.0"}[w.speaker]
		b := w.running(1)
		v := w.run(plan{vips: []string{vip("web", web, "", b...)}})
		v.waitLog("speaker connected", "api", "v"+w.speaker[:1])
		w.waitRoute(w.router, w.plain(web))
		w.gobgpd.Kill()
		w.waitAbsent(w.router, web)
		w.gobgpd.Replace(next)
		v.waitLog("speaker connected", "api", "v"+next[:1])
		w.waitRoute(w.router, w.plain(web))
		b[0].kill()
		w.waitAbsent(w.router, web)
	})
}
