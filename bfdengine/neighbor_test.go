package bfdengine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// neighbor is a system that forwards, if so told, and knows nothing of BFD.
func neighbor(t *testing.T, forwards string) *testns.Neighbor {
	t.Helper()
	n := testns.NewNeighbor(t)
	testns.IP(t, "addr add 192.0.2.1/24 dev near")
	testns.IP(t, "addr add 2001:db8::1/64 dev near nodad")
	testns.IP(t, "addr add 198.51.100.1/32 dev near")
	n.IP("addr add 192.0.2.2/24 dev far")
	n.IP("addr add 2001:db8::2/64 dev far nodad")
	n.Set("ipv4/conf/all/rp_filter", "1") // strict, and we pass
	n.Set("ipv4/ip_forward", forwards)
	n.Set("ipv6/conf/all/forwarding", forwards)
	return n
}

// state waits until a session is in one.
func (r *running) state(k Key, want packet.State) Snapshot {
	r.t.Helper()
	for end := time.Now().Add(15 * time.Second); ; {
		s, ok := r.Session(k)
		quick := s.Detection <= time.Duration(s.DetectMult)*s.DesiredMinTx // from the first packet on that says Up
		if ok && s.State == want && (want != packet.Up || quick) {
			return s
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s is %s, not %s; problem %q, drops %v", k, s.State, want, s.Problem, r.Stats().Dropped)
		}
		wait(r.t)
	}
}

// wait lets a moment pass.
func wait(t *testing.T) {
	t.Helper()
	w, err := sock.NewWaiter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Wait(10 * time.Millisecond)
}

// T68, over a real link, with Linux's own forwarding in its usual state.
func TestEchoThroughANeighbor(t *testing.T) {
	for _, tt := range []struct{ name, local, peer, link, source string }{
		{"ipv4", "", "192.0.2.2", "", ""},
		{"ipv4, all given", "192.0.2.1", "192.0.2.2", "near", "198.51.100.1"},
		{"ipv6", "", "2001:db8::2", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := neighbor(t, "1")
			n.IP("route add 198.51.100.1 via 192.0.2.1")
			watch := tapIn(t, n, tt.peer)
			r := start(t, on("127.0.0.1"))
			s := echoSpec(tt.peer)
			s.Interface = tt.link
			if tt.local != "" {
				s.Local = netip.MustParseAddr(tt.local)
			}
			if tt.source != "" {
				s.EchoSource = netip.MustParseAddr(tt.source)
			}
			r.add(s)
			up := r.state(s.Key, packet.Up)
			d := watch()
			if d.TTL != 255 || d.Local != up.Source.Addr() || d.PeerPort != up.Source.Port() || s.EchoSource.IsValid() && d.Peer != s.EchoSource {
				t.Errorf("on the wire: %+v of %s", d, up.Source)
			}
			n.Set("ipv4/ip_forward", "0")
			n.Set("ipv6/conf/all/forwarding", "0")
			if down := r.state(s.Key, packet.Down); down.Diag != packet.EchoFunctionFailed {
				t.Errorf("down for %s", down.Diag)
			}
		})
	}
}

// tapIn watches what comes in at a neighbor.
func tapIn(t *testing.T, n *testns.Neighbor, peer string) (next func() sock.Datagram) {
	t.Helper()
	var r *sock.Receiver
	n.Do(func() (err error) {
		r, err = sock.Tap(netip.MustParseAddr(peer).Is4(), packet.PortEcho)
		return err
	})
	t.Cleanup(r.Close)
	w, err := sock.NewWaiter([]*sock.Receiver{r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return func() sock.Datagram {
		t.Helper()
		w.Park(5 * time.Second)
		got, _, _, err := r.Read(sock.NewBatch(), time.Now())
		if err != nil || len(got) == 0 {
			t.Fatalf("nothing came: %v", err)
		}
		return got[len(got)-1]
	}
}

// RFC 9747 §2: "… dependent on device B performing IP forwarding."
func TestANeighborThatDoesNotForwardIsNoEcho(t *testing.T) {
	n := neighbor(t, "0")
	r := start(t, on("127.0.0.1"))
	s := echoSpec("192.0.2.2")
	r.add(s)
	watch := tapIn(t, n, "192.0.2.2")
	for range 3 {
		watch()
	}
	if got, _ := r.Session(s.Key); got.State != packet.Down || got.Problem != "" {
		t.Errorf("%s, problem %q", got.State, got.Problem)
	}
	n.Set("ipv4/ip_forward", "1")
	r.state(s.Key, packet.Up)
}

func TestEchoBehindARouterIsRefused(t *testing.T) {
	neighbor(t, "1")
	testns.IP(t, "route add 203.0.113.0/24 via 192.0.2.2")
	r := start(t, on("127.0.0.1"))
	s := echoSpec("203.0.113.9")
	r.add(s)
	got, _ := r.Session(s.Key)
	if want := "route: the peer is no neighbor: another system is on the way, and would send echo packets back"; got.Problem != want {
		t.Errorf("problem %q", got.Problem)
	}
}

// A neighbor's hardware address may change while the session is up: the kernel
// hears of it, and so must we.
func TestEchoFollowsTheNeighborsHardwareAddress(t *testing.T) {
	n := neighbor(t, "1")
	r := start(t, on("127.0.0.1"))
	s := echoSpec("192.0.2.2")
	s.DesiredMinTx, s.DetectMult = 200*time.Millisecond, 4 // less than a refresh
	r.add(s)
	r.state(s.Key, packet.Up)
	n.IP("link set far address 02:00:00:00:00:77")
	testns.IP(t, "neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:77 nud reachable")
	before, _ := r.Session(s.Key)
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); wait(t) {
		if got, _ := r.Session(s.Key); got.Received > before.Received+2 {
			break
		}
	}
	if got, _ := r.Session(s.Key); got.Received <= before.Received+2 || got.State != packet.Up || got.Downs > 0 {
		t.Errorf("%s, %d packets came back since", got.State, got.Received-before.Received)
	}
}

// An interface that goes takes its address along, and another one of that name may
// come.
func TestEchoOutlivesItsInterface(t *testing.T) {
	r := start(t, on("127.0.0.1"))
	s := echoSpec("192.0.2.2")
	t.Run("first", func(t *testing.T) {
		neighbor(t, "1")
		r.add(s)
		r.state(s.Key, packet.Up)
	})
	r.state(s.Key, packet.Down)
	neighbor(t, "1")
	r.state(s.Key, packet.Up)
}
