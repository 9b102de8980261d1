package scenarios

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// preferring is how long a node that leaves asks the router to prefer others.
const preferring = 3 * time.Second

// A node leaves while a client makes 500 new connections a second: vipd makes
// the router prefer others while the node still serves, withdraws, and stops
// when nothing comes any more. Then gobgpd is stopped, and the web server, as
// systemd does with units that are After= one another. Nobody notices.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker,
				Vipd: fmt.Sprintf("drain: {prefer_others: %s, grace_period: 2s}", preferring)})
			rack.KeepFlows()
			n1, n2, n3 := rack.Nodes[0], rack.Nodes[1], rack.Nodes[2]
			rack.Within(soon, "all nodes attract traffic", func() error { return rack.Via(n1, n2, n3) })
			load, load6 := rack.Client.Load(500, rack.Web4()), rack.Client.Load(100, rack.Web6())
			wire := rack.Tor.Capture(n1.Name, "tcp port 179 or host "+rack.VIP4.Addr().String())
			captured := time.Now()
			rack.Within(soon, "all nodes answer", func() error { return answer(load, captured, n1, n2, n3) })

			began := time.Now()
			n1.Vipd.Signal(syscall.SIGTERM)
			rack.Within(soon, "the router goes via others", func() error { return rack.Via(n2, n3) })
			paths, err := rack.Router.Paths(rack.VIP4)
			if err != nil || len(paths) != 3 || paths[0].LocalPref != 0 || paths[0].Best {
				t.Errorf("the router knows no worse path via n1, but %+v (%v)", paths, err)
			}
			preferred := time.Now()
			if code := n1.Vipd.Wait(soon); code != 0 {
				t.Errorf("vipd exits with %d", code)
			}
			rack.Within(soon, "others answer", func() error { return answer(load, preferred, n2, n3) })
			if n1.Gobgpd != nil {
				n1.Gobgpd.Stop(soon)
			}
			n1.Web.Stop(soon)
			gone := time.Now()
			rack.Within(soon, "others answer", func() error { return answer(load, gone, n2, n3) })

			for _, result := range []lab.Result{load.Stop(), load6.Stop()} {
				t.Log(result)
				if len(result.Failed()) > 0 {
					t.Error("requests failed")
				}
			}
			wire.End()
			inOrder(t, wire, rack.VIP4.Addr())
			heard := rack.Collector.Heard(began).From(n1.Addresses()...)
			if heard.Announcements() != 2 || heard.Withdrawals() != 2 {
				t.Errorf("n1 said more than to prefer others and to withdraw: %+v", heard)
			}
		})
	}
}

// inOrder looks at the link to a node that left, where the router's session and
// the clients' packets are on one wire. First the router was told to prefer
// others; then the last client's packet passed; then the VIP was withdrawn; then
// the session ended. Every connection that came was answered, and none cut.
func inOrder(t *testing.T, wire *lab.Capture, vip netip.Addr) {
	t.Helper()
	first := func(match string) time.Time {
		if packets := wire.Packets(match); len(packets) > 0 {
			return packets[0].At
		}
		t.Fatalf("no packet on the wire with %s", match)
		return time.Time{}
	}
	// GRACEFUL_SHUTDOWN, RFC 8326
	prefer := first(fmt.Sprintf("bgp.nlri_prefix == %s && bgp.update.path_attribute.community_wellknown == 0xffff0000", vip))
	withdrawn := first(fmt.Sprintf("bgp.withdrawn_prefix == %s", vip))
	ended := first("tcp.port == 179 && (tcp.flags.fin == 1 || tcp.flags.reset == 1)")
	clients := wire.Packets(fmt.Sprintf("ip.addr == %s", vip))
	if len(clients) == 0 {
		t.Fatal("no client on the wire")
	}
	last := clients[len(clients)-1].At
	t.Logf("on the wire: the last client's packet came %s after others were preferred, the withdrawal %s, the session's end %s",
		last.Sub(prefer), withdrawn.Sub(prefer), ended.Sub(prefer))
	if apart := withdrawn.Sub(prefer); apart < preferring/2 {
		t.Errorf("withdrawn %s after others were preferred, not %s", apart, preferring)
	}
	if !prefer.Before(withdrawn) || !last.Before(withdrawn) || !withdrawn.Before(ended) {
		t.Error("that is not the order of a drain")
	}
	if cut := wire.Packets(fmt.Sprintf("ip.addr == %s && tcp.flags.reset == 1", vip)); len(cut) > 0 {
		t.Errorf("%d connections were cut", len(cut))
	}
	answered := map[string]bool{}
	for _, p := range wire.Packets(fmt.Sprintf("ip.src == %s && http.response.code == 200", vip), "tcp.stream") {
		answered[p.Fields[0]] = true
	}
	for _, p := range wire.Packets(fmt.Sprintf("ip.dst == %s && tcp.flags.syn == 1", vip), "tcp.stream") {
		if !answered[p.Fields[0]] {
			t.Errorf("the connection that came %s after others were preferred was not answered", p.At.Sub(prefer))
		}
	}
}

// answer returns an error unless exactly these nodes answered requests that
// began after a time.
func answer(load *lab.Load, after time.Time, nodes ...*lab.Node) error {
	by := load.SoFar(after).By()
	var want []string
	for _, n := range nodes {
		want = append(want, n.Name)
	}
	// Enough that all who are asked will have been.
	if got := slices.Sorted(maps.Keys(by)); !slices.Equal(got, want) || by[want[0]] < 200 {
		return fmt.Errorf("answers are by %v, not by %v", by, want)
	}
	return nil
}
