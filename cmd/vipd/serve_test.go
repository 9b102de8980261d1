package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A second vipd with the same configuration ends before it touches a route.
func TestSecondVipdTouchesNothing(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b, late := w.running(1), w.backend("late")
		p := plan{vips: []string{vip("web", web, "", b...), vip("marker", marker, "", late)}}
		w.run(p)
		w.waitRoute(w.router, w.plain(web))
		from := len(w.router.Updates())
		w.write(plan{vips: []string{vip("other", other, "", b...)}}) // it would withdraw web
		w.vipd("run").wantExit(1, "vipd: ", "http.listen", w.listen, "address already in use")
		late.start()
		w.waitRoute(w.router, w.plain(marker))
		w.wantChanges(w.router, from, "+"+w.plain(marker))
	})
}

// A running vipd exports every metric that the docs name, and no other.
func TestMetricsAreThoseOfTheDocs(t *testing.T) {
	each(t, func(w *world) {
		peer := w.bfdPeer()
		v := w.run(plan{
			vips: []string{
				vip("web", web, "", append(w.running(1), w.backend("down"))...), vip("other", other, "", w.backend("away")),
			},
			state: w.tmp, hooks: "{exec: [/bin/true]}",
			bfd: w.bfd("sessions: [" + w.bfdSession(peer) + "]"),
		})
		v.waitLog("bfd session Up")
		w.waitRoute(w.router, w.plain(web))
		v.waitLog("backend down")
		w.override("other", "withdraw")
		w.waitGet("/metrics", 200, "vipd_vip_override{")
		w.waitGet("/metrics", 200, "vipd_neighbor_messages_total")
		w.waitGet("/metrics", 200, "vipd_neighbor_state{neighbor=\""+w.router.Address.String()+"\"} 6")
		w.waitGet("/metrics", 200, "vipd_decision_to_rib_seconds_count 1")
		docs, err := os.ReadFile("../../docs/metrics.md")
		if err != nil {
			w.Fatal(err)
		}
		_, body := w.get("/metrics")
		want, have := map[string]bool{}, map[string]bool{}
		for _, m := range regexp.MustCompile("(?m)^\\| `(vipd_[a-z_]+)` \\|").FindAllStringSubmatch(string(docs), -1) {
			want[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (vipd_[a-z_]+) `).FindAllStringSubmatch(body, -1) {
			have[m[1]] = true
			if !want[m[1]] {
				w.Errorf("%s is not in the docs", m[1])
			}
		}
		for name := range want {
			if !have[name] && name != "vipd_vip_held_down" { // which is there only while one is
				w.Errorf("%s is not exported", name)
			}
		}
		for _, line := range []string{
			`vipd_vip_advertised{vip="web"} 1`, `vipd_vip_backends{state="healthy",vip="web"} 1`,
			`vipd_vip_backends{state="unhealthy",vip="web"} 1`, `vipd_vip_transitions_total{to="advertised",vip="web"} 1`,
			`vipd_backend_up{backend="a",vip="web"} 1`, `vipd_backend_up{backend="down",vip="web"} 0`,
			`vipd_check_failures_total{backend="down",reason="refused",vip="web"} `, `vipd_routes{state="wanted"} 1`,
			`vipd_bfd_session_state{peer="` + peer.address.String() + `"} 3`, `vipd_bfd_packets_dropped_total{reason="bad_ttl"} 0`,
			`vipd_routes{state="installed"} 1`, `vipd_routes{state="foreign"} 0`, `vipd_speaker_up 1`, `vipd_draining 0`,
		} {
			if !strings.Contains(body, "\n"+line) {
				w.Errorf("no line %s in\n%s", line, body)
			}
		}
	})
}
