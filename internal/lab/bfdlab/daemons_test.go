package bfdlab

import (
	"fmt"
	"strings"

	"github.com/fiberlb/vipd/internal/lab"
)

// frr is FRR's bfdd.
type frr struct {
	*lab.FRR
	p *pair
}

func startFRR(p *pair) daemon {
	p.Helper()
	f := &frr{p: p}
	f.FRR = p.far.FRR(lab.FRRConfig{BFD: strings.Join(f.config(p.Timers), "\n") + "\n"})
	return f
}

// peer names the session.
func (f *frr) peer() string {
	if f.p.multihop {
		return fmt.Sprintf("peer %s multihop local-address %s", f.p.here, f.p.there)
	}
	return fmt.Sprintf("peer %s local-address %s interface %s", f.p.here, f.p.there, f.p.iface)
}

func (f *frr) config(t lab.Timers) []string {
	lines := []string{"bfd", f.peer(), fmt.Sprintf("receive-interval %d", t.Interval.Milliseconds()),
		fmt.Sprintf("transmit-interval %d", t.Interval.Milliseconds()), fmt.Sprintf("detect-multiplier %d", t.Mult)}
	if f.p.multihop {
		lines = append(lines, "minimum-ttl 254")
	}
	return lines
}

func (f *frr) restart()            { f.Restart() }
func (f *frr) change(t lab.Timers) { f.Configure(f.config(t)...) }

// shut makes the session AdminDown, or ends that.
func (f *frr) shut(down bool) {
	word := "no shutdown"
	if down {
		word = "shutdown"
	}
	f.Configure("bfd", f.peer(), word)
}

// bird is BIRD 2.
type bird struct {
	*lab.BIRD
	p *pair
}

func startBIRD(p *pair) daemon {
	p.Helper()
	b := &bird{p: p}
	b.BIRD = p.far.BIRD(b.config(p.Timers))
	return b
}

func (b *bird) config(t lab.Timers) string {
	types := map[string]string{
		"simple": "simple", "md5": "keyed md5", "meticulous-md5": "meticulous keyed md5",
		"sha1": "keyed sha1", "meticulous-sha1": "meticulous keyed sha1",
	}
	where, neighbor := fmt.Sprintf("interface %q", b.p.iface), fmt.Sprintf("neighbor %s dev %q local %s", b.p.here, b.p.iface, b.p.there)
	if b.p.multihop {
		where, neighbor = "multihop", fmt.Sprintf("neighbor %s local %s multihop yes", b.p.here, b.p.there)
	}
	auth := ""
	if b.p.auth != "" {
		auth = fmt.Sprintf("authentication %s; password %q { id %d; };", types[b.p.auth], secret, keyID)
	}
	return fmt.Sprintf(`router id 192.0.2.1;
log stderr all;
debug protocols { states, events };
protocol device {}
protocol bfd {
	%s {
		min rx interval %[2]d ms; min tx interval %[2]d ms; idle tx interval 1 s; multiplier %[3]d;
		%[4]s
	};
	%[5]s;
}
`, where, t.Interval.Milliseconds(), t.Mult, auth, neighbor)
}

func (b *bird) restart()            { b.Restart() }
func (b *bird) change(t lab.Timers) { b.BIRD.Configure(b.config(t)) }

// gobgp is GoBGP's own BFD, which is part of a BGP neighbor. It doesn't know
// authentication nor other intervals than its own.
type gobgp struct{ lab.GobgpBFD }

func startGoBGP(p *pair) daemon {
	p.Helper()
	us := p.Interval.Microseconds()
	return gobgp{lab.GobgpBFD{Process: p.far.GobgpdFile("4.8.0", fmt.Sprintf(`[global.config]
as = 65000
router-id = "192.0.2.1"
port = -1
[[neighbors]]
[neighbors.config]
neighbor-address = %q
peer-as = 65001
[neighbors.transport.config]
passive-mode = true
local-address = %q
[neighbors.bfd.config]
enabled = true
desired-minimum-tx-interval = %d
required-minimum-receive = %[3]d
detection-multiplier = %[4]d
`, p.here, p.there, us, p.Mult))}}
}

func (g gobgp) restart()          { g.Kill(); g.Again() }
func (g gobgp) change(lab.Timers) {}
