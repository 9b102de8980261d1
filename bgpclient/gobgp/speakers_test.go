package gobgp_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/embedded"
	"github.com/fiberlb/vipd/bgpclient/gobgp"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

const (
	owner   = 0x76697064
	another = owner + 1
	localAS = 4200000001 // needs four bytes
)

// A speaker is one of those that vipd supports.
type speaker struct {
	name, target string
	port         uint16 // for BGP
	kill         func()
	restart      func() // nil: it can't
}

// each runs a test against every speaker, with a fresh one each.
func each(t *testing.T, test func(t *testing.T, s speaker)) {
	for _, version := range gobgptest.Versions() {
		t.Run("gobgpd "+version, func(t *testing.T) {
			d := gobgptest.Start(t, version)
			test(t, speaker{version, d.Target(), freePort(t), d.Kill, d.Restart})
		})
	}
	t.Run("embedded", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := embedded.New(embedded.Options{})
		var running sync.WaitGroup
		running.Go(func() {
			if err := e.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		stop := func() { cancel(); running.Wait() }
		t.Cleanup(stop)
		<-e.Ready()
		test(t, speaker{"embedded", e.Target(), freePort(t), stop, nil})
	})
}

// bounded is a context that no test outlives.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dialAs(t testing.TB, target string, id uint32) bgpclient.Conn {
	t.Helper()
	ctx := bounded(t)
	for {
		c, err := gobgp.Dial(ctx, "auto", bgpclient.DialOptions{Target: target, Owner: id})
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// loopback is where every speaker here listens and has its sessions from.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func freePort(t testing.TB) uint16 {
	t.Helper()
	port, err := gobgptest.FreePort(loopback)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// started dials a speaker and gives it a configuration. The embedded one gets
// the tables that vipd needs, as from the daemon.
func started(t testing.TB, s speaker) bgpclient.Conn {
	t.Helper()
	return startedWith(t, s, s.restart == nil)
}

func startedWith(t testing.TB, s speaker, unicastOnly bool) bgpclient.Conn {
	t.Helper()
	c := dialAs(t, s.target, owner)
	g := bgpclient.Global{
		ASN: localAS, RouterID: netip.MustParseAddr("10.0.0.1"),
		ListenPort: int(s.port), ListenAddresses: []netip.Addr{loopback}, UnicastOnly: unicastOnly,
	}
	if err := c.Start(bounded(t), g); err != nil {
		t.Fatal(err)
	}
	return c
}

func pointer(n uint32) *uint32 { return &n }

func route(prefix string, change func(*bgpclient.Route)) bgpclient.Route {
	r := bgpclient.Route{Prefix: netip.MustParsePrefix(prefix), NextHop: netip.MustParseAddr("192.0.2.1")}
	if r.Prefix.Addr().Is6() {
		r.NextHop = netip.MustParseAddr("2001:db8::1")
	}
	if change != nil {
		change(&r)
	}
	return r.Normalize()
}

func all(r *bgpclient.Route) {
	r.MED, r.LocalPref, r.Prepend, r.LinkBandwidth = pointer(50), pointer(200), 3, 1.25e9
	r.Communities = []bgpclient.Community{65001<<16 | 100, bgpclient.NoLLGR, bgpclient.GracefulShutdown}
	r.LargeCommunities = []bgpclient.LargeCommunity{{Global: localAS, Local1: 1, Local2: 2}, {Global: 1, Local1: 0, Local2: 4294967295}}
}

func apply(t testing.TB, c bgpclient.Conn, ops ...bgpclient.Op) {
	t.Helper()
	if err := c.Apply(bounded(t), ops); err != nil {
		t.Fatal(err)
	}
}

func put(r bgpclient.Route) bgpclient.Op { return bgpclient.Op{Verb: bgpclient.Put, Route: r} }
func del(r bgpclient.Route) bgpclient.Op { return bgpclient.Op{Verb: bgpclient.Delete, Route: r} }

func paths(t testing.TB, c bgpclient.Conn, prefixes ...netip.Prefix) (out []bgpclient.Path) {
	t.Helper()
	if err := c.Paths(bounded(t), prefixes, func(p bgpclient.Path) { out = append(out, p) }); err != nil {
		t.Fatal(err)
	}
	return out
}
