package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// drained is a route with GRACEFUL_SHUTDOWN (RFC 8326).
func drained(route string) string { return strings.Replace(route, "[65535:7]", "[65535:0 65535:7]", 1) }

// On TERM the network is asked to prefer others, then the route goes, then vipd
// keeps serving for the grace period, and then it exits with 0.
func TestDrainHasItsOrder(t *testing.T) {
	each(t, func(w *world) {
		const phase = 600 * time.Millisecond
		b := w.running(1)
		v := w.run(plan{drain: "{prefer_others: 600ms, grace_period: 600ms}", vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		w.waitGet("/readyz", 200, "")

		from, began := len(w.router.Updates()), time.Now()
		v.signal(syscall.SIGTERM)
		w.waitRoute(w.router, drained(w.plain(web)))
		w.waitGet("/readyz", 503, "draining: terminated")
		w.waitAbsent(w.router, web)
		if v.hasExited() {
			w.Error("vipd did not serve on after the withdrawal")
		}
		v.wantExit(0)
		exited := time.Now()
		w.wantChanges(w.router, from, "+"+drained(w.plain(web)), "-"+web)

		asked, withdrawn := w.told(from, 0), w.told(from, 1)
		w.Logf("GRACEFUL_SHUTDOWN after %s, withdrawn %s later, exit %s later",
			asked.Sub(began), withdrawn.Sub(asked), exited.Sub(withdrawn))
		// What is received has a delay of its own: half of it is left for that.
		if withdrawn.Sub(began) < phase || exited.Sub(withdrawn) < phase/2 || exited.Sub(withdrawn) > 10*phase || exited.Sub(began) < 2*phase {
			w.Error("a phase was not as long as configured")
		}
	})
}

// told is when the router had its n-th change from an update on.
func (w *world) told(from, n int) time.Time {
	w.Helper()
	for _, u := range w.router.Updates()[from:] {
		n -= len(u.Announced) + len(u.Withdrawn)
		if n < 0 {
			return u.At
		}
	}
	w.Fatal("no such change")
	return time.Time{}
}

// An internal router takes no notice of GRACEFUL_SHUTDOWN where it was not told
// to; LOCAL_PREF 0 is for it (RFC 8326 §4). INT drains as TERM does.
func TestDrainReachesInternalRouters(t *testing.T) {
	cast{speakers: append(gobgptest.Versions(), embedded), asn: nodeAS}.play(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{bgp: "local_pref: 200", drain: "{prefer_others: 200ms, grace_period: 0s}", vips: []string{vip("web", web, "", b...)}})
		internal := func(pref string) string {
			return strings.Replace(w.plain(web), "path [65001]", "path [] local-pref "+pref, 1)
		}
		w.waitRoute(w.router, internal("200"))
		from := len(w.router.Updates())
		v.signal(syscall.SIGINT)
		v.wantExit(0)
		w.waitAbsent(w.router, web)
		w.wantChanges(w.router, from, "+"+drained(internal("0")), "-"+web)
	})
}

// A second signal ends the waits, not the withdrawal.
func TestSecondSignalEndsTheWaits(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{drain: "{prefer_others: 1h, grace_period: 1h}", vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		from := len(w.router.Updates())
		v.signal(syscall.SIGTERM)
		w.waitRoute(w.router, drained(w.plain(web)))
		v.signal(syscall.SIGINT)
		v.wantExit(0, "second signal")
		w.waitAbsent(w.router, web)
		w.wantChanges(w.router, from, "+"+drained(w.plain(web)), "-"+web)
	})
}

// A withdrawal that nobody could confirm is no clean stop.
func TestDrainWithoutSpeakerSaysSo(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{drain: "{prefer_others: 0s, grace_period: 1h}", vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		w.gobgpd.Kill()
		v.waitLog("speaker not")
		began := time.Now()
		v.signal(syscall.SIGTERM)
		v.wantExit(1, "vipd: routes may still be announced (vipd flush withdraws them", "nobody listens")
		if took := time.Since(began); took < 4*time.Second || took > 20*time.Second {
			w.Errorf("gave up after %s, want about 5 s", took)
		}
	})
}

// A vipd that has not decided yet has adopted routes; leaving, it takes them along.
func TestDrainWhileUndecidedWithdrawsAdoptedRoutes(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{drain: "{prefer_others: 100ms, grace_period: 0s}", vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		v.kill9()
		asked := make(chan struct{}, 100)
		b[0].onRequest(func(_ int64, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done() // no answer
		})
		from := len(w.router.Updates())
		v = w.again()
		<-asked
		w.wantChanges(w.router, from)
		w.waitGet("/metrics", 200, `vipd_routes{state="installed"} 1`)
		v.signal(syscall.SIGTERM)
		v.wantExit(0)
		w.waitAbsent(w.router, web)
		w.wantChanges(w.router, from, "-"+web)
	})
}
