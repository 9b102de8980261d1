package bfdengine

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// RFC 9468 §2: also of the prefixes that may, only who is in the subnet of the
// interface that he asks on.
func TestWhoAsksMustBeOnTheLink(t *testing.T) {
	r := newRig(t, open(func(*Unsolicited) {}))
	var asked int
	r.direct = func(peer netip.Addr, ifindex int) bool {
		asked++
		return ifindex == 2 && netip.MustParsePrefix("192.0.2.0/28").Contains(peer)
	}
	r.receiveAll(r.stranger("192.0.2.77"))
	r.wantDrops(map[packet.Reason]uint64{packet.UnsolicitedRefused: 1})
	elsewhere := r.stranger("192.0.2.9")
	elsewhere.Interface = 3
	r.receiveAll(elsewhere)
	r.wantDrops(map[packet.Reason]uint64{packet.UnsolicitedRefused: 2})
	if r.table.len() != 0 || r.stats.Unsolicited != 0 {
		t.Errorf("%d sessions", r.table.len())
	}
	r.receiveAll(r.stranger("192.0.2.8"), r.stranger("192.0.2.9"))
	if r.table.len() != 2 || asked != 4 {
		t.Errorf("%d sessions, asked %d times", r.table.len(), asked)
	}
	// Who can't have a session anyway costs no look at the tables.
	foreign := r.stranger("198.51.100.2")
	r.receiveAll(r.stranger("192.0.2.10"), foreign)
	r.wantDrops(map[packet.Reason]uint64{packet.UnsolicitedRefused: 3, packet.UnsolicitedQuota: 1})
	if asked != 4 {
		t.Errorf("asked %d times", asked)
	}
}

// index is that of an interface.
func index(t *testing.T, name string) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index
}

func TestTheKernelKnowsWhoIsOnALink(t *testing.T) {
	ip(t, "link add near0 type veth peer name far0")
	t.Cleanup(func() { ip(t, "link del near0") })
	for _, line := range []string{
		"link set near0 up", "link set far0 up", "addr add 192.0.2.1/24 dev near0", "addr add 2001:db8::1/64 dev near0 nodad",
		"addr add 203.0.113.1/24 dev far0", "route add 198.51.100.0/24 via 192.0.2.254",
	} {
		ip(t, line)
	}
	w := newRig(t, Options{}).worker
	t.Cleanup(func() { w.taps.lookup.Close() })
	near, far := index(t, "near0"), index(t, "far0")
	for _, tt := range []struct {
		name, peer string
		ifindex    int
		want       bool
	}{
		{"in the subnet", "192.0.2.9", near, true},
		{"on another interface", "192.0.2.9", far, false},
		{"in that one's subnet", "203.0.113.9", near, false},
		{"behind a router", "198.51.100.9", near, false},
		{"nowhere", "233.252.0.9", near, false},
		{"ourselves", "192.0.2.1", near, false},
		{"ipv6", "2001:db8::9", near, true},
		{"ipv6 on another interface", "2001:db8::9", far, false},
		{"ipv6 nowhere", "2001:db9::9", near, false},
		{"link-local is of every link", "fe80::9", far, true},
		{"but not of IPv4", "169.254.0.9", near, false},
	} {
		if got := w.tableDirect(netip.MustParseAddr(tt.peer), tt.ifindex); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// A session that waits in silence hears of its new interface by the peer's packets
// only: the old one's index would keep them from it for ever.
func TestAPassiveSessionFindsItsInterfaceMadeAnew(t *testing.T) {
	r := newRig(t, Options{})
	s := hundred("192.0.2.2")
	s.Interface, s.Passive = "eth0", true
	e := r.want(s)
	old := e.link.(*fakeLink)
	stray := r.from(e, packet.Down) // of another interface: nothing to learn from it
	stray.Interface, stray.YourDiscr = 3, 0
	r.receiveAll(stray)
	if e.link != old || old.closed {
		t.Fatal("a stray packet cost it the link")
	}

	const anew = 9
	r.interfaceName = func(i int) (string, error) {
		if i == anew {
			return "eth0", nil
		}
		return "", errors.New("no such device")
	}
	dial := r.dial
	r.dial = func(p sock.Path) (link, int, error) {
		l, _, err := dial(p)
		return l, anew, err
	}
	p := r.from(e, packet.Down)
	p.Interface = anew
	for _, your := range []uint32{0, e.discr} {
		p.YourDiscr, p.At = your, r.clock
		r.receiveAll(p)
	}
	r.wantState(e, packet.Down)
	r.wantDrops(map[packet.Reason]uint64{packet.WrongInterface: 3})
	if s := e.snapshot(); !old.closed || s.Problem != unix.ENODEV.Error() {
		t.Errorf("closed: %t, problem %q", old.closed, s.Problem)
	}
	r.pass(time.Second)
	r.repair(r.clock)
	p.At = r.clock
	r.receiveAll(p)
	r.wantState(e, packet.Init)
	if s := e.snapshot(); s.Problem != "" || len(r.take()) == 0 {
		t.Errorf("problem %q", s.Problem)
	}
}

// The same on a wire, and who is not in the subnet is not served there.
func TestAPassiveSessionOnAWireMadeAnew(t *testing.T) {
	e := start(t, Options{Farewell: -1, Unsolicited: Unsolicited{Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}})
	s := Spec{Key: Key{Peer: netip.MustParseAddr("192.0.2.2"), Interface: "near"}, Params: Params{Passive: true}}
	e.add(s)
	for _, round := range []string{"interface", "another of that name"} {
		t.Run(round, func(t *testing.T) {
			n := testns.NewNeighbor(t)
			testns.IP(t, "addr add 192.0.2.1/24 dev near")
			n.IP("addr add 192.0.2.2/24 dev far")
			n.IP("addr add 192.0.2.3/24 dev far")
			n.IP("addr add 198.51.100.2/32 dev far")
			say := func(from string) {
				t.Helper()
				n.Do(func() error {
					l, err := sock.Dial(sock.Path{
						Local: netip.MustParseAddr(from), Peer: netip.MustParseAddr("192.0.2.1"), SourcePort: 50000, Port: packet.Port,
					})
					if err != nil {
						return err
					}
					defer l.Close()
					c := packet.Control{State: packet.Down, DetectMult: 3, MyDiscr: 7, DesiredMinTx: 10 * time.Millisecond, RequiredMinRx: time.Second}
					if errno := l.Send(c.Append(nil)); errno != 0 {
						return errno
					}
					return nil
				})
			}
			before := e.Stats().Dropped[packet.UnsolicitedRefused]
			eventually(t, func() bool {
				say("198.51.100.2")
				return e.Stats().Dropped[packet.UnsolicitedRefused] > before
			})
			eventually(t, func() bool {
				say("192.0.2.2")
				s, _ := e.Session(s.Key)
				return s.State == packet.Init
			})
			say("192.0.2.3")
			eventually(t, func() bool { return e.Stats().Unsolicited == 1 })
		})
		eventually(t, func() bool { s, _ := e.Session(s.Key); return s.State == packet.Down && e.Stats().Sessions == 1 })
	}
}
