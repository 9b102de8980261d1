package bfdlab

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// echoes are what a capture has of echo packets: how many with each TTL.
func echoes(c *lab.Capture) map[string]int {
	c.End()
	seen := map[string]int{}
	for _, p := range c.Packets("udp.dstport == 3785", "ip.ttl", "ip.src", "ip.dst") {
		if p.Fields[1] != p.Fields[2] {
			seen["from "+p.Fields[1]+" to "+p.Fields[2]]++
		}
		seen[p.Fields[0]]++
	}
	return seen
}

// A router that knows no BFD but forwards is watched all the same (RFC 9747).
func TestEchoOfANeighborWithoutBFD(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	node, far := l.Host("node"), l.Host("far")
	link := l.Connect(node, far, 1)
	far.Sysctl("net.ipv4.conf.all.forwarding", 1)
	timers := usual()
	wire := far.Capture(link.B.Iface, "udp port 3785")
	vipd := node.Vipd(fmt.Sprintf(`bgp: {enabled: false}
log: {level: debug}
bfd:
  profiles: {p: {echo: true, tx: %s, multiplier: %d}}
  sessions: [{peer: %q, profile: p}]
`, timers.Interval, timers.Mult, link.B.V4))
	is := func(state float64) func() error {
		return func() error {
			if got := vipd.Metric("vipd_bfd_session_state"); got != state {
				return fmt.Errorf("the state is %v, not %v", got, state)
			}
			return nil
		}
	}
	l.Within(soon, "the session is up", is(3))
	l.For(10*timers.Interval, "it stays up", is(3))
	link.Lose(100)
	l.Within(soon, "it notices", is(1))
	link.Lose(0)
	l.Within(soon, "it is up again", is(3))
	seen := echoes(wire)
	if seen["255"] < 10 || seen["254"] < 10 || len(seen) != 2 {
		t.Errorf("on the wire: %v", seen)
	}
}

// FRR sends echo packets, and vipd, or the kernel where it forwards, sends them back.
func TestFRRsEchoComesBack(t *testing.T) {
	each(t, []kind{frrs()}, func(t *testing.T, k kind) {
		for _, forwards := range []int{0, 1} {
			t.Run(fmt.Sprintf("forwarding %d", forwards), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, k, session{Timers: usual()})
				p.node.Sysctl("net.ipv4.conf.all.forwarding", forwards)
				wire := p.node.Capture(p.far.Name, "udp port 3785")
				p.reload(strings.Replace(p.config(p.Timers), "profiles: {p: {", "profiles: {p: {echo_rx: 100ms, ", 1))
				f := p.peer.(*frr)
				f.Configure("bfd", f.peer(), "echo transmit-interval 100", "echo-mode")
				p.up()
				p.For(5*time.Second, "both stay up", func() error { return p.fell(0) })
				sent, back := f.echoes()
				if sent < 30 || back > sent || sent-back > 3 {
					t.Errorf("FRR sent %d echo packets, and %d came back", sent, back)
				}
				// FRR means it: without its echo it gives the session up.
				p.node.NFT(fmt.Sprintf(`table netdev deaf {
	chain in {
		type filter hook ingress device %q priority 0
		udp dport 3785 drop
	}
}
`, p.far.Name))
				p.Within(soon, "FRR misses its echo", func() error {
					if p.falls() == 0 {
						return errors.New("the session was never down")
					}
					return nil
				})
				if seen := echoes(wire); seen["255"] < 30 || seen["254"] < 30 || len(seen) != 2 {
					t.Errorf("on the wire: %v", seen)
				}
			})
		}
	})
}

// echoes is how many echo packets bfdd sent, and how many it got back.
func (f *frr) echoes() (sent, back int) {
	f.p.Helper()
	var peers []struct {
		Sent int `json:"echo-packet-output"`
		Back int `json:"echo-packet-input"`
	}
	if err := f.Show(&peers, "show bfd peers counters"); err != nil || len(peers) != 1 {
		f.p.Fatalf("FRR has %d sessions: %v", len(peers), err)
	}
	return peers[0].Sent, peers[0].Back
}
