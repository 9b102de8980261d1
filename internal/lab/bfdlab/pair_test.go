package bfdlab

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// usual timers are slow enough for a busy machine, on which a false Down would
// be true.
func usual() lab.Timers { return lab.Timers{Interval: 200 * time.Millisecond, Mult: 5} }

// A session is what both sides are told.
type session struct {
	lab.Timers
	v6       bool
	multihop bool   // with a router between
	auth     string // as vipd names it; "": none
}

// The key of sessions with authentication.
const keyID, secret = 7, "a secret of ours"

// A daemon is the other side of a session.
type daemon interface {
	lab.BFDDaemon
	// restart kills it and starts it anew.
	restart()
	// change gives it other timers, while it runs.
	change(lab.Timers)
}

// A kind is one of those daemons.
type kind struct {
	name   string
	start  func(*pair) daemon
	minTTL int // of its packets, with a router between
}

func kinds() []kind { return []kind{frrs(), birds(), gobgps()} }

func frrs() kind { return kind{"FRR", startFRR, 254} }

// BIRD sends with the kernel's TTL, 64, where routers may be between.
func birds() kind { return kind{"BIRD", startBIRD, 63} }

func gobgps() kind { return kind{"GoBGP", startGoBGP, 0} }

// each tells a story with each of these daemons.
func each(t *testing.T, kinds []kind, story func(t *testing.T, k kind)) {
	t.Helper()
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			story(t, k)
		})
	}
}

// A pair is vipd and another daemon with a session, and a record of all that
// they say to each other.
type pair struct {
	*lab.Lab
	session
	node, far   *lab.Host
	here, there netip.Addr // vipd's and the other's
	iface       string     // of the other
	vipd        *lab.Vipd
	peer        daemon
	minTTL      int
	wire        *lab.Capture
}

// newPair starts both.
func newPair(t *testing.T, k kind, s session) *pair {
	t.Helper()
	l := lab.New(t)
	p := &pair{Lab: l, session: s, minTTL: k.minTTL, node: l.Host("node"), far: l.Host("far")}
	if s.multihop {
		p.between()
	} else {
		p.at(l.Connect(p.node, p.far, 1))
	}
	p.wire = p.far.Capture(p.iface, "udp port 3784 or udp port 4784")
	p.peer = k.start(p)
	p.node.Secret("bfd.key", secret)
	p.vipd = p.node.Vipd(p.config(s.Timers))
	return p
}

func (p *pair) at(link *lab.Link) {
	p.here, p.there, p.iface = link.A.V4, link.B.V4, link.B.Iface
	if p.v6 {
		p.here, p.there = link.A.V6, link.B.V6
	}
}

// between puts a router between the two.
func (p *pair) between() {
	p.Helper()
	mid := p.Host("mid")
	mid.Sysctl("net.ipv4.conf.all.forwarding", 1)
	mid.Sysctl("net.ipv6.conf.all.forwarding", 1)
	left, right := p.Connect(p.node, mid, 1), p.Connect(mid, p.far, 2)
	p.node.Run("ip", "route", "add", "default", "via", left.B.V4.String())
	p.node.Run("ip", "route", "add", "default", "via", left.B.V6.String())
	p.far.Run("ip", "route", "add", "default", "via", right.A.V4.String())
	p.far.Run("ip", "route", "add", "default", "via", right.A.V6.String())
	p.at(&lab.Link{A: left.A, B: right.B})
}

// config is vipd's.
func (p *pair) config(t lab.Timers) string {
	more := ""
	if p.auth != "" {
		more = fmt.Sprintf(", auth: {type: %s, key_id: %d, key_file: bfd.key}", p.auth, keyID)
	}
	if p.multihop {
		more += fmt.Sprintf(", min_ttl: %d", p.minTTL)
	}
	return fmt.Sprintf(`bgp: {enabled: false}
log: {level: debug}
bfd:
  profiles: {p: {tx: %[1]s, rx: %[1]s, multiplier: %[2]d%[3]s}}
  sessions: [{peer: %[4]q, local: %[5]q, profile: p, multihop: %[6]t}]
`, t.Interval, t.Mult, more, p.there, p.here, p.multihop)
}

// reload gives vipd another configuration.
func (p *pair) reload(config string) {
	p.Helper()
	p.vipd.Configure(config)
	if !p.vipd.Reload() {
		p.Fatal("vipd refuses the configuration")
	}
}

// up waits until both sides are.
func (p *pair) up() {
	p.Helper()
	p.Within(soon, "vipd's session is up", func() error { return p.is(3) })
	p.Within(soon, "the other's session is up", func() error { return lab.BFDIs(p.peer, p.here, "Up") })
}

// is returns an error unless vipd's session is in a state, by its number in RFC
// 5880 §4.1.
func (p *pair) is(state float64) error {
	if got := p.vipd.Metric("vipd_bfd_session_state"); got != state {
		return fmt.Errorf("the state is %v, not %v", got, state)
	}
	return nil
}

// detects returns an error unless vipd's session has this detection time.
func (p *pair) detects(want time.Duration) error {
	if got := p.vipd.Metric("vipd_bfd_session_detection_seconds"); got != want.Seconds() {
		return fmt.Errorf("the detection time is %v s, not %s", got, want)
	}
	return nil
}

// falls is how often vipd's session left Up.
func (p *pair) falls() int { return int(p.vipd.Metric("vipd_bfd_transitions_total", `from="Up"`)) }

// fell returns an error unless it did so.
func (p *pair) fell(want int) error {
	if got := p.falls(); got != want {
		return fmt.Errorf("it left Up %d times, not %d", got, want)
	}
	return nil
}

// stop ends vipd as systemd does.
func (p *pair) stop() {
	p.Helper()
	p.vipd.Signal(syscall.SIGTERM)
	if code := p.vipd.Wait(soon); code != 0 {
		p.Errorf("vipd exits with %d", code)
	}
}

// without is vipd's configuration without its session.
func without(config string) string {
	before, _, _ := strings.Cut(config, "  sessions:")
	return before
}
