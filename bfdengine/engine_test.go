package bfdengine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

func TestMain(m *testing.M) {
	if arg, ok := os.LookupEnv(loadPeer); ok {
		os.Exit(runLoadPeer(arg))
	}
	if name, ok := os.LookupEnv(unprivileged); ok {
		os.Exit(tryUnprivileged(name))
	}
	if os.Getenv(realtimeProcess) != "" {
		os.Exit(beRealtime())
	}
	os.Exit(testns.Main(m))
}

// An engine runs until the test ends.
type running struct {
	*Engine
	t    *testing.T
	stop func() // and wait
	sub  *Subscription
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	testns.Need(t)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := &running{Engine: e, t: t, sub: e.Subscribe()}
	go func() { done <- e.Run(ctx) }()
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(r.stop)
	return r
}

func on(addrs ...string) Options {
	o := Options{Farewell: -1}
	for _, a := range addrs {
		o.Listen = append(o.Listen, netip.MustParseAddr(a))
	}
	return o
}

func spec(local, peer string) Spec {
	return Spec{
		Key:    Key{Local: netip.MustParseAddr(local), Peer: netip.MustParseAddr(peer)},
		Params: Params{DesiredMinTx: 50 * time.Millisecond, RequiredMinRx: 50 * time.Millisecond},
	}
}

func (r *running) add(s Spec) {
	r.t.Helper()
	if err := r.Add(r.t.Context(), s); err != nil {
		r.t.Fatal(err)
	}
}

// await reads transitions until one is to this state.
func (r *running) await(to packet.State) Change {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	for {
		changes, err := r.sub.Next(ctx)
		if err != nil {
			r.t.Fatalf("waiting for %s: %v\n%+v\n%+v", to, err, r.Sessions(), r.Stats())
		}
		for _, c := range changes {
			if c.To == to {
				return c
			}
		}
	}
}

func TestTwoEnginesComeUpAndTellEachOther(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		edit       func(*Spec)
	}{
		{"ipv4", "127.0.1.1", "127.0.1.2", func(*Spec) {}},
		{"multihop", "127.0.1.1", "127.0.1.2", func(s *Spec) { s.Multihop = true }},
		{"bound to an interface", "127.0.1.1", "127.0.1.2", func(s *Spec) { s.Interface = "lo" }},
		{"authenticated", "127.0.1.1", "127.0.1.2", func(s *Spec) {
			s.Auth = Auth{packet.MeticulousSHA1, []packet.Key{{ID: 1, Secret: []byte("secret")}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := on(tt.a)
			o.Farewell = time.Second
			a, b := start(t, o), start(t, on(tt.b))
			ab, ba := spec(tt.a, tt.b), spec(tt.b, tt.a)
			tt.edit(&ab)
			tt.edit(&ba)
			a.add(ab)
			b.add(ba)
			a.await(packet.Up)
			b.await(packet.Up)

			s, ok := b.Session(ba.Key)
			if !ok || s.State != packet.Up || s.Source.Port() < packet.MinSourcePort || s.Problem != "" {
				t.Errorf("%t %+v", ok, s)
			}
			a.stop()
			c := b.await(packet.Down)
			if c.Diag != packet.NeighborSignaledSessionDown || !c.RemoteAdmin || c.Missed != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// ip runs a command of iproute2, which not every machine has.
func ip(t *testing.T, line string) {
	t.Helper()
	testns.Need(t)
	out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("VIPD_REQUIRE") == "1":
		t.Fatalf("ip %s: %v: %s", line, err, out)
	default:
		t.Skipf("SKIPPED: ip %s: %v: %s", line, err, out)
	}
}

func TestTwoEnginesOverIPv6(t *testing.T) {
	for _, a := range []string{"2001:db8::1/128", "2001:db8::2/128"} {
		ip(t, "addr add "+a+" dev lo nodad")
		t.Cleanup(func() { ip(t, "addr del "+a+" dev lo") })
	}
	a, b := start(t, on("2001:db8::1")), start(t, on("2001:db8::2"))
	a.add(spec("2001:db8::1", "2001:db8::2"))
	b.add(spec("2001:db8::2", "2001:db8::1"))
	a.await(packet.Up)
	b.await(packet.Up)
}

// T61, on a wire: the peer has one address on two links.
func TestLinkLocalPeersOnTwoLinks(t *testing.T) {
	for _, n := range []string{"0", "1"} {
		ip(t, "link add near"+n+" type veth peer name far"+n)
		t.Cleanup(func() { ip(t, "link del near"+n) })
		for _, line := range []string{
			"link set near" + n + " addrgenmode none up", "link set far" + n + " addrgenmode none up",
			"addr add fe80::1/64 dev near" + n + " nodad", "addr add fe80::2/64 dev far" + n + " nodad",
		} {
			ip(t, line)
		}
	}
	e := start(t, Options{Farewell: -1})
	keys := map[string]Key{}
	for _, dev := range []string{"near0", "near1"} {
		s := Spec{Key: Key{Peer: netip.MustParseAddr("fe80::2%" + dev)}}
		e.add(s)
		keys[dev] = Key{Peer: s.Peer, Interface: dev}
	}
	// The peer's end is seen as packets at the link: whose discriminator leaves
	// by which.
	for dev, far := range map[string]string{"near0": "far0", "near1": "far1"} {
		s, ok := e.Session(keys[dev])
		if !ok || s.Problem != "" {
			t.Fatalf("%s: %t %s", dev, ok, s.Problem)
		}
		if got := sniff(t, far); got.MyDiscr != s.Discr {
			t.Errorf("on %s discriminator %08x, want %08x", far, got.MyDiscr, s.Discr)
		}
	}
}

// As a bond or a VLAN does at a change of its configuration: the name stays, the
// index does not.
func TestAnInterfaceMayBeMadeAnew(t *testing.T) {
	lay := func() {
		for _, line := range []string{
			"link add near0 type veth peer name far0",
			"link set near0 addrgenmode none up", "link set far0 addrgenmode none up",
			"addr add fe80::1/64 dev near0 nodad", "addr add fe80::2/64 dev far0 nodad",
		} {
			ip(t, line)
		}
	}
	e := start(t, Options{Farewell: -1})
	key := Key{Peer: netip.MustParseAddr("fe80::2%near0")}
	e.add(Spec{Key: key})
	if s, _ := e.Session(key); s.Problem != "interface near0: no such device" {
		t.Errorf("before it is there: %q", s.Problem)
	}
	for range 2 {
		lay()
		first := sniff(t, "far0")
		if s, _ := e.Session(key); s.Discr != first.MyDiscr || s.Problem != "" {
			t.Errorf("%q, %08x on the wire, want %08x", s.Problem, first.MyDiscr, s.Discr)
		}
		ip(t, "link del near0")
	}
}

// sniff waits for a BFD packet from fe80::1 on an interface.
func sniff(t *testing.T, dev string) packet.Control {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IPV6)))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	i, err := net.InterfaceByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IPV6), Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	for b := make([]byte, 2000); ; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatalf("no BFD packet on %s: %v", dev, err)
		}
		const headers = 40 + 8
		if c, reason := packet.Parse(b[min(headers, n):n]); reason == packet.None && b[6] == unix.IPPROTO_UDP && b[7] == 255 {
			if class := b[0]<<4 | b[1]>>4; class != 0xc0 {
				t.Errorf("traffic class %#x", class)
			}
			return c
		}
	}
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func TestAnUpdateIsNegotiatedWithoutADown(t *testing.T) {
	a, b := start(t, on("127.0.1.1")), start(t, on("127.0.1.2"))
	ab := spec("127.0.1.1", "127.0.1.2")
	a.add(ab)
	b.add(spec("127.0.1.2", "127.0.1.1"))
	a.await(packet.Up)
	b.await(packet.Up)
	ab.RequiredMinRx = 30 * time.Millisecond
	ab.DetectMult = 7
	if err := a.Update(t.Context(), ab); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		s, _ := b.Session(spec("127.0.1.2", "127.0.1.1").Key)
		return s.RemoteMinRx == 30*time.Millisecond && s.RemoteMult == 7
	})
	s, _ := a.Session(ab.Key)
	if s.Downs != 0 || s.State != packet.Up {
		t.Errorf("%+v", s)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	timer := time.NewTicker(5 * time.Millisecond)
	defer timer.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-timer.C {
		if time.Now().After(end) {
			t.Fatal("it never came true")
		}
	}
}

func TestWhatIsNotThereIsAnError(t *testing.T) {
	e := start(t, on("127.0.1.1"))
	k := spec("127.0.1.1", "127.0.1.2").Key
	for name, err := range map[string]error{
		"update":          e.Update(t.Context(), Spec{Key: k}),
		"remove":          e.Remove(t.Context(), k),
		"set admin":       e.SetAdmin(t.Context(), k, true, packet.AdministrativelyDown),
		"another family":  e.Add(t.Context(), Spec{Key: Key{Peer: netip.IPv6Loopback()}}),
		"a second run":    e.Run(t.Context()),
		"a second listen": e.Listen(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, ok := e.Session(k); ok {
		t.Error("there is a session")
	}
	e.stop()
	if err := e.Add(t.Context(), Spec{Key: k}); err != ErrStopped {
		t.Errorf("after the end: %v", err)
	}
	if s := e.Sessions(); s != nil {
		t.Errorf("after the end: %v", s)
	}
}

func TestCallersAreServedWhileItRuns(t *testing.T) {
	e := start(t, on("127.0.1.1"))
	const n = 100
	for i := range n {
		e.add(spec("127.0.1.1", netip.AddrFrom4([4]byte{127, 0, 2, byte(i)}).String()))
	}
	if s := e.Sessions(); len(s) != n {
		t.Errorf("%d sessions", len(s))
	}
	k := spec("127.0.1.1", "127.0.2.5").Key
	if err := e.SetAdmin(t.Context(), k, true, packet.PathDown); err != nil {
		t.Fatal(err)
	}
	c := e.await(packet.AdminDown)
	if s, _ := e.Session(k); c.Key != k || s.State != packet.AdminDown || s.Diag != packet.PathDown || len(s.Transitions) != 1 || s.Seq != 1 {
		t.Errorf("%v, %+v", c, s)
	}
	if err := e.SetAdmin(t.Context(), k, false, 0); err != nil {
		t.Fatal(err)
	}
	e.await(packet.Down)
	if err := e.Remove(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Sessions != n-1 || s.Sent < n {
		t.Errorf("%d sessions, %d sent", s.Sessions, s.Sent)
	}
}

func TestATakenPortIsAClearError(t *testing.T) {
	start(t, on("127.0.1.1"))
	e, err := New(on("127.0.1.1"))
	if err != nil {
		t.Fatal(err)
	}
	err = e.Listen()
	self, _ := os.ReadFile("/proc/self/comm")
	want := fmt.Sprintf("bfd engine: udp 127.0.1.1:3784 is taken (by %s, pid %d): end that, or give the engine "+
		"other addresses to listen on: bind: address already in use", strings.TrimSpace(string(self)), os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
