package healthloop

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// of is a tally of backends of weight 1.
func of(healthy, unknown, total int) Tally {
	return Tally{healthy, unknown, total, healthy, unknown, total}
}

func count(n int) Policy   { return Policy{MinHealthy: Threshold{Count: n}} }
func percent(n int) Policy { return Policy{MinHealthy: Threshold{Percent: n}} }

func (p Policy) degraded(below ...Threshold) Policy {
	for _, b := range below {
		p.Degraded = append(p.Degraded, Level{Below: b})
	}
	return p
}

func TestLinkBandwidth(t *testing.T) {
	const minute = time.Minute
	now := func(bw float64) Intent { return Intent{State: Advertised, LinkBandwidth: bw} }
	for _, tt := range []struct {
		name  string
		tally Tally
		last  Intent
		since time.Duration // of the capacity, before noon
		want  float64
		again time.Duration // after noon; 0: never
	}{
		{"exact for few", of(2, 0, 3), Intent{}, 0, 2000, 0},
		{"by weight", Tally{1, 0, 2, 5, 0, 8}, Intent{}, 0, 5000, 0},
		{"the first one is what is there", of(3, 0, 3), Intent{State: Withdrawn}, 0, 3000, 0},
		{"less at once", of(1, 0, 3), now(3000), 0, 1000, 0},
		{"more has to settle", of(3, 0, 3), now(1000), 20 * time.Second, 1000, 40 * time.Second},
		{"more has settled", of(3, 0, 3), now(1000), minute, 3000, 0},
		{"the same", of(3, 0, 3), now(3000), 0, 3000, 0},
		{"none before, so at once", of(3, 0, 3), now(0), 0, 3000, 0},
		{"unknown counts", of(1, 2, 3), now(3000), 0, 3000, 0},
		{"nearest sixteenth", of(97, 0, 100), Intent{}, 0, 100e3, 0},
		{"next sixteenth", of(96, 0, 100), Intent{}, 0, 93750, 0},
		{"never nothing", of(1, 0, 100), Intent{}, 0, 6250, 0},
		{"forced with nothing", of(0, 0, 3), Intent{}, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1000, Settle: minute}}
			in := Inputs{Tally: tt.tally, Last: tt.last, CapacitySince: noon.Add(-tt.since)}
			in.Override.Word = ForceAdvertise
			got := Decide(p, in, noon)
			again := time.Time{}
			if tt.again != 0 {
				again = noon.Add(tt.again)
			}
			if got.State != Advertised || got.LinkBandwidth != tt.want || !got.Again.Equal(again) {
				t.Errorf("got %g and again %v, want %g and %v", got.LinkBandwidth, got.Again, tt.want, again)
			}
		})
	}
}

func TestTheEarliestEndCounts(t *testing.T) {
	const m, h = time.Minute, time.Hour
	in := Inputs{Tally: of(3, 0, 3), CapacitySince: noon, Last: Intent{State: Advertised, LinkBandwidth: 1}}
	for _, tt := range []struct{ settle, override, drain, want time.Duration }{
		{h, m, 2 * h, m}, {h, 2 * h, 3 * h, h}, {h, 3 * h, m, m}, {3 * h, 2 * h, h, h},
	} {
		p := Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1, Settle: tt.settle}}
		in.Override = Override{Word: ForceAdvertise, Until: noon.Add(tt.override)}
		in.Drain = Drain{Phase: PreferOthers, Until: noon.Add(tt.drain)}
		if got := Decide(p, in, noon).Again; !got.Equal(noon.Add(tt.want)) {
			t.Errorf("%+v: again %v", tt, got)
		}
	}
}

// situation draws all that Decide is told; draw returns a number below n.
func situation(draw func(n int) int) (Policy, []record, Inputs) {
	threshold := func() Threshold {
		if draw(2) == 0 {
			return Threshold{Percent: 1 + draw(100)}
		}
		return Threshold{Count: draw(6)}
	}
	when := func() time.Time {
		return [...]time.Time{{}, noon, noon.Add(time.Duration(draw(240)-120) * time.Second)}[draw(3)]
	}
	p := Policy{MinHealthy: threshold(), OnUplinksDown: UplinkPolicy(draw(2))}
	below := draw(100)
	for range draw(3) {
		below++
		p.Degraded = append(p.Degraded, Level{Below: Threshold{Percent: below}})
	}
	if draw(2) == 0 {
		p.LinkBandwidth = LinkBandwidth{PerWeight: 125e6, Settle: time.Duration(draw(100)) * time.Second}
	}
	in := Inputs{
		Override:      Override{Word: Word(draw(3)), By: "bob", Until: when()},
		Drain:         Drain{Phase: DrainPhase(draw(3)), Until: when()},
		Uplinks:       Uplinks{Up: draw(2), Total: 1 + draw(2)},
		Last:          Intent{State: State(draw(3)), LinkBandwidth: float64(draw(10)) * 1e8},
		HoldUntil:     when(),
		CapacitySince: when(),
	}
	backends := make([]record, draw(8))
	for i := range backends {
		// The record's count of good probes stands for the weight here.
		backends[i] = record{health: Health(draw(3)), good: draw(9) * draw(3)}
		in.Tally = in.Tally.plus(backends[i].health, backends[i].good)
	}
	return p, backends, in
}

// checkDecision tests what must hold for any situation.
func checkDecision(t *testing.T, draw func(n int) int) {
	p, backends, in := situation(draw)
	got := Decide(p, in, noon)
	if again := Decide(p, in, noon); again != got {
		t.Fatalf("decided otherwise the second time: %+v, %+v", got, again)
	}
	forced := got.Rule == RuleOverrideAdvertise
	if got.State == Advertised && !forced && !in.Tally.reaches(p.MinHealthy) {
		t.Errorf("advertised below the minimum: %+v", got)
	}
	if !got.Again.IsZero() && !got.Again.After(noon) {
		t.Errorf("again at %v, which is past", got.Again)
	}
	if !strings.HasPrefix(got.Reason, got.State.String()) {
		t.Errorf("%s because %q", got.State, got.Reason)
	}
	if got.State != Advertised && (got.Level != -1 || got.LinkBandwidth != 0 || got.GracefulShutdown) {
		t.Errorf("not announced with attributes: %+v", got)
	}
	if got.GracefulShutdown != (got.State == Advertised && in.Drain.in(noon).Phase == PreferOthers) {
		t.Errorf("graceful shutdown: %+v", got)
	}
	if p.LinkBandwidth.PerWeight > 0 && got.State == Advertised && in.Tally.Healthy > 0 && got.LinkBandwidth == 0 {
		t.Errorf("no link bandwidth: %+v", got)
	}
	for i, b := range backends {
		better := in
		better.Tally = in.Tally.minus(b.health, b.good).plus(Up, b.good)
		now := Decide(p, better, noon)
		// The first decision may have to wait for how good it is.
		if strings.HasPrefix(now.Reason, "undecided how weak") {
			continue
		}
		if worse(now, got) {
			t.Errorf("worse with backend %d healthy: %+v, was %+v", i, now, got)
		}
	}
}

// worse reports whether the network would see less in a than in b.
func worse(a, b Intent) bool {
	if a.State != b.State {
		// A hold-down comes to light only when enough are known to be healthy.
		held := b.State == Undecided && a.Rule == RuleHoldDown
		return !held && (b.State == Advertised || a.State == Withdrawn)
	}
	if a.Level != b.Level {
		return b.Level == -1 || a.Level != -1 && a.Level < b.Level
	}
	return a.LinkBandwidth < b.LinkBandwidth
}

func TestDecideInAnySituation(t *testing.T) {
	for seed := range uint64(20_000) {
		checkDecision(t, rand.New(rand.NewPCG(seed, 0)).IntN)
		if t.Failed() {
			t.Fatalf("in situation %d", seed)
		}
	}
}

func FuzzDecide(f *testing.F) {
	f.Add([]byte("any situation is made of bytes"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		checkDecision(t, func(n int) int {
			if len(bytes) == 0 {
				return 0
			}
			b := bytes[0]
			bytes = bytes[1:]
			return int(b) % n
		})
	})
}
