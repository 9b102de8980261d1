package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/internal/daemon"
)

// Flush withdraws what a killed vipd left behind, and nothing of anybody else.
func TestFlushWithdrawsOursOnly(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{vips: []string{vip("web", web, "", b...), vip("other", other, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		w.waitRoute(w.router, w.plain(other))
		v.kill9()
		const operators, neighbors = "198.51.100.1/32", "198.51.100.2/32"
		o := w.operator()
		o.add(operators, 0, 1)
		o.add(neighbors, daemon.Owner("node-2"), 2)
		w.waitRoute(w.router, theirs(operators, 1))
		w.waitRoute(w.router, theirs(neighbors, 2))

		w.wantFlushed("2 routes withdrawn\n")
		w.waitAbsent(w.router, web)
		w.waitAbsent(w.router, other)
		w.wantFlushed("0 routes withdrawn\n")
		o.add(marker, 0, 3)
		w.waitRoute(w.router, theirs(marker, 3))
		w.wantTable(theirs(operators, 1), theirs(neighbors, 2), theirs(marker, 3))

		w.gobgpd.Kill()
		w.vipd("flush").wantExit(1, "vipd: flush: ", w.gobgpd.Target(), "nobody listens")
	})
}

// A vipd that never comes back must not leave a neighbor disabled for ever.
func TestFlushEnablesWhatVipdDisabled(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		v, _ := w.lostUplink(plan{state: w.tmp}, "bfd: fast", "uplinks_lost: keep")
		w.waitAbsent(w.router, web)
		v.waitLog("neighbor disabled")
		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_neighbor_held{neighbor=%q} 1", w.router.Address.String()))
		v.kill9()
		w.wantFlushed("1 routes withdrawn\n")
		if err := w.router.WaitEstablished(w.ctx, w.node); err != nil {
			w.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(w.tmp, "state.json"))
		if err != nil || strings.Contains(string(kept), w.router.Address.String()) {
			w.Errorf("still remembered: %s, %v", kept, err)
		}
	})
}

// With the embedded speaker no route outlives vipd.
func TestFlushHasNothingToDoForTheEmbeddedSpeaker(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		w.write(plan{vips: []string{vip("web", web, "", w.backend("a"))}})
		w.wantFlushed("0 routes withdrawn\n")
	})
}

func (w *world) wantFlushed(stdout string) {
	w.Helper()
	v := w.vipd("flush")
	v.wantExit(0)
	if have := v.stdout.String(); have != stdout {
		w.Errorf("flush printed %q, want %q", have, stdout)
	}
}
