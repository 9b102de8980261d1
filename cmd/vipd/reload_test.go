package main

import (
	"net/http"
	"strings"
	"testing"
)

// A reload acts where the file differs, and nowhere else: the probe that is
// under way goes on, and a changed attribute is one UPDATE.
func TestReloadActsOnDifferencesOnly(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(2)
		p := plan{vips: []string{vip("web", web, "", b[0]), vip("other", other, "", b[1])}}
		v := w.run(p)
		w.waitRoute(w.router, w.plain(web))
		w.waitRoute(w.router, w.plain(other))

		held, release := make(chan *http.Request), make(chan struct{})
		b[0].onRequest(func(_ int64, r *http.Request) {
			select {
			case held <- r:
				<-release
			case <-release:
			}
		})
		probe := <-held // and one more waits at most: then a second was begun
		asked, from, said := b[0].asked.Load(), len(w.router.Updates()), v.said()
		w.sighup(v, "reloaded")
		p.vips[0] = vip("web", web, "announce: {med: 5}", b[0])
		w.reload(v, p)
		w.waitRoute(w.router, at(w, web, "med 5"))
		w.wantChanges(w.router, from, "+"+at(w, web, "med 5"))
		if b[0].asked.Load() != asked || probe.Context().Err() != nil {
			w.Error("the reload began a second probe, or ended the one under way")
		}
		close(release)

		p.vips = append(p.vips, vip("marker", marker, "", b[1]))
		w.reload(v, p)
		w.waitRoute(w.router, w.plain(marker))
		p.vips = p.vips[1:]
		w.reload(v, p)
		w.waitAbsent(w.router, web)
		w.wantChanges(w.router, from, "+"+at(w, web, "med 5"), "+"+w.plain(marker), "-"+web)
		if text := strings.Join(v.textFrom(said), "\n"); strings.Contains(text, `"vip undecided","vip":"other"`) || strings.Contains(text, "neighbor configured") {
			w.Errorf("the reload touched what was as before:\n%s", text)
		}
	})
}

// A file with problems, and one that asks for what only a start can do, change
// nothing: not even what is right in them.
func TestBadReloadChangesNothing(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(1)
		good := plan{vips: []string{vip("web", web, "", b...)}}
		v := w.run(good)
		w.waitRoute(w.router, w.plain(web))
		w.waitGet("/metrics", 200, "vipd_config_last_reload_success 1")
		from := len(w.router.Updates())

		bad := plan{vips: []string{vip("web", web, "announce: {med: 5}, min_healty: 1", b...)}}
		w.write(bad)
		if l := w.sighup(v, "reload refused"); !strings.Contains(l.text, "the configuration has mistakes") {
			w.Errorf("said %s", l.text)
		}
		v.waitLog("config", "problem", `vips[0].min_healty: unknown key (did you mean "min_healthy"?)`)
		w.waitGet("/metrics", 200, "vipd_config_last_reload_success 0")

		w.writeText("{")
		w.sighup(v, "reload refused")

		listen := w.listen
		w.listen = "127.0.0.1:1"
		w.write(plan{vips: []string{vip("web", web, "announce: {med: 5}", b...)}, bgp: "gobgp_api: v4"})
		w.listen = listen
		if l := w.sighup(v, "reload refused"); !strings.Contains(l.text, "bgp.gobgp_api, http.listen can't change while vipd runs") {
			w.Errorf("said %s", l.text)
		}

		good.vips = append(good.vips, vip("marker", marker, "", b...))
		w.reload(v, good)
		w.waitRoute(w.router, w.plain(marker))
		w.wantChanges(w.router, from, "+"+w.plain(marker))
		w.waitGet("/metrics", 200, "vipd_config_last_reload_success 1")
	})
}
