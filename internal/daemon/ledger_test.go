package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/drain"
)

// withBGP is as noBGP, with a speaker that a ledger is.
const withBGP = `
bgp: {gobgp_address: "127.0.0.1:1", manage: false}
http: {listen: ""}
api: {listen: []}
drain: {grace_period: 0s}
checks: {web: {kind: http, interval: 10ms, timeout: 1s, rise: 1, fall: 1}}
`

// A ledger is a speaker without neighbors, which outlives vipd and notes what is
// written to it.
type ledger struct {
	mu      sync.Mutex // calls come by the reconciler's goroutines
	paths   map[netip.Prefix]bgpclient.Path
	written []string
}

func newLedger() *ledger { return &ledger{paths: map[netip.Prefix]bgpclient.Path{}} }

func (l *ledger) dial(context.Context) (bgpclient.Conn, error) { return &page{ledger: l}, nil }

// take returns what was written since it was last called.
func (l *ledger) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.written
	l.written = nil
	return was
}

func (l *ledger) has(prefix string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.paths[netip.MustParsePrefix(prefix)]
	return ok
}

// A page is a connection to it.
type page struct {
	bgpclient.Conn // panics for what is not below
	*ledger
}

func (p *page) API() string  { return "fake" }
func (p *page) Close() error { return nil }

func (p *page) Global(context.Context) (bgpclient.Global, error) {
	return bgpclient.Global{ASN: 65001, RouterID: netip.MustParseAddr("10.9.9.9")}, nil
}

func (p *page) Neighbors(context.Context) ([]bgpclient.NeighborState, error) { return nil, nil }

func (p *page) Paths(_ context.Context, prefixes []netip.Prefix, yield func(bgpclient.Path)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for prefix, path := range p.paths {
		if prefixes == nil || slices.Contains(prefixes, prefix) {
			yield(path)
		}
	}
	return nil
}

func (p *page) Apply(_ context.Context, ops []bgpclient.Op) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, op := range ops {
		p.written = append(p.written, fmt.Sprint(op.Verb, " ", op.Route))
		delete(p.paths, op.Route.Prefix)
		if op.Verb == bgpclient.Put {
			p.paths[op.Route.Prefix] = bgpclient.Path{Route: op.Route, ID: Owner("n")}
		}
	}
	return nil
}

func (p *page) Watch(ctx context.Context, ready func(), _ func(bgpclient.Change)) error {
	ready()
	<-ctx.Done()
	return nil
}

// silent is the address of a backend that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// bgpVIPs is withBGP with VIPs a and b whose backends never answer, and more.
func bgpVIPs(backend, more string) string {
	text := strings.Replace(withBGP, "interval: 10ms, timeout: 1s", "interval: 1h, timeout: 10m", 1) + "vips:\n"
	for i, name := range []string{"a", "b"} {
		text += fmt.Sprintf("  - {name: %s, prefix: 192.0.2.%d, check: web, backends: [{address: %q}]}\n", name, i+1, backend)
	}
	return text + more
}

func ledgered(t *testing.T, l *ledger, text string) Options {
	t.Helper()
	o := stateful(t, text)
	o.dial = l.dial
	return o
}

func sync2(t *testing.T, n node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.rec.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

// "A restart of vipd flaps nothing", whoever made a VIP, and whoever decided.
func TestRestartWritesNothing(t *testing.T) {
	l := newLedger()
	o := ledgered(t, l, bgpVIPs(silent(t), ""))
	n, _, kill := lives(t, o)
	upsert(t, n, spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) { v.Backends[0].Address = silent(t) }))
	upsert(t, n, spec("d", "192.0.2.4", func(v *vipdv1.VipSpec) { v.Backends[0].Address = silent(t) }))
	for vip, word := range map[string]string{"a": "advertise", "b": "withdraw", "c": "advertise"} {
		if _, err := n.SetOverride(t.Context(), "me", override(vip, word, time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	sync2(t, n)
	if !l.has("192.0.2.1/32") || l.has("192.0.2.2/32") || !l.has("192.0.2.3/32") || l.has("192.0.2.4/32") {
		t.Fatalf("written: %q", l.take())
	}
	for range 2 {
		kill()
		l.take()
		n, _, kill = lives(t, o)
		sync2(t, n)
		wantVIP(t, n, "c", "advertised", "override_advertise")
		if written := l.take(); len(written) > 0 {
			t.Errorf("a restart wrote %q", written)
		}
	}
	// Of what no life decided, the route of the one before stays.
	if _, err := n.SetOverride(t.Context(), "me", override("c", "auto", 0)); err != nil {
		t.Fatal(err)
	}
	sync2(t, n)
	if !l.has("192.0.2.3/32") {
		t.Error("an undecided VIP was withdrawn")
	}
}

// A weak node that restarts does not look strong for a moment, whoever advertises.
func TestRestartHidesNoWeaknessOfAnOverride(t *testing.T) {
	var hang atomic.Bool
	release := make(chan struct{})
	backend := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if hang.Load() {
				<-release
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	l := newLedger()
	o := ledgered(t, l, bgpVIPs(silent(t), fmt.Sprintf("  - {name: w, prefix: 192.0.2.3, check: web, degraded: [{below: 2, med: 200}], backends: [{address: %q}, {address: %q}]}\n",
		backend(200), backend(500))))
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer) // before the servers are closed
	n, _, kill := lives(t, o)
	eventually(t, "it is degraded", func() bool {
		v, err := n.GetVip(t.Context(), "w")
		return err == nil && v.GetDegraded() && v.GetTally().GetUnknown() == 0
	})
	if _, err := n.SetOverride(t.Context(), "me", override("w", "advertise", 0)); err != nil {
		t.Fatal(err)
	}
	sync2(t, n)
	kill()
	hang.Store(true)
	l.take()
	n, _, _ = lives(t, o)
	sync2(t, n)
	wantVIP(t, n, "w", "undecided", "undecided")
	answer()
	eventually(t, "it is degraded again", func() bool {
		v, err := n.GetVip(t.Context(), "w")
		return err == nil && v.GetRule() == "override_advertise" && v.GetDegraded()
	})
	sync2(t, n)
	if written := l.take(); len(written) > 0 {
		t.Errorf("a restart wrote %q", written)
	}
}

// A drain is confirmed when no route is there, and not when none is wanted: one
// of a former life may be kept still.
func TestDrainIsNotConfirmedWhileRoutesAreKept(t *testing.T) {
	l := newLedger()
	o := ledgered(t, l, bgpVIPs(silent(t), ""))
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetOverride(t.Context(), "me", override("a", "auto", 0)); err != nil {
		t.Fatal(err)
	}
	sync2(t, n)
	kill()
	n, _, _ = lives(t, o)
	sync2(t, n) // a is undecided, and its route is kept
	if done, left, err := n.routesGone(t.Context()); done || left != 1 {
		t.Errorf("done %t with %d routes left, error %v", done, left, err)
	}
}

// A node that an operator drained is not announced again when vipd stops,
// however far the drain has told to be.
func TestStopOfADrainedNodeAnnouncesNothing(t *testing.T) {
	signals := make(chan os.Signal, 2)
	l := newLedger()
	o := ledgered(t, l, strings.Replace(bgpVIPs(silent(t), ""), "grace_period: 0s", "grace_period: 0s, prefer_others: 1h", 1))
	o.Signals = signals
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", 0)); err != nil {
		t.Fatal(err)
	}
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{}, func(*vipdv1.DrainProgress) error { return nil }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "others are preferred", func() bool {
		v, err := n.GetVip(t.Context(), "a")
		return err == nil && v.GetGracefulShutdown()
	})
	// The runner's next step, of which it has not told yet.
	if err := n.phase(t.Context(), healthloop.Withdrawing, drain.Order{By: "me"}); err != nil {
		t.Fatal(err)
	}
	sync2(t, n)
	l.take()
	signals <- syscall.SIGTERM
	eventually(t, "it leaves", func() bool { return n.stopping.Load() != nil })
	signals <- syscall.SIGTERM // lest it waits
	kill()
	for _, written := range l.take() {
		if strings.HasPrefix(written, "put") {
			t.Errorf("announced again: %s", written)
		}
	}
	if left := len(l.paths); left > 0 {
		t.Errorf("%d routes are left", left)
	}
}

// An end has a monotonic reading: nobody moves it who sets the clock.
func TestEndsDoNotFollowTheWallClock(t *testing.T) {
	n, _, _ := lives(t, stateful(t, withVIPs))
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", time.Hour)); err != nil {
		t.Fatal(err)
	}
	all, err := n.loop.Look(t.Context(), []string{"a"})
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Override.Until.String(), " m=") {
		t.Errorf("%v, %v", all, err)
	}
}
