package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// BFD stays up while the speaker beside vipd restarts: the router must not think
// that the path failed (RFC 5882 §4.3.1).
func TestBFDOutlivesTheSpeaker(t *testing.T) {
	cast{speakers: gobgptest.Versions()[1:]}.play(t, func(w *world) {
		peer := w.bfdPeerAt(w.router.Address)
		v := w.run(plan{
			bfd: w.bfd(""), neighbors: []string{w.neighbor(w.router, "bfd: fast")},
			vips: []string{vip("web", web, "", w.running(1)...)},
		})
		v.waitLog("bfd session Up")
		w.waitRoute(w.router, w.plain(web))
		from := v.said()
		w.gobgpd.Kill()
		v.waitLogFrom(from, "speaker not usable")
		w.gobgpd.Replace(w.speaker)
		v.waitLogFrom(from, "speaker connected")
		w.waitRoute(w.router, w.plain(web))
		peer.wantSteady()
	})
}

// A reload changes timers by a poll sequence, adds and removes sessions, and
// those that stay as they are hear nothing of it.
func TestReloadOfSessions(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		stays, added := w.bfdPeerAt(w.node.Next()), w.bfdPeerAt(w.node.Next().Next())
		up := func(p *bfdPeer) []string { return []string{"peer", p.address.String()} }
		p := plan{bfd: w.bfd("sessions: [" + w.bfdSession(stays) + "]")}
		v := w.run(p)
		v.waitLog("bfd session Up", up(stays)...)

		p.bfd = w.bfd("sessions: [" + w.bfdSession(stays) + ", " + w.bfdSession(added) + "]")
		w.reload(v, p)
		v.waitLog("bfd session Up", up(added)...)
		if strings.Contains(v.stderr(), "bfd session changed") {
			w.Error("a session was touched that did not change")
		}

		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_bfd_session_detection_seconds{peer=%q} 1.6", stays.address.String()))
		p.bfd = w.bfdAt(2*bfdInterval, "sessions: ["+w.bfdSession(stays)+"]")
		from := v.said()
		w.reload(v, p)
		v.waitLogFrom(from, "bfd session changed", up(stays)...)
		v.waitLogFrom(from, "bfd session removed", up(added)...)
		// The peer may send each 200 ms, but vipd takes a packet each 400 ms only.
		w.waitGet("/metrics", 200, fmt.Sprintf("vipd_bfd_session_detection_seconds{peer=%q} 3.2", stays.address.String()))
		stays.wantSteady()
		if s, _ := added.Session(added.key); s.Downs != 1 || s.RemoteDiag.String() != "Administratively Down" {
			w.Errorf("the peer of the removed session heard %s, and counts %d failures", s.RemoteDiag, s.Downs)
		}
	})
}

// A reload that takes BFD's port from somebody else is refused as a whole.
func TestReloadThatCanNotListenIsRefused(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		peer := w.bfdPeer()
		p := plan{}
		v := w.run(p)
		p.bfd = fmt.Sprintf("listen: [%s], profiles: {fast: {}}, sessions: [{peer: %s, profile: fast}]", peer.address, w.node)
		w.write(p)
		if l := w.sighup(v, "reload refused"); !strings.Contains(l.text, "is taken") {
			w.Errorf("said %s", l.text)
		}
		peer.kill()
		w.sighup(v, "reloaded")
		p.bfd = w.bfd("sessions: [" + w.bfdSession(peer) + "]")
		w.write(p)
		if l := w.sighup(v, "reload refused"); !strings.Contains(l.text, "bfd.listen can't change while vipd runs") {
			w.Errorf("said %s", l.text)
		}
	})
}

// A backend whose host is gone for BFD is down, though its check is still good.
func TestBackendIsDownWithItsSessionBesidesTheCheck(t *testing.T) {
	cast{speakers: []string{embedded}}.play(t, func(w *world) {
		b := w.running(1)
		peer := w.bfdPeerAt(w.node.Next())
		b[0].rehost(peer.address)
		v := w.run(plan{
			bfd: w.bfd(""), checks: fmt.Sprintf("both: {kind: http, interval: 50ms, rise: 1, bfd: alive}\n  alive: {kind: bfd, profile: fast, local: %s}", w.node),
			vips: []string{strings.Replace(vip("web", web, "", b...), "check: web", "check: both", 1)},
		})
		w.waitRoute(w.router, w.plain(web)) // perhaps before the session is up
		v.waitLog("bfd session Up")
		peer.kill()
		v.waitLog("backend down", "reason", "bfd "+b[0].address+": Down: Control Detection Time Expired")
		w.waitAbsent(w.router, web)
		peer.start()
		w.waitRoute(w.router, w.plain(web))
	})
}
