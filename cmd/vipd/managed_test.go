package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// Each neighbor has what its export says, and a neighbor that the configuration
// has no more is gone.
func TestNeighborsHaveWhatTheirExportSays(t *testing.T) {
	cast{speakers: append(gobgptest.Versions(), embedded), routers: 2}.play(t, func(w *world) {
		const net2 = "198.51.100.1/32"
		b, late := w.running(1), w.backend("late")
		first := w.neighbor(w.routers[0],
			`export: {allow: [192.0.2.0/24], communities: ["65000:200"], large_communities: ["65000:2:200"], med: 50, as_path_prepend: 1}`)
		second := w.neighbor(w.routers[1], `export: {deny: [192.0.2.0/24]}`)
		p := plan{bgp: "med: 7", neighbors: []string{first, second}, vips: []string{
			vip("web", web, "", b...), vip("net2", net2, "", b...), vip("marker", marker, "", late), vip("marker2", "198.51.100.99/32", "", late),
		}}
		exported := func(prefix string) string {
			return fmt.Sprintf("%s via %s path [65001 65001] med 50 communities [65000:200 65535:7] large [65000:2:200]", prefix, w.node)
		}
		v := w.run(p)
		w.waitRoute(w.routers[0], exported(web))
		w.waitRoute(w.routers[1], at(w, net2, "med 7"))
		late.start()
		w.waitRoute(w.routers[0], exported(marker))
		w.waitRoute(w.routers[1], at(w, "198.51.100.99/32", "med 7"))
		w.wantTable(exported(web), exported(marker))
		if have := len(w.routers[1].Routes()); have != 2 {
			w.Errorf("the second router has %q", table(w.routers[1]))
		}

		stayed := w.watchSession(w.routers[0])
		p.neighbors = p.neighbors[:1]
		w.reload(v, p)
		gone := func() bool { return !w.routers[1].Established(w.node) && len(w.routers[1].Routes()) == 0 }
		if err := w.routers[1].Wait(w.ctx, gone); err != nil {
			w.Fatalf("the second neighbor stayed: %v", err)
		}
		v.waitLog("neighbor configured", "op", "delete")
		// A changed policy of GoBGP 3 may need a new session to act.
		if !stayed() {
			w.Error("the session with the first neighbor was reset, though nothing changed for it")
		}
		w.waitRoute(w.router, exported(web))
		w.waitRoute(w.router, exported(marker))
		w.wantTable(exported(web), exported(marker))
	})
}

// watchSession watches a router's session until stayed is called, which tells
// whether it was there all the while.
func (w *world) watchSession(r *gobgptest.Router) (stayed func() bool) {
	ctx, cancel := context.WithCancel(w.ctx)
	w.Cleanup(cancel)
	lost := make(chan error, 1)
	go func() { // ends with stayed, or with the test
		lost <- r.Wait(ctx, func() bool { return !r.Established(w.node) })
	}()
	return func() bool {
		cancel()
		return <-lost != nil
	}
}

// A session has the password of the file (RFC 2385), which nobody else is told.
func TestPasswordOfANeighbor(t *testing.T) {
	cast{speakers: append(gobgptest.Versions(), embedded), password: "correct horse"}.play(t, func(w *world) {
		file := filepath.Join(w.dir, "password")
		if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
			w.Fatal(err)
		}
		v := w.run(plan{
			neighbors: []string{w.neighbor(w.router, "password_file: password")},
			vips:      []string{vip("web", web, "", w.running(1)...)},
		})
		w.waitRoute(w.router, w.plain(web))
		if strings.Contains(v.stderr(), "horse") {
			w.Error("the password is in the log")
		}
	})
}
