package main

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// A manager is the other side of sd_notify(3).
type manager struct {
	w    *world
	conn *net.UnixConn
	path string
}

func (w *world) manager() manager {
	w.Helper()
	path := filepath.Join(shortDir(w.T), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return manager{w, conn, path}
}

// next is the next message but pings.
func (m manager) next() string {
	m.w.Helper()
	for {
		if s := m.any(); s != "WATCHDOG=1" {
			return s
		}
	}
}

func (m manager) any() string {
	m.w.Helper()
	deadline, _ := m.w.ctx.Deadline()
	if err := m.conn.SetReadDeadline(deadline); err != nil {
		m.w.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := m.conn.Read(b)
	if err != nil {
		m.w.Fatalf("vipd told the service manager nothing: %v", err)
	}
	return string(b[:n])
}

func (m manager) want(prefix string) {
	m.w.Helper()
	if s := m.next(); !strings.HasPrefix(s, prefix) {
		m.w.Fatalf("vipd told the service manager %q, want %q", s, prefix)
	}
}

// wantSilence wants nothing to be told for a moment.
func (m manager) wantSilence() {
	m.w.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		m.w.Fatal(err)
	}
	b := make([]byte, 4096)
	if n, err := m.conn.Read(b); err == nil {
		m.w.Errorf("vipd told the service manager %q too early", b[:n])
	}
}

// The service manager hears that vipd is ready when the speaker's table was
// compared, of reloads and of the end; and a ping while the loops go round.
func TestServiceManagerIsTold(t *testing.T) {
	each(t, func(w *world) {
		m := w.manager()
		w.write(plan{vips: []string{vip("web", web, "", w.running(1)...)}})
		if w.gobgpd != nil {
			w.gobgpd.Kill()
		}
		v := w.vipd("run", "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=200000")
		if w.gobgpd != nil { // without a speaker vipd is alive, and not ready
			v.waitLog("vip advertised")
			v.waitLog("speaker not")
			m.wantSilence()
			w.gobgpd.Restart()
		}
		m.want("READY=1")
		v.waitLog("speaker connected")
		for m.any() != "WATCHDOG=1" {
		}
		v.signal(syscall.SIGHUP)
		m.want("RELOADING=1\nMONOTONIC_USEC=")
		m.want("READY=1")
		w.writeText("{")
		v.signal(syscall.SIGHUP)
		m.want("RELOADING=1\nMONOTONIC_USEC=")
		m.want("READY=1")
		v.signal(syscall.SIGTERM)
		m.want("STOPPING=1")
		v.wantExit(0)
	})
}

// Without a speaker vipd keeps trying, and says why it is not ready; when the
// speaker comes, it is.
func TestAbsentGobgpdIsWaitedFor(t *testing.T) {
	cast{speakers: []string{"3.37.0", "4.8.0"}}.play(t, func(w *world) {
		w.gobgpd.Kill()
		w.write(plan{vips: []string{vip("web", web, "", w.running(1)...)}})
		v := w.vipd("run")
		v.waitLog("vip advertised")
		w.waitGet("/readyz", 503, "nobody listens")
		w.waitGet("/healthz", 200, "")
		w.waitGet("/metrics", 200, "vipd_speaker_up 0")
		w.gobgpd.Restart()
		w.waitGet("/readyz", 200, "")
		w.waitRoute(w.router, w.plain(web))
		w.waitGet("/metrics", 200, "vipd_speaker_up 1")
		w.waitGet("/metrics", 200, `vipd_vip_advertised{vip="web"} 1`)
	})
}

// A gobgpd without any configuration of its own, that is not managed either,
// is said to lack it.
func TestUnconfiguredGobgpdIsToldOf(t *testing.T) {
	cast{speakers: gobgptest.Versions()}.play(t, func(w *world) {
		w.write(plan{own: true, vips: []string{vip("web", web, "", w.running(1)...)}})
		w.vipd("run")
		w.waitGet("/readyz", 503, "no global configuration")
	})
}
