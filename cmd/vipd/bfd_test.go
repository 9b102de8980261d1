package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// lostUplink tells a story that begins with a router whose BFD died after all
// was well, in a configuration with this neighbor and section bfd.
func (w *world) lostUplink(p plan, neighbor, bfd string) (*process, *bfdPeer) {
	w.Helper()
	peer := w.bfdPeerAt(w.router.Address)
	p.bfd, p.neighbors = w.bfd(bfd), []string{w.neighbor(w.router, neighbor)}
	p.vips = []string{vip("web", web, "", w.running(1)...)}
	v := w.run(p)
	v.waitLog("bfd session Up")
	w.waitRoute(w.router, w.plain(web))
	peer.kill()
	v.waitLog("uplink lost", "neighbor", w.router.Address.String(), "reason", "Control Detection Time Expired")
	return v, peer
}

// A router whose BFD dies is disabled within the detection time, however alive
// its BGP looks, and is used again once BFD is back.
func TestNeighborFollowsItsBFDSession(t *testing.T) {
	each(t, func(w *world) {
		v, peer := w.lostUplink(plan{}, "bfd: fast", "uplinks_lost: keep")
		w.waitAbsent(w.router, web)
		v.waitLog("neighbor disabled")
		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_neighbor_state{neighbor=%q} 1", w.router.Address.String()))
		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_neighbor_held{neighbor=%q} 1", w.router.Address.String()))
		w.waitGet("/metrics", 200, `vipd_uplinks{state="lost"} 1`)

		from := v.said()
		peer.start()
		v.waitLogFrom(from, "uplink back")
		w.waitRoute(w.router, w.plain(web))
		w.wantTable(w.plain(web))
	})
}

// Routes are kept from a router whose BFD died, and its session stays.
func TestRoutesAreWithheldFromALostUplink(t *testing.T) {
	each(t, func(w *world) {
		v, peer := w.lostUplink(plan{}, "bfd: fast, on_bfd_down: withdraw", "uplinks_lost: keep")
		w.waitAbsent(w.router, web)
		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_neighbor_state{neighbor=%q} 6", w.router.Address.String()))
		from := v.said()
		peer.start()
		v.waitLogFrom(from, "uplink back")
		w.waitRoute(w.router, w.plain(web))
	})
}

// A session that goes down because the peer is AdminDown is no failure to BGP (RFC
// 5882 §4.2), which goes on as it is.
func TestPeersAdminDownLeavesItsNeighborAlone(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		peer := w.bfdPeerAt(w.router.Address)
		b := w.running(1)
		p := plan{
			bfd: w.bfd(""), neighbors: []string{w.neighbor(w.router, "bfd: fast")},
			vips: []string{vip("web", web, "", b...)},
		}
		v := w.run(p)
		v.waitLog("bfd session Up")
		w.waitRoute(w.router, w.plain(web))
		from := len(w.router.Updates())
		if err := peer.SetAdmin(w.ctx, peer.key, true, packet.AdministrativelyDown); err != nil {
			w.Fatal(err)
		}
		v.waitLog("bfd session Down", "from", "Up")
		p.vips = append(p.vips, vip("marker", marker, "", b...))
		w.reload(v, p)
		w.waitRoute(w.router, w.plain(marker))
		w.wantChanges(w.router, from, "+"+w.plain(marker))
		w.waitGet("/metrics", 200, `vipd_uplinks{state="lost"} 0`)
	})
}

// With all uplinks lost the VIPs are withdrawn: nobody reaches this node.
func TestVIPsAreWithdrawnWithTheLastUplink(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		v, peer := w.lostUplink(plan{}, "bfd: fast, on_bfd_down: none", "")
		v.waitLog("vip withdrawn", "reason", "0 of 1 uplinks alive")
		w.waitAbsent(w.router, web)
		from := v.said()
		peer.start()
		v.waitLogFrom(from, "vip advertised")
		w.waitRoute(w.router, w.plain(web))
	})
}

// What vipd disabled stays disabled over a crash, and is vipd's to enable.
func TestDisabledNeighborIsRememberedOverACrash(t *testing.T) {
	eachGobgpd(t, func(w *world) {
		v, peer := w.lostUplink(plan{state: w.tmp}, "bfd: fast", "uplinks_lost: keep")
		w.waitAbsent(w.router, web)
		v.waitLog("neighbor disabled")
		v.kill9()
		again := w.vipd("run")
		again.waitLog("uplink lost", "reason", "BFD session down before vipd started")
		peer.start()
		again.waitLog("uplink back")
		w.waitRoute(w.router, w.plain(web))
	})
}

// Without a memory nothing is left disabled by a vipd that leaves.
func TestNeighborIsEnabledBeforeVipdLeavesWithoutAMemory(t *testing.T) {
	cast{speakers: gobgptest.Versions()[1:]}.play(t, func(w *world) {
		v, _ := w.lostUplink(plan{}, "bfd: fast", "uplinks_lost: keep")
		w.waitAbsent(w.router, web)
		v.waitLog("neighbor disabled")
		v.signal(syscall.SIGTERM)
		v.waitLog("neighbor enabled")
		v.wantExit(0)
		if err := w.router.WaitEstablished(w.ctx, w.node); err != nil {
			w.Fatal(err)
		}
	})
}

// A strict neighbor waits for BFD, but not for a router that does not do it.
func TestStrictNeighborWaitsForItsSession(t *testing.T) {
	cast{speakers: append(gobgptest.Versions()[1:], embedded)}.play(t, func(w *world) {
		p := plan{
			bfd: w.bfd(""), neighbors: []string{w.neighbor(w.router, "bfd: fast, bfd_strict: true")},
			vips: []string{vip("web", web, "", w.running(1)...)},
		}
		w.write(p)
		v := w.vipd("run")
		v.waitLog("vip advertised")
		if strings.Contains(v.stderr(), "neighbor configured") {
			w.Error("the speaker was given the neighbor before its session was up")
		}
		peer := w.bfdPeerAt(w.router.Address)
		v.waitLog("bfd session Up")
		w.waitRoute(w.router, w.plain(web))
		v.signal(syscall.SIGTERM)
		v.wantExit(0)

		peer.kill()
		silent := w.vipd("run")
		w.waitRoute(w.router, w.plain(web))
		if strings.Contains(silent.stderr(), "bfd session Up") {
			w.Error("the silent router has a session")
		}
	})
}
