package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// calm is for sessions that should not fail on a busy machine.
var calm = bfdengine.Params{DesiredMinTx: 100 * time.Millisecond, RequiredMinRx: 100 * time.Millisecond, DetectMult: 10}

// twoHosts are loopback addresses of a test's own, where BFD's ports are free
// also while another process runs the same test.
func twoHosts(test byte) (here, there string) {
	pid := os.Getpid()
	at := func(last byte) string {
		return netip.AddrFrom4([4]byte{127, 64 + byte(pid%64), byte(pid / 64), test<<2 | last}).String()
	}
	return at(1), at(2)
}

// A router is the other side of vipd's session.
type router struct {
	*bfdengine.Engine
	key  bfdengine.Key
	stop func() // without a goodbye
}

// routerAt runs one at peer with a session to local, vipd's address.
func routerAt(t *testing.T, peer, local string, p bfdengine.Params) *router {
	t.Helper()
	engine, err := bfdengine.New(bfdengine.Options{Listen: []netip.Addr{netip.MustParseAddr(peer)}, Farewell: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }() // ends with stop
	r := &router{Engine: engine, key: bfdengine.Key{Peer: netip.MustParseAddr(local), Local: netip.MustParseAddr(peer)}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	if err := engine.Add(t.Context(), bfdengine.Spec{Key: r.key, Params: p}); err != nil {
		t.Fatal(err)
	}
	return r
}

// running runs a daemon until stop, which wants it to end well.
func running(t *testing.T, o Options) (stop func()) {
	t.Helper()
	signals := make(chan os.Signal, 1)
	o.Signals = signals
	done := make(chan error, 1)
	go func() { done <- Run(context.Background(), o) }()
	return func() {
		t.Helper()
		signals <- syscall.SIGTERM
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

const bfdOnly = noBGP + `
bfd:
  listen: [%[1]s]
  profiles: {fast: {tx: 100ms, rx: 100ms, multiplier: 10}}
checks: {web: {kind: http}, alive: {kind: bfd, profile: fast, local: %[1]s, interval: 100ms, rise: 1}}
vips: [{name: web, prefix: 192.0.2.1, check: alive, backends: [{address: '%[2]s:80'}]}]
`

// once removes the first checks section, which noBGP has.
func once(text string) string {
	first, rest, _ := strings.Cut(text, "\nchecks:")
	_, rest, _ = strings.Cut(rest, "\n")
	return first + "\n" + rest
}

func TestBackendFollowsItsBFDSession(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(1)
	o, logs := options(t, once(fmt.Sprintf(bfdOnly, here, there)))
	up, advertised, withdrawn := awaited(&o, "bfd session Up"), awaited(&o, "vip advertised"), awaited(&o, "vip withdrawn")
	stop := running(t, o)
	defer stop()
	r := routerAt(t, there, here, calm)
	defer r.stop()
	wait(t, "session", up)
	wait(t, "advertisement", advertised)
	began := time.Now()
	r.stop()
	wait(t, "withdrawal", withdrawn)
	t.Logf("withdrawn after %s", time.Since(began))
	if logs.FilterMessage("backend down").Len() != 1 ||
		!strings.Contains(fmt.Sprint(logs.FilterMessage("backend down").All()[0].ContextMap()["reason"]), "Control Detection Time Expired") {
		t.Errorf("log: %v", logs.FilterMessage("backend down").All())
	}
}

// AdminDown is no failure to a peer (RFC 5882 §3.2): vipd says so when it leaves,
// and not before.
func TestPeersHearAdminDownAtTheEndOfTheDrain(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(2)
	text := strings.Replace(once(fmt.Sprintf(bfdOnly, here, there)), "grace_period: 0s", "grace_period: 300ms", 1)
	o, _ := options(t, text)
	up, withdrawn := awaited(&o, "bfd session Up"), awaited(&o, "all routes withdrawn")
	stop := running(t, o)
	r := routerAt(t, there, here, calm)
	defer r.stop()
	wait(t, "session", up)
	changes := r.Subscribe()
	defer changes.Close()
	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	wait(t, "withdrawal", withdrawn)
	atWithdrawal := time.Now()
	for {
		all, err := changes.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if c.From != packet.Up {
				continue
			}
			if !c.RemoteAdmin {
				t.Errorf("the peer saw a failure: %+v", c)
			}
			if early := c.At.Sub(atWithdrawal); early < 250*time.Millisecond {
				t.Errorf("BFD ended %s after the withdrawal, within the grace period", early)
			}
			<-ended
			return
		}
	}
}

func TestTakenBFDPortEndsTheStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(3)
	r := routerAt(t, here, there, calm)
	defer r.stop()
	o, _ := options(t, once(fmt.Sprintf(bfdOnly, here, there)))
	err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), here+":3784 is taken") {
		t.Errorf("error %v", err)
	}
}

func TestSchedulingThatCanNotBeEndsTheStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(5)
	text := strings.Replace(once(fmt.Sprintf(bfdOnly, here, there)), "profiles:", "scheduling: {cpus: [1000]}\n  profiles:", 1)
	o, _ := options(t, text)
	err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "bfd.scheduling: bfd engine: run on cpus [1000]") {
		t.Errorf("error %v", err)
	}
}

func TestNothingListensWithoutSessions(t *testing.T) {
	l := newLiveness(zap.NewNop())
	if err := l.open(parse(t, noBGP+"bfd: {profiles: {a: {}}}").BFD); err != nil || l.isOpen() {
		t.Errorf("open: %t, %v", l.isOpen(), err)
	}
}

func TestSessionThatCanNotSendIsToldOnce(t *testing.T) {
	here, there := twoHosts(4)
	o, logs := options(t, once(fmt.Sprintf(bfdOnly, here, there)))
	l := newLiveness(o.Log)
	if err := l.open(o.Config.BFD); err != nil {
		t.Fatal(err)
	}
	specs := specsOf(o.Config)
	for key, spec := range specs { // from an address that is not ours
		delete(specs, key)
		spec.Local = netip.MustParseAddr("192.0.2.99")
		specs[spec.Key] = spec
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.engine.Run(ctx) }() // ends with ctx
	l.want(specs)
	l.reconcile(ctx, map[bfdengine.Key]bfdengine.Spec{}, map[bfdengine.Key]string{})
	known := l.look(nil)
	l.look(known)
	if told := logs.FilterMessage("bfd session can't send"); len(known) != 1 || told.Len() != 1 {
		t.Errorf("known %v, told %v", known, told.All())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The engine's farewell is an AdminDown of ours. Heard by those who follow
// neighbors, it would end all failures, and enable who is to stay disabled.
func TestFarewellIsNoNews(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(8)
	o, _ := options(t, once(fmt.Sprintf(bfdOnly, here, there)))
	l := newLiveness(o.Log)
	var last atomic.Uint32
	l.changed = func(all []bfdengine.Change) { last.Store(uint32(all[len(all)-1].To)) }
	if err := l.open(o.Config.BFD); err != nil {
		t.Fatal(err)
	}
	l.want(specsOf(o.Config))
	stop := alone(t, l)
	r := routerAt(t, there, here, calm)
	until(t, "session", func() bool { return packet.State(last.Load()) == packet.Up })
	stop()
	if s, _ := r.Session(r.key); s.RemoteState != packet.AdminDown {
		t.Errorf("the peer heard %s", s.RemoteState)
	}
	r.stop()
	if have := packet.State(last.Load()); have != packet.Up {
		t.Errorf("told of %s", have)
	}
}

// alone runs sessions without a daemon around them.
func alone(t *testing.T, l *liveness) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }() // ends with stop
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// until looks again and again; there is no event to wait for.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(20 * time.Second)
	for !so() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("no %s", what)
		}
	}
}
