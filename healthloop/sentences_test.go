package healthloop

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

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
		Intent{State: Withdrawn, Rule: RuleDraining, Reason: "withdrawn: draining: kernel update"}},
	{"a drain needs no reason", count(1), Inputs{Tally: of(3, 0, 3), Drain: Drain{Phase: Withdrawing}},
		Intent{State: Withdrawn, Rule: RuleDraining, Reason: "withdrawn: draining"}},
	{"a drain says by whom and until when", count(1),
		Inputs{Tally: of(3, 0, 3), Override: Override{Word: ForceAdvertise, Until: noon.Add(time.Minute)},
			Drain: Drain{Withdrawing, "uid 0 (root)", "kernel update", noon.Add(time.Hour)}},
		Intent{State: Withdrawn, Rule: RuleDraining, Again: noon.Add(time.Hour),
			Reason: "withdrawn: draining by uid 0 (root): kernel update (until 2026-03-01T13:00:00Z)"}},
	{"a drain stops at its end", count(1),
		Inputs{Tally: of(2, 0, 3), Drain: Drain{Phase: Withdrawing, Reason: "kernel update", Until: noon}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"the operator withdraws", count(1),
		Inputs{Tally: of(3, 0, 3), Override: Override{Word: ForceWithdraw, By: "alice", Reason: "bad deploy"}},
		Intent{State: Withdrawn, Rule: RuleOverrideWithdraw, Reason: "withdrawn: override by alice: bad deploy"}},
	{"the operator withdraws before enough is known", count(1),
		Inputs{Tally: of(0, 3, 3), Override: Override{Word: ForceWithdraw, Until: noon.Add(time.Hour)}},
		Intent{State: Withdrawn, Rule: RuleOverrideWithdraw, Reason: "withdrawn: override (until 2026-03-01T13:00:00Z)", Again: noon.Add(time.Hour)}},
	{"the operator advertises until", count(1),
		Inputs{Tally: of(0, 0, 3), Uplinks: Uplinks{0, 2}, HoldUntil: noon.Add(time.Hour),
			Override: Override{Word: ForceAdvertise, By: "alice", Reason: "maintenance", Until: noon.Add(30 * time.Minute)}},
		Intent{State: Advertised, Rule: RuleOverrideAdvertise, Reason: "advertised: override by alice: maintenance (until 2026-03-01T12:30:00Z)",
			Again: noon.Add(30 * time.Minute)}},
	{"a forced withdrawal stops at its end", count(1),
		Inputs{Tally: of(2, 0, 3), Override: Override{Word: ForceWithdraw, Until: noon}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"a forced advertisement stops at its end", count(1),
		Inputs{Tally: of(0, 0, 3), Override: Override{Word: ForceAdvertise, Until: noon}},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"no uplink is alive", count(1), Inputs{Tally: of(3, 0, 3), Uplinks: Uplinks{0, 2}},
		Intent{State: Withdrawn, Rule: RuleUplinksDown, Reason: "withdrawn: 0 of 2 uplinks alive"}},
	{"one uplink is enough", count(1), Inputs{Tally: of(2, 0, 3), Uplinks: Uplinks{1, 2}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"no uplink is alive, but the VIP is kept", Policy{MinHealthy: Threshold{Count: 1}, OnUplinksDown: UplinksKeep},
		Inputs{Tally: of(2, 0, 3), Uplinks: Uplinks{0, 2}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"no backend has a weight", count(1), Inputs{},
		Intent{State: Withdrawn, Rule: RuleNoBackends, Reason: "withdrawn: no backends"}},
	{"no backend is not 100 percent", percent(100), Inputs{},
		Intent{State: Withdrawn, Rule: RuleNoBackends, Reason: "withdrawn: no backends"}},
	{"the hold-down runs", count(1), Inputs{Tally: of(2, 0, 3), HoldUntil: noon.Add(time.Minute)},
		Intent{State: Withdrawn, Rule: RuleHoldDown, Again: noon.Add(time.Minute),
			Reason: "withdrawn: held down until 2026-03-01T12:01:00Z: 2 of 3 backends healthy (minimum 1)"}},
	{"the hold-down is over", count(1), Inputs{Tally: of(2, 0, 3), HoldUntil: noon},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"enough is not known in a hold-down", count(1), Inputs{Tally: of(0, 3, 3), HoldUntil: noon.Add(time.Minute)},
		Intent{State: Undecided, Rule: RuleUndecided, Reason: "undecided: 0 of 3 backends healthy, 3 unknown (minimum 1)"}},
	{"unknown backends can't make it enough", count(3), Inputs{Tally: of(1, 1, 3)},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 1 of 3 backends healthy, 1 unknown (minimum 3)"}},
	{"more is asked than there is", count(4), Inputs{Tally: of(0, 3, 3)},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 0 of 3 backends healthy, 3 unknown (minimum 4)"}},
	{"not enough are healthy", count(1), Inputs{Tally: of(0, 0, 3)},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"a minimum of nothing still needs one", count(0), Inputs{Tally: of(0, 0, 3)},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 0 of 3 backends healthy (minimum 0)"}},
	{"two of three are not 67 percent", percent(67), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 2 of 3 backends healthy (minimum 67%)"}},
	{"two of three are 66 percent", percent(66), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 66%)"}},
	{"a percentage is one of weight", percent(50), Inputs{Tally: Tally{2, 0, 3, 3, 0, 8}},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 2 of 3 backends healthy, weight 3 of 8 (minimum 50%)"}},
	{"a percentage is reached exactly", percent(50), Inputs{Tally: Tally{1, 0, 3, 4, 0, 8}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 1 of 3 backends healthy, weight 4 of 8 (minimum 50%)"}},
	{"degraded", count(1).degraded(Threshold{Percent: 50}), Inputs{Tally: of(1, 0, 3)},
		Intent{State: Advertised, Rule: RuleChecks, Level: 1, Reason: "advertised, degraded below 50%: 1 of 3 backends healthy (minimum 1)"}},
	{"the lowest level counts", count(1).degraded(Threshold{Count: 2}, Threshold{Percent: 90}), Inputs{Tally: of(1, 0, 3)},
		Intent{State: Advertised, Rule: RuleChecks, Level: 1, Reason: "advertised, degraded below 2: 1 of 3 backends healthy (minimum 1)"}},
	{"a higher level", count(1).degraded(Threshold{Count: 2}, Threshold{Percent: 90}), Inputs{Tally: of(2, 0, 3)},
		Intent{State: Advertised, Rule: RuleChecks, Level: 2, Reason: "advertised, degraded below 90%: 2 of 3 backends healthy (minimum 1)"}},
	{"a forced advertisement does not hide weakness", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(0, 0, 3), Override: Override{Word: ForceAdvertise, By: "alice", Reason: "maintenance"}},
		Intent{State: Advertised, Rule: RuleOverrideAdvertise, Level: 1, Reason: "advertised, degraded below 50%: override by alice: maintenance"}},
	{"preferring others", count(1), Inputs{Tally: of(2, 0, 3), Drain: Drain{Phase: PreferOthers, Reason: "kernel update"}},
		Intent{State: Advertised, Rule: RuleChecks, GracefulShutdown: true,
			Reason: "advertised, preferring others (draining: kernel update): 2 of 3 backends healthy (minimum 1)"}},
	{"preferring others until", count(1),
		Inputs{Tally: of(2, 0, 3), Drain: Drain{PreferOthers, "alice", "kernel update", noon.Add(time.Hour)}},
		Intent{State: Advertised, Rule: RuleChecks, GracefulShutdown: true, Again: noon.Add(time.Hour),
			Reason: "advertised, preferring others (draining by alice: kernel update (until 2026-03-01T13:00:00Z)): " +
				"2 of 3 backends healthy (minimum 1)"}},
	{"preferring others no longer", count(1),
		Inputs{Tally: of(2, 0, 3), Drain: Drain{PreferOthers, "alice", "kernel update", noon}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy (minimum 1)"}},
	{"preferring others, degraded and by force", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(1, 0, 3), Drain: Drain{Phase: PreferOthers}, Override: Override{Word: ForceAdvertise}},
		Intent{State: Advertised, Rule: RuleOverrideAdvertise, Level: 1, GracefulShutdown: true,
			Reason: "advertised, degraded below 50%, preferring others (draining): override"}},
	{"what is withdrawn does not prefer others", count(1),
		Inputs{Tally: of(0, 0, 3), Drain: Drain{Phase: PreferOthers, Until: noon.Add(time.Hour)}},
		Intent{State: Withdrawn, Rule: RuleChecks, Reason: "withdrawn: 0 of 3 backends healthy (minimum 1)"}},
	{"what is undecided does not prefer others", count(1), Inputs{Tally: of(0, 3, 3), Drain: Drain{Phase: PreferOthers}},
		Intent{State: Undecided, Rule: RuleUndecided, Reason: "undecided: 0 of 3 backends healthy, 3 unknown (minimum 1)"}},
	{"unknown backends are not weakness", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(1, 2, 3), Last: Intent{State: Advertised}},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 1 of 3 backends healthy, 2 unknown (minimum 1)"}},
	{"nor strength, at first", count(1).degraded(Threshold{Percent: 50}), Inputs{Tally: of(1, 2, 3)},
		Intent{State: Undecided, Rule: RuleUndecided, Reason: "undecided how weak: 1 of 3 backends healthy, 2 unknown (minimum 1)"}},
	{"nor where an override of before advertises", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(0, 3, 3), Override: Override{Word: ForceAdvertise, By: "alice", Kept: true, Until: noon.Add(time.Hour)}},
		Intent{State: Undecided, Rule: RuleUndecided, Again: noon.Add(time.Hour),
			Reason: "undecided how weak: override by alice (until 2026-03-01T13:00:00Z)"}},
	{"once that is known it does", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(0, 0, 3), Override: Override{Word: ForceAdvertise, By: "alice", Kept: true}},
		Intent{State: Advertised, Rule: RuleOverrideAdvertise, Level: 1, Reason: "advertised, degraded below 50%: override by alice"}},
	{"or where it does not matter", count(1), Inputs{Tally: of(0, 3, 3), Override: Override{Word: ForceAdvertise, Kept: true}},
		Intent{State: Advertised, Rule: RuleOverrideAdvertise, Reason: "advertised: override"}},
	{"nor bandwidth, at first", Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1}},
		Inputs{Tally: of(2, 1, 3)},
		Intent{State: Undecided, Rule: RuleUndecided, Reason: "undecided how weak: 2 of 3 backends healthy, 1 unknown (minimum 1)"}},
	{"unknown backends that make no difference are not waited for", count(1).degraded(Threshold{Percent: 50}),
		Inputs{Tally: of(2, 1, 3)},
		Intent{State: Advertised, Rule: RuleChecks, Reason: "advertised: 2 of 3 backends healthy, 1 unknown (minimum 1)"}},
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

// The table of the rules has their names, in their order.
func TestTheDocsNameEachRule(t *testing.T) {
	text, err := os.ReadFile("../docs/decisions.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{RuleDraining, RuleOverrideWithdraw, RuleOverrideAdvertise, RuleUplinksDown, RuleNoBackends,
		RuleHoldDown, RuleUndecided, RuleChecks, RuleUndecided, RuleChecks}
	rows := regexp.MustCompile("(?m)^\\| \\d+ \\| `(\\w+)`: .*(?:`([a-z].*)`) \\|$").FindAllSubmatch(text, -1)
	var got []Rule
	for _, row := range rows {
		got = append(got, Rule(row[1]))
		for _, tt := range sentences {
			if tt.want.Reason == string(row[2]) && tt.want.Rule != Rule(row[1]) {
				t.Errorf("%s is by rule %s", row[2], tt.want.Rule)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the docs name\n%s, want\n%s", got, want)
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
