package healthloop

import (
	"strings"
	"testing"
	"time"
)

// causes make a rule apply, those first that win over what comes after them. No
// two of a kind are there at once.
var causes = []struct {
	name, kind string
	rule       Rule
	state      State
	set        func(p *Policy, in *Inputs)
}{
	{"draining", "drain", RuleDraining, Withdrawn,
		func(_ *Policy, in *Inputs) { in.Drain.Phase = Withdrawing }},
	{"withdraw", "word", RuleOverrideWithdraw, Withdrawn,
		func(_ *Policy, in *Inputs) { in.Override.Word = ForceWithdraw }},
	{"advertise", "word", RuleOverrideAdvertise, Advertised,
		func(_ *Policy, in *Inputs) { in.Override.Word = ForceAdvertise }},
	{"uplinks lost", "uplinks", RuleUplinksDown, Withdrawn,
		func(_ *Policy, in *Inputs) { in.Uplinks.Total = 2 }},
	{"no backends", "tally", RuleNoBackends, Withdrawn,
		func(_ *Policy, in *Inputs) { in.Tally = Tally{} }},
	// Before the hold-down: it is for who has enough.
	{"not enough", "tally", RuleChecks, Withdrawn,
		func(_ *Policy, in *Inputs) { in.Tally = of(0, 0, 3) }},
	{"unknown", "tally", RuleUndecided, Undecided,
		func(_ *Policy, in *Inputs) { in.Tally = of(0, 3, 3) }},
	{"held down", "hold", RuleHoldDown, Withdrawn,
		func(_ *Policy, in *Inputs) { in.HoldUntil = noon.Add(time.Minute) }},
	{"unknown how weak", "tally", RuleUndecided, Undecided, func(p *Policy, in *Inputs) {
		in.Tally, *p = of(1, 2, 3), p.degraded(Threshold{Percent: 50})
	}},
	{"enough", "tally", RuleChecks, Advertised,
		func(_ *Policy, in *Inputs) { in.Tally = of(2, 0, 3) }},
}

// Whatever comes together, two of them or all five kinds: the first rule wins.
func TestTheFirstRuleWins(t *testing.T) {
	met := 0
	for set := range 1 << len(causes) {
		p, in := count(1), Inputs{}
		var names []string
		var want Intent
		there := map[string]bool{}
		again := false
		for i, c := range causes {
			if set&(1<<i) == 0 {
				continue
			}
			again = again || there[c.kind]
			there[c.kind] = true
			names = append(names, c.name)
			c.set(&p, &in)
			if want.Rule == "" {
				want.Rule, want.State = c.rule, c.state
			}
		}
		if again || !there["tally"] {
			continue
		}
		met++
		t.Run(strings.Join(names, "+"), func(t *testing.T) {
			got := Decide(p, in, noon)
			if got.Rule != want.Rule || got.State != want.State {
				t.Errorf("got %+v, want %+v", got, want)
			}
			wantEndedIsNone(t, p, in, got)
		})
	}
	if met != 2*3*2*2*5 {
		t.Errorf("met %d situations", met)
	}
}

// wantEndedIsNone decides as well with words that have ended in the place of
// those that nobody said.
func wantEndedIsNone(t *testing.T, p Policy, in Inputs, want Intent) {
	for _, end := range []time.Time{noon, noon.Add(-time.Hour)} {
		for _, word := range []Word{ForceAdvertise, ForceWithdraw} {
			for _, phase := range []DrainPhase{PreferOthers, Withdrawing} {
				ended := in
				if in.Override.Word == Auto {
					ended.Override = Override{Word: word, By: "alice", Until: end}
				}
				if in.Drain.Phase == NotDraining {
					ended.Drain = Drain{Phase: phase, By: "alice", Until: end}
				}
				if got := Decide(p, ended, noon); got != want {
					t.Errorf("%d and %d ended: %+v, want %+v", word, phase, got, want)
				}
			}
		}
	}
}

// Whom to ask the network to prefer is no rule of its own.
func TestPreferringOthersChangesNoRule(t *testing.T) {
	for _, tt := range sentences {
		in := tt.in
		if in.Drain.Phase != NotDraining {
			continue
		}
		in.Drain.Phase = PreferOthers
		got := Decide(tt.p, in, noon)
		if got.Rule != tt.want.Rule || got.State != tt.want.State {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
