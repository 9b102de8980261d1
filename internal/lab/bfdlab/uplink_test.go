package bfdlab

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// The router hangs. A detection time later the node has no BGP session with it,
// and its only uplink is lost, so that it withdraws: others hear that. Once the
// router goes on all is as before.
func TestNodeLeavesTheRouter(t *testing.T) {
	t.Parallel()
	rack := newRack(t, lab.RackOptions{Nodes: 1})
	n1, tor := rack.Nodes[0], rack.Router.(*lab.FRR)
	wire := rack.Tor.Capture(n1.Name, "tcp port 179 or udp port 3784")
	rack.For(5*quick().Interval, "BFD stands, on the record", rack.BFDStands)
	began := time.Now()
	tor.Freeze()
	rack.Within(soon, "both neighbors are disabled", func() error { return held(n1, 2) })
	rack.Within(soon, "the VIPs are withdrawn", func() error { return rack.Heard(n1, began, 0, 2) })
	rack.For(3*time.Second, "it stays so", func() error { return errors.Join(held(n1, 2), rack.Heard(n1, began, 0, 2)) })
	tor.Thaw()
	rack.Within(time.Minute, "all is as before", func() error {
		return errors.Join(rack.Via(n1), rack.BFDStands(), rack.Established(), held(n1, 0))
	})
	wire.End()
	for i, a := range n1.Addresses() {
		last, told := silence(t, wire, n1.Link.B, a, began)
		t.Logf("family %d: the router's last packet came %s after the freeze, BGP's end %s after that",
			i, last.Sub(began).Round(time.Millisecond), told.Sub(last).Round(time.Millisecond))
		if late := told.Sub(last) - quick().Detection(); late < 0 || late > slack {
			t.Errorf("that is %s after the detection time", late)
		}
	}
}

// silence returns when a router's last BFD packet passed before a node ended its
// BGP session with it, and when that was.
func silence(t *testing.T, wire *lab.Capture, router lab.End, node netip.Addr, frozen time.Time) (last, ended time.Time) {
	t.Helper()
	from, ip := router.V4, "ip"
	if node.Is6() {
		from, ip = router.V6, "ipv6"
	}
	ended, err := wire.First(fmt.Sprintf("(bgp.type == 3 || tcp.flags.fin == 1 || tcp.flags.reset == 1) && %s.src == %s", ip, node), frozen)
	if err != nil {
		t.Fatal(err)
	}
	if last, err = wire.Last(fmt.Sprintf("bfd && %s.src == %s", ip, from), ended); err != nil {
		t.Fatal(err)
	}
	return last, ended
}

// Every uplink is lost, but BGP is to stay. The VIPs are withdrawn, or kept, as
// the configuration says.
func TestAllUplinksLost(t *testing.T) {
	t.Parallel()
	for policy, withdrawn := range map[string]int{"withdraw": 2, "keep": 0} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			rack := newRack(t, lab.RackOptions{Nodes: 1, Uplink: "on_bfd_down: none", BFDMore: "uplinks_lost: " + policy})
			n1, bfdd := rack.Nodes[0], rack.Router.(*lab.FRR).Daemon("bfdd")
			began := time.Now()
			bfdd.Freeze()
			rack.Within(soon, "both uplinks are lost", func() error { return lost(n1, 2) })
			rack.Within(soon, "the VIPs are as they must be", func() error { return rack.Heard(n1, began, 0, withdrawn) })
			rack.For(2*time.Second, "they stay so", func() error { return rack.Heard(n1, began, 0, withdrawn) })
			if err := held(n1, 0); err != nil {
				t.Error(err)
			}
			bfdd.Thaw()
			rack.Within(soon, "both uplinks are back", func() error { return lost(n1, 0) })
			rack.Within(time.Minute, "all is as before", func() error { return errors.Join(rack.Via(n1), rack.Heard(n1, began, withdrawn, withdrawn)) })
		})
	}
}

// One uplink of two is lost: nothing happens to the VIPs.
func TestOneUplinkLost(t *testing.T) {
	t.Parallel()
	rack := newRack(t, lab.RackOptions{Nodes: 1, Uplink: "on_bfd_down: none"})
	n1 := rack.Nodes[0]
	began := time.Now()
	n1.NFT("table inet bfd { chain in { type filter hook input priority 0; meta nfproto ipv6 udp dport 3784 drop; }; }\n")
	rack.Within(soon, "one uplink is lost", func() error { return lost(n1, 1) })
	rack.For(3*time.Second, "nothing is said", func() error { return rack.Heard(n1, began, 0, 0) })
}

// lost returns an error unless vipd has lost so many uplinks.
func lost(n *lab.Node, want float64) error {
	if got := n.Vipd.Metric("vipd_uplinks", `state="lost"`); got != want {
		return fmt.Errorf("%v uplinks are lost, not %v", got, want)
	}
	return nil
}

// What vipd disabled it enables again, even if it was killed meanwhile: it
// remembers that it was not an operator who did it.
func TestDisabledNeighborsAreRemembered(t *testing.T) {
	t.Parallel()
	rack := newRack(t, lab.RackOptions{Nodes: 1, BFDMore: "uplinks_lost: keep"})
	n1, bfdd := rack.Nodes[0], rack.Router.(*lab.FRR).Daemon("bfdd")
	bfdd.Freeze()
	rack.Within(soon, "both neighbors are disabled", func() error { return held(n1, 2) })
	rack.Within(soon, "the router has no BGP session", func() error { return rack.Via() })
	n1.Vipd.Kill()
	n1.Vipd.Again()
	n1.Vipd.Ready()
	rack.Within(soon, "both neighbors are disabled", func() error { return held(n1, 2) })
	rack.For(5*time.Second, "they stay so", func() error { return errors.Join(held(n1, 2), rack.Via()) })
	bfdd.Thaw()
	rack.Within(time.Minute, "all is as before", func() error { return errors.Join(rack.Via(n1), rack.BFDStands(), held(n1, 0)) })
}

// gobgpd crashes and is started again. BFD goes on as if nothing were.
func TestBFDOutlivesGobgpd(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := newRack(t, lab.RackOptions{Nodes: 1, Speaker: speaker, BFD: usual()})
			n1 := rack.Nodes[0]
			wire := rack.Tor.Capture(n1.Name, "udp port 3784")
			killed := time.Now()
			n1.Gobgpd.Kill()
			rack.Within(soon, "the router leaves n1", func() error { return rack.Via() })
			n1.Gobgpd.Again()
			rack.Within(time.Minute, "all is as before", func() error { return errors.Join(rack.Via(n1), rack.Established()) })
			wire.End()
			for _, p := range wire.Packets("bfd && bfd.sta != 3", "ip.src", "ipv6.src", "bfd.sta", "bfd.diag") {
				t.Errorf("%s after gobgpd's end somebody is not Up: %s%s, state %s, diag %s", p.At.Sub(killed), p.Fields[0], p.Fields[1], p.Fields[2], p.Fields[3])
			}
			if all := wire.Packets("bfd"); len(all) < 20 {
				t.Errorf("%d packets in all", len(all))
			}
		})
	}
}

// A drain: the node withdraws and serves through the grace period, all the time
// with BFD up. Then it says AdminDown, and for long enough that nobody sees a
// detection time pass. A BGP session should not end with that (RFC 5882 §4.2).
// FRR 8.4 and BIRD 2.0 end it nevertheless: when all was withdrawn.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, bird := range map[string]bool{"FRR": false, "BIRD": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const grace = 3 * time.Second
			rack := newRack(t, lab.RackOptions{Nodes: 1, BFD: usual(), BIRD: bird, Vipd: fmt.Sprintf("drain: {grace_period: %s}", grace)})
			n1 := rack.Nodes[0]
			wire := rack.Tor.Capture(n1.Name, "udp port 3784 or tcp port 179")
			began := time.Now()
			n1.Vipd.Signal(syscall.SIGTERM)
			rack.Within(soon, "n1 withdraws", func() error { return rack.Heard(n1, began, 0, 2) })
			if code := n1.Vipd.Wait(soon); code != 0 {
				t.Errorf("vipd exits with %d", code)
			}
			rack.For(2*usual().Detection(), "the collector hears no more", func() error { return rack.Heard(n1, began, 0, 2) })
			wire.End()
			admin := left(t, wire, grace)
			for _, p := range wire.Packets("bgp.type == 3 || tcp.flags.reset == 1 || tcp.flags.fin == 1") {
				if p.At.Before(admin) {
					t.Errorf("%s after AdminDown a BGP session ended", p.At.Sub(admin))
				}
			}
		})
	}
}

// left looks at the link to a node that drained, and returns when it said
// AdminDown.
func left(t *testing.T, wire *lab.Capture, grace time.Duration) (admin time.Time) {
	t.Helper()
	withdrawn, farewell := wire.Packets("bgp.withdrawn_prefix || bgp.update.path_attribute.mp_unreach_nlri"), wire.Packets("bfd.sta == 0")
	if len(withdrawn) == 0 || len(farewell) == 0 {
		t.Fatalf("%d withdrawals, %d packets that say AdminDown", len(withdrawn), len(farewell))
	}
	admin = farewell[0].At
	apart, took := admin.Sub(withdrawn[0].At), farewell[len(farewell)-1].At.Sub(admin)
	t.Logf("AdminDown was said %s after the withdrawal, for %s", apart.Round(time.Millisecond), took.Round(time.Millisecond))
	if apart < grace {
		t.Errorf("AdminDown came %s after the withdrawal, not %s", apart, grace)
	}
	for _, p := range wire.Packets("bfd.sta != 3 || bfd.diag == 1", "bfd.sta", "bfd.diag") {
		if p.At.Before(admin) || p.Fields[1] == expired {
			t.Errorf("%s after AdminDown: state %s, diag %s", p.At.Sub(admin), p.Fields[0], p.Fields[1])
		}
	}
	return admin
}

// A reload with other timers for one of two sessions. That one stays up and
// agrees them by a poll sequence; the other hears nothing of it.
func TestReloadOfTimers(t *testing.T) {
	t.Parallel()
	rack := newRack(t, lab.RackOptions{Nodes: 1, BFD: usual()})
	n1 := rack.Nodes[0]
	rack.For(2*usual().Detection(), "BFD stands, and nobody polls any more", rack.BFDStands)
	wire := rack.Tor.Capture(n1.Name, "udp port 3784")
	slower := usual().Interval * 2
	config := strings.Replace(n1.Config, "profiles: {", fmt.Sprintf("profiles: {slower: {tx: %[1]s, rx: %[1]s}, ", slower), 1)
	i := strings.LastIndex(config, "bfd: router")
	n1.Vipd.Configure(config[:i] + "bfd: slower" + config[i+len("bfd: router"):])
	began := time.Now()
	if !n1.Vipd.Reload() {
		t.Fatal("vipd refuses the configuration")
	}
	polled := fmt.Sprintf("bfd.desired_min_tx_interval == %d && bfd.flags.p == 1", slower.Microseconds())
	rack.For(2*usual().Detection(), "BFD stands", rack.BFDStands)
	wire.End()
	if len(wire.Packets("ipv6 && "+polled)) == 0 || len(wire.Packets("ipv6 && bfd.flags.f == 1")) == 0 {
		t.Error("no poll sequence for the changed session")
	}
	for _, p := range wire.Packets("ip && (bfd.flags.p == 1 || bfd.flags.f == 1)") {
		t.Errorf("a poll for the session that did not change, %s after the reload began", p.At.Sub(began))
	}
	for _, p := range wire.Packets("bfd && bfd.sta != 3") {
		t.Errorf("not Up, %s after the reload began", p.At.Sub(began))
	}
	if falls, err := rack.Router.(*lab.FRR).BFDFalls(); falls != 0 || err != nil {
		t.Errorf("the router's sessions fell %d times (%v)", falls, err)
	}
}
