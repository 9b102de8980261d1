package healthloop

import (
	"math/rand/v2"
	"os"
	"regexp"
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

// Each sentence of docs/decisions.md has its row here, and the example reasons
// there are reasons here.
var sentences = []struct {
	name string
	p    Policy
	in   Inputs
	want Intent // Level 0 stands for -1, and 1 for 0
}{
	{"draining beats the operator", count(1),
		Inputs{Tally: of(3, 0, 3), Drain: Drain{Phase: Withdrawing, Reason: "kernel update"}, Override: Override{Word: ForceAdvertise}},
		Intent{State: Withdrawn, Reason: "withdrawn: draining: kernel update"}},
	{"a drain needs no reason", count(1), Inputs{Tally: of(3, 0, 3), Drain: Drain{Phase: Withdrawing}},
		Intent{State: Withdrawn, Reason: "withdrawn: draining"}},
	{"the operator withdraws", count(1),
		Inputs{Tally: of(3, 0, 3), Override: Override{Word: ForceWithdraw, By: "alice", Reason: "bad deploy"}},
		Intent{State: Withdrawn, Reason: "withdrawn: override by alice: bad deploy"}},
	{"the operator withdraws before enough is known", count(1),
		Inputs{Tally: of(0, 3, 3), Override: Override{Word: ForceWithdraw, Until: noon.Add(time.Hour)}},
		Intent{State: Withdrawn, Reason: "withdrawn: override (until 2026-03-01T13:00:00Z)", Again: noon.Add(time.Hour)}},
	{"the operator advertises until", count(1),
		Inputs{Tally: of(0, 0, 3), Uplinks: Uplinks{0, 2}, HoldUntil: noon.Add(time.Hour),
			Override: Override{Word: ForceAdvertise, By: "alice", Reason: "maintenance", Until: noon.Add(30 * time.Minute)}},
		Intent{State: Advertised, Reason: "advertised: override by alice: maintenance (until 2026-03-01T12:30:00Z)",
			Again: noon.Add(30 * time.Minute)}},
	{"an override stops at its end", count(1),
		Inputs{Tally: of(0, 0, 3), Override: Override{Word: ForceAdvertise, Until: noon}},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"no uplink is alive", count(1), Inputs{Tally: of(3, 0, 3), Uplinks: Uplinks{0, 2}},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 2 uplinks alive"}},
	{"one uplink is enough", count(1), Inputs{Tally: of(2, 0, 3), Uplinks: Uplinks{1, 2}},
		Intent{State: Advertised, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"no uplink is alive, but the VIP is kept", Policy{MinHealthy: Threshold{Count: 1}, OnUplinksDown: UplinksKeep},
		Inputs{Tally: of(2, 0, 3), Uplinks: Uplinks{0, 2}},
		Intent{State: Advertised, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"no backend has a weight", count(1), Inputs{}, Intent{State: Withdrawn, Reason: "withdrawn: no backends"}},
	{"no backend is not 100 percent", percent(100), Inputs{}, Intent{State: Withdrawn, Reason: "withdrawn: no backends"}},
	{"the hold-down runs", count(1), Inputs{Tally: of(2, 0, 3), HoldUntil: noon.Add(time.Minute)},
		Intent{State: Withdrawn, Again: noon.Add(time.Minute),
			Reason: "withdrawn: held down until 2026-03-01T12:01:00Z: 2 of 3 backends healthy (minimum 1)"}},
	{"the hold-down is over", count(1), Inputs{Tally: of(2, 0, 3), HoldUntil: noon},
		Intent{State: Advertised, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"enough is not known in a hold-down", count(1), Inputs{Tally: of(0, 3, 3), HoldUntil: noon.Add(time.Minute)},
		Intent{State: Undecided, Reason: "undecided: 0 of 3 backends healthy, 3 unknown (minimum 1)"}},
	{"unknown backends can't make it enough", count(3), Inputs{Tally: of(1, 1, 3)},
		Intent{State: Withdrawn, Reason: "withdrawn: 1 of 3 backends healthy, 1 unknown (minimum 3)"}},
	{"more is asked than there is", count(4), Inputs{Tally: of(0, 3, 3)},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 3 backends healthy, 3 unknown (minimum 4)"}},
	{"not enough are healthy", count(1), Inputs{Tally: of(0, 0, 3)},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"a minimum of nothing still needs one", count(0), Inputs{Tally: of(0, 0, 3)},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 3 backends healthy (minimum 0)"}},
	{"two of three are not 67 percent", percent(67), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Withdrawn, Reason: "withdrawn: 2 of 3 backends healthy (minimum 67%)"}},
	{"two of three are 66 percent", percent(66), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Advertised, Reason: "advertised: 2 of 3 backends healthy (minimum 66%)"}},
	{"a percentage is one of weight", percent(50), Inputs{Tally: Tally{2, 0, 3, 3, 0, 8}},
		Intent{State: Withdrawn, Reason: "withdrawn: 2 of 3 backends healthy, weight 3 of 8 (minimum 50%)"}},
	{"a percentage is reached exactly", percent(50), Inputs{Tally: Tally{1, 0, 3, 4, 0, 8}},
		Intent{State: Advertised, Reason: "advertised: 1 of 3 backends healthy, weight 4 of 8 (minimum 50%)"}},
	{"degraded", count(1).degraded(Threshold{Percent: 50}), Inputs{Tally: of(1, 0, 3)},
		Intent{State: Advertised, Level: 1, Reason: "advertised, degraded below 50%: 1 of 3 backends healthy (minimum 1)"}},
	{"the lowest level counts", count(1).degraded(Threshold{Count: 2}, Threshold{Percent: 90}), Inputs{Tally: of(1, 0, 3)},
		Intent{State: Advertised, Level: 1, Reason: "advertised, degraded below 2: 1 of 3 backends healthy (minimum 1)"}},
	{"a higher level", count(1).degraded(Threshold{Count: 2}, Threshold{Percent: 90}), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Advertised, Level: 2, Reason: "advertised, degraded below 90%: 2 of 3 backends healthy (minimum 1)"}},
	{"a forced advertisement does not hide weakness", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(0, 0, 3), Override: Override{Word: ForceAdvertise, By: "alice", Reason: "maintenance"}},
		Intent{State: Advertised, Level: 1, Reason: "advertised, degraded below 50%: override by alice: maintenance"}},
	{"preferring others", count(1), Inputs{Tally: of(2, 0, 3), Drain: Drain{Phase: PreferOthers, Reason: "kernel update"}},
		Intent{State: Advertised, GracefulShutdown: true,
			Reason: "advertised, preferring others (draining: kernel update): 2 of 3 backends healthy (minimum 1)"}},
	{"preferring others, degraded and by force", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(1, 0, 3), Drain: Drain{Phase: PreferOthers}, Override: Override{Word: ForceAdvertise}},
		Intent{State: Advertised, Level: 1, GracefulShutdown: true,
			Reason: "advertised, degraded below 50%, preferring others (draining): override"}},
	{"what is withdrawn does not prefer others", count(1), Inputs{Tally: of(0, 0, 3), Drain: Drain{Phase: PreferOthers}},
		Intent{State: Withdrawn, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"what is undecided does not prefer others", count(1), Inputs{Tally: of(0, 3, 3), Drain: Drain{Phase: PreferOthers}},
		Intent{State: Undecided, Reason: "undecided: 0 of 3 backends healthy, 3 unknown (minimum 1)"}},
	{"unknown backends are not weakness", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(1, 2, 3), Last: Intent{State: Advertised}},
		Intent{State: Advertised, Reason: "advertised: 1 of 3 backends healthy, 2 unknown (minimum 1)"}},
	{"nor strength, at first", count(1).degraded(Threshold{Percent: 50}), Inputs{Tally: of(1, 2, 3)},
		Intent{State: Undecided, Reason: "undecided how weak: 1 of 3 backends healthy, 2 unknown (minimum 1)"}},
	{"nor bandwidth, at first", Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1}},
		Inputs{Tally: of(2, 1, 3)},
		Intent{State: Undecided, Reason: "undecided how weak: 2 of 3 backends healthy, 1 unknown (minimum 1)"}},
	{"unknown backends that make no difference are not waited for", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(2, 1, 3)},
		Intent{State: Advertised, Reason: "advertised: 2 of 3 backends healthy, 1 unknown (minimum 1)"}},
}

func TestDecideObeysEachSentence(t *testing.T) {
	for _, tt := range sentences {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			want.Level--
			if got := Decide(tt.p, tt.in, noon); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestTheDocsQuoteReasonsThatExist(t *testing.T) {
	text, err := os.ReadFile("../docs/decisions.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, tt := range sentences {
		known[tt.want.Reason] = true
	}
	quotes := regexp.MustCompile("`((?:withdrawn|undecided|advertised)(?:[:,]| how)[^`]*)`").FindAllSubmatch(text, -1)
	if len(quotes) < 12 {
		t.Errorf("found %d reasons only", len(quotes))
	}
	for _, q := range quotes {
		if reason := strings.Join(strings.Fields(string(q[1])), " "); !known[reason] {
			t.Errorf("no test produces %q", reason)
		}
	}
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

func TestTheEarlierOfTwoEndsCounts(t *testing.T) {
	p := Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1, Settle: time.Hour}}
	in := Inputs{Tally: of(3, 0, 3), CapacitySince: noon, Last: Intent{State: Advertised, LinkBandwidth: 1}}
	for _, tt := range []struct{ end, want time.Duration }{{time.Minute, time.Minute}, {2 * time.Hour, time.Hour}} {
		in.Override = Override{Word: ForceAdvertise, Until: noon.Add(tt.end)}
		if got := Decide(p, in, noon).Again; !got.Equal(noon.Add(tt.want)) {
			t.Errorf("override for %s: again %v", tt.end, got)
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
		Drain:         Drain{Phase: DrainPhase(draw(3))},
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
	forced := in.Override.at(noon) == ForceAdvertise
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
	if got.GracefulShutdown != (got.State == Advertised && in.Drain.Phase == PreferOthers) {
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
		held := b.State == Undecided && !a.Again.IsZero()
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
