package bfdengine

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A rig is a worker without a kernel: the test holds its clock, hands it
// datagrams and gets what it sends. A packet that no test took is an error.
type rig struct {
	*worker
	t     *testing.T
	clock time.Time
	links []*fakeLink
	sent  []sentPacket
	sub   *Subscription
	// refuse is what opening a link gives.
	refuse func(sock.Path) error
}

type sentPacket struct {
	packet.Control
	by *fakeLink
	at time.Time
}

type fakeLink struct {
	r      *rig
	path   sock.Path
	errno  unix.Errno // of Send
	closed bool
	// refreshed counts.
	refreshed int
}

func (l *fakeLink) Send(b []byte) unix.Errno {
	if l.closed {
		l.r.t.Error("sent on a closed link")
	}
	if l.errno != 0 {
		return l.errno
	}
	c, reason := packet.Parse(b)
	if reason != packet.None {
		l.r.t.Errorf("sent a packet that is %s", reason)
	}
	l.r.sent = append(l.r.sent, sentPacket{c, l, l.r.clock})
	return 0
}

func (l *fakeLink) Local() (netip.AddrPort, error) {
	return netip.AddrPortFrom(l.path.Local, l.path.SourcePort), nil
}

func (l *fakeLink) Refresh() error { l.refreshed++; return nil }

func (l *fakeLink) Close() { l.closed = true }

var ifindexes = map[string]int{"": 0, "lo": 1, "eth0": 2, "eth1": 3} // never written

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, clock: time.Now(), refuse: func(sock.Path) error { return nil }, sub: e.Subscribe()}
	r.worker = newWorker(e.options, e.hub, e.calls)
	r.worker.clock = func() time.Time { return r.clock }
	r.now = r.clock
	r.dial = func(p sock.Path) (link, int, error) {
		if err := r.refuse(p); err != nil {
			return nil, 0, err
		}
		l := &fakeLink{r: r, path: p}
		r.links = append(r.links, l)
		return l, ifindexes[p.Interface], nil
	}
	r.direct = func(netip.Addr, int) bool { return true }
	r.interfaceName = func(index int) (string, error) {
		for name, i := range ifindexes {
			if i == index {
				return name, nil
			}
		}
		return "", errors.New("no such interface")
	}
	return r
}

// step is a turn of the worker without its sockets.
func (r *rig) step(now time.Time, received []sock.Datagram) {
	r.now = now
	for i := range received {
		r.receive(&received[i])
	}
	r.advance(now)
	r.flush()
}

// want adds a session, which must be possible.
func (r *rig) want(s Spec) *entry {
	r.t.Helper()
	s, err := s.normal()
	if err == nil {
		err = r.add(s)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.flush()
	return r.table.key(s.Key)
}

// pass lets time pass, with a step whenever something is due.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.clock.Add(d)
	for {
		next, ok := r.wheel.Next()
		if !ok || next.After(end) {
			break
		}
		r.clock = next
		r.step(r.clock, nil)
	}
	r.clock = end
	r.step(end, nil)
}

// take gives what was sent since it was last called.
func (r *rig) take() []sentPacket {
	sent := r.sent
	r.sent = nil
	return sent
}

// A wire is how a scripted peer's packet arrives.
type wire struct {
	sock.Datagram
	packet.Control
}

// from is a packet as the peer of e would send it, good in every way.
func (r *rig) from(e *entry, state packet.State) wire {
	w := wire{
		sock.Datagram{
			Peer: e.spec.Peer.WithZone(""), Local: e.spec.Local, Interface: max(e.ifindex, 1),
			TTL: 255, Port: packet.Port, At: r.clock,
		},
		packet.Control{
			State: state, DetectMult: 3, MyDiscr: 0xbeef, YourDiscr: e.discr,
			DesiredMinTx: 100 * time.Millisecond, RequiredMinRx: 100 * time.Millisecond,
		},
	}
	if !w.Local.IsValid() {
		w.Local = netip.MustParseAddr("192.0.2.1")
	}
	if e.spec.Multihop {
		w.Port = packet.PortMultihop
	}
	return w
}

func (r *rig) receiveAll(all ...wire) {
	datagrams := make([]sock.Datagram, len(all))
	for i, w := range all {
		datagrams[i] = w.Datagram
		datagrams[i].Payload = w.Control.Append(nil)
	}
	r.step(r.clock, datagrams)
}

// up brings e up.
func (r *rig) up(e *entry) {
	r.t.Helper()
	r.receiveAll(r.from(e, packet.Init))
	r.wantState(e, packet.Up)
	r.take()
	r.changes()
}

func (r *rig) wantState(e *entry, want packet.State) {
	r.t.Helper()
	if got := e.session.View().State; got != want {
		r.t.Errorf("%s is %s, want %s", e.spec.Key, got, want)
	}
}

// changes gives the transitions since it was last called.
func (r *rig) changes() []Change {
	r.t.Helper()
	if !r.hub.publish() {
		r.t.Fatal("nobody reads, and yet transitions can't be published")
	}
	all, _ := r.sub.take()
	return all
}

// wantDrops fails for every count that is not in want.
func (r *rig) wantDrops(want map[packet.Reason]uint64) {
	r.t.Helper()
	for reason, n := range r.stats.Dropped {
		if want[packet.Reason(reason)] != n {
			r.t.Errorf("%d packets dropped for %s, want %d", n, packet.Reason(reason), want[packet.Reason(reason)])
		}
	}
}

// hundred is a session of 100 ms × 3 with a peer.
func hundred(peer string) Spec {
	return Spec{
		Key:    Key{Peer: netip.MustParseAddr(peer)},
		Params: Params{DesiredMinTx: 100 * time.Millisecond, RequiredMinRx: 100 * time.Millisecond},
	}
}
