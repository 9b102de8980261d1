package gobgp_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

const routerAS = 65000

// routerOn starts a router that waits for the speaker, and tells how the
// speaker reaches it.
func routerOn(t testing.TB, s speaker, address string, change func(*gobgptest.Peer)) (*gobgptest.Router, bgpclient.Neighbor) {
	t.Helper()
	r, err := gobgptest.StartRouter(bounded(t), gobgptest.RouterOptions{ASN: routerAS, Address: netip.MustParseAddr(address)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	p := gobgptest.Peer{Address: loopback, ASN: localAS}
	if s.name == "3.10" {
		p.Port = s.port // it would take 5 to 15 seconds to its own first attempt
	}
	if change != nil {
		change(&p)
	}
	if err := r.Accept(bounded(t), p); err != nil {
		t.Fatal(err)
	}
	return r, bgpclient.Neighbor{
		Address: r.Address, ASN: routerAS, Port: r.Port, LocalAddress: loopback, IPv4: true, IPv6: true,
		Passive: p.Port != 0,
	}
}

func connect(t testing.TB, c bgpclient.Conn, r *gobgptest.Router, n bgpclient.Neighbor) {
	t.Helper()
	if err := c.AddNeighbor(bounded(t), n); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitEstablished(bounded(t), loopback); err != nil {
		t.Fatal(err)
	}
	// GoBGP 4.8 sends the table first and notes that the session is up then: a
	// change between the two never reaches the neighbor.
	for ctx := bounded(t); !up(t, c, n.Address); {
		if ctx.Err() != nil {
			t.Fatalf("neighbor %s: up at the router only", n.Address)
		}
	}
}

func up(t testing.TB, c bgpclient.Conn, a netip.Addr) bool {
	t.Helper()
	have, err := c.Neighbors(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(have, func(n bgpclient.NeighborState) bool {
		return n.Address == a && n.State == bgpclient.Established
	})
}

// await waits for a path at the router.
func await(t testing.TB, r *gobgptest.Router, p netip.Prefix, fits func(gobgptest.Route) bool) gobgptest.Route {
	t.Helper()
	route, err := r.WaitRoute(bounded(t), p, fits)
	if err != nil {
		t.Fatal(err)
	}
	return route
}

func absent(t testing.TB, r *gobgptest.Router, p netip.Prefix) {
	t.Helper()
	if err := r.WaitAbsent(bounded(t), p); err != nil {
		t.Fatal(err)
	}
}

func TestRouterReceivesTheAttributes(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		for _, prefix := range []string{"198.51.100.1/32", "2001:db8:1::1/128"} {
			in := route(prefix, all)
			apply(t, c, put(in))
			out := await(t, r, in.Prefix, nil)
			if out.NextHop != in.NextHop && in.Prefix.Addr().Is6() {
				t.Errorf("%s: next hop %s, want %s", prefix, out.NextHop, in.NextHop)
			}
			if out.MED == nil || *out.MED != *in.MED || out.LocalPref != nil || out.LinkBandwidth != in.LinkBandwidth {
				t.Errorf("%s: MED, LOCAL_PREF or link bandwidth of %+v", prefix, out)
			}
			slices.Sort(out.Communities)
			if !slices.Equal(out.Communities, in.Communities) || len(out.LargeCommunities) != len(in.LargeCommunities) {
				t.Errorf("%s: communities %v %v, want %v %v", prefix, out.Communities, out.LargeCommunities, in.Communities, in.LargeCommunities)
			}
			if want := slices.Repeat([]uint32{localAS}, 1+int(in.Prepend)); !slices.Equal(out.ASPath, want) {
				t.Errorf("%s: AS_PATH %v, want %v", prefix, out.ASPath, want)
			}
			apply(t, c, del(in))
			absent(t, r, in.Prefix)
		}
	})
}

// A changed attribute is one UPDATE and no withdrawal (RFC 4271 §3.1).
func TestChangedRouteIsOneUpdate(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		in := route("198.51.100.1/32", nil)
		apply(t, c, put(in))
		await(t, r, in.Prefix, nil)
		changed := route("198.51.100.1/32", all)
		apply(t, c, put(changed))
		await(t, r, in.Prefix, func(r gobgptest.Route) bool { return r.MED != nil })
		var told int
		for _, u := range r.Updates() {
			told += len(u.Announced)
			if len(u.Withdrawn) > 0 {
				t.Errorf("withdrawn: %v", u.Withdrawn)
			}
		}
		if told != 2 {
			t.Errorf("announced %d times, want 2", told)
		}
	})
}

func TestUnspecifiedNextHopIsTheSpeakersOwn(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		in := route("198.51.100.1/32", func(r *bgpclient.Route) { r.NextHop = netip.IPv4Unspecified() })
		apply(t, c, put(in))
		if out := await(t, r, in.Prefix, nil); out.NextHop != loopback {
			t.Errorf("next hop %s, want %s", out.NextHop, loopback)
		}
	})
}

func TestNeighborIsListedAsItWasAdded(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", func(p *gobgptest.Peer) { p.AddPaths, p.GracefulRestart, p.Password = true, 30, "secret" })
		n.Password = "secret"
		n.Description, n.HoldTime, n.ConnectRetry = "ToR", 9*time.Second, 7*time.Second
		n.MultihopTTL, n.AddPathsSendMax, n.GracefulRestart = 3, 2, 30*time.Second
		before := time.Now().Add(-2 * time.Second)
		connect(t, c, r, n)
		apply(t, c, put(route("198.51.100.1/32", nil)), put(route("2001:db8:1::1/128", nil)))
		await(t, r, netip.MustParsePrefix("2001:db8:1::1/128"), nil)
		have := onlyNeighbor(t, c)
		if have.Neighbor != n {
			t.Errorf("have %+v, want %+v", have.Neighbor, n)
		}
		if have.State != bgpclient.Established || have.AdminDown || have.BFD || have.Since.Before(before) {
			t.Errorf("state: %+v", have)
		}
		if have.Sent.Open != 1 || have.Received.Open != 1 || have.Sent.Update < 2 || have.Received.Keepalive == 0 || have.Sent.Total < 4 {
			t.Errorf("messages: sent %+v, received %+v", have.Sent, have.Received)
		}
	})
}

func onlyNeighbor(t testing.TB, c bgpclient.Conn) bgpclient.NeighborState {
	t.Helper()
	have, err := c.Neighbors(bounded(t))
	if err != nil || len(have) != 1 {
		t.Fatalf("neighbors %+v, %v; want one", have, err)
	}
	return have[0]
}

func TestUpdatedNeighborIsAsWanted(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		n := bgpclient.Neighbor{Address: netip.MustParseAddr("127.0.0.9"), ASN: 65001, Port: 1, IPv4: true, ConnectRetry: 5 * time.Second}
		n.HoldTime = 90 * time.Second
		if err := c.AddNeighbor(bounded(t), n); err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(*bgpclient.Neighbor){
			func(n *bgpclient.Neighbor) { n.HoldTime = 30 * time.Second },
			func(n *bgpclient.Neighbor) { n.MultihopTTL = 4 },
			func(n *bgpclient.Neighbor) { n.MultihopTTL = 0 },
			func(n *bgpclient.Neighbor) { n.ASN, n.Description = 65002, "another" },
			func(n *bgpclient.Neighbor) { n.IPv6, n.Passive = true, true },
			func(n *bgpclient.Neighbor) { n.GracefulRestart = 20 * time.Second },
			func(n *bgpclient.Neighbor) { n.AddPathsSendMax = 4 },
			func(n *bgpclient.Neighbor) { n.Password = "secret" },
			func(n *bgpclient.Neighbor) { n.LocalAddress = loopback },
		} {
			change(&n)
			if err := c.UpdateNeighbor(bounded(t), n); err != nil {
				t.Fatal(err)
			}
			if have := onlyNeighbor(t, c).Neighbor; have != n {
				t.Errorf("have %+v, want %+v", have, n)
			}
		}
		if err := c.DeleteNeighbor(bounded(t), n.Address); err != nil {
			t.Fatal(err)
		}
		if have, err := c.Neighbors(bounded(t)); err != nil || len(have) != 0 {
			t.Errorf("after deletion: %+v, %v", have, err)
		}
	})
}

// A router that clears its session has the routes again after the next one,
// and none in between.
func TestRoutesComeBackWithTheSession(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		if s.name == "3.10" {
			t.Skip("it rests for 30 seconds")
		}
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		in := route("198.51.100.1/32", all)
		apply(t, c, put(in))
		await(t, r, in.Prefix, nil)
		if err := r.Reset(bounded(t), loopback); err != nil {
			t.Fatal(err)
		}
		absent(t, r, in.Prefix)
		await(t, r, in.Prefix, nil)
	})
}

func TestWatchTellsOfNeighbors(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		ready, changes := make(chan struct{}), make(chan bgpclient.Change, 1000)
		ctx := bounded(t)
		go func() { _ = c.Watch(ctx, func() { close(ready) }, func(ch bgpclient.Change) { changes <- ch }) }()
		<-ready
		connect(t, c, r, n)
		for state := bgpclient.Idle; state != bgpclient.Established; state = onlyNeighbor(t, c).State {
			if ch := <-changes; ch.Neighbor != n.Address {
				t.Errorf("have %+v, want neighbor %s", ch, n.Address)
			}
		}
	})
}
