package healthloop

import (
	"fmt"
	"slices"
	"time"
)

// Inputs is all that a decision on one VIP depends on, besides its policy and
// the time.
type Inputs struct {
	Tally    Tally
	Override Override
	Drain    Drain
	Uplinks  Uplinks
	// Last is the decision in force, the zero Intent at first.
	Last Intent
	// HoldUntil ends the hold-down after a withdrawal by the checks.
	HoldUntil time.Time
	// CapacitySince is when the capacity to announce was last lower than now.
	CapacitySince time.Time
}

// An Override is the operator's word on a VIP.
type Override struct {
	Word   Word
	By     string // who
	Reason string
	Since  time.Time
	Until  time.Time // zero: no end
	// Kept is that it was said before this loop knew the VIP: then how the VIP is
	// advertised stays until that is known again.
	Kept bool
}

// A Word is what an operator may say.
type Word uint8

// The operator's words; Auto leaves it to the checks.
const (
	Auto Word = iota
	ForceAdvertise
	ForceWithdraw
)

// A Drain is how far this node is on its way out.
type Drain struct {
	Phase  DrainPhase
	By     string // who
	Reason string
	Until  time.Time // zero: no end
}

// A DrainPhase is a step of leaving.
type DrainPhase uint8

// The steps: serving, announced with GRACEFUL_SHUTDOWN (RFC 8326), withdrawn.
const (
	NotDraining DrainPhase = iota
	PreferOthers
	Withdrawing
)

// Uplinks counts the routers whose liveness is watched; Total 0 is none.
type Uplinks struct{ Up, Total int }

// An Intent is what the network should see for a VIP, and why.
type Intent struct {
	State State
	Rule  Rule
	// Level indexes Policy.Degraded; -1: not degraded.
	Level int
	// GracefulShutdown asks the network to prefer others (RFC 8326).
	GracefulShutdown bool
	// LinkBandwidth is in bytes per second; 0: none.
	LinkBandwidth float64
	Reason        string // "advertised: 2 of 3 backends healthy (minimum 1)"
	// Again is when time alone could change the decision; zero: never.
	Again time.Time
}

// A Rule is which of the rules in docs/decisions.md decided.
type Rule string

// The rules, the first one that applies wins. RuleChecks is that enough
// backends are healthy, or not enough.
const (
	RuleDraining          Rule = "draining"
	RuleOverrideWithdraw  Rule = "override_withdraw"
	RuleOverrideAdvertise Rule = "override_advertise"
	RuleUplinksDown       Rule = "uplinks_down"
	RuleNoBackends        Rule = "no_backends"
	RuleHoldDown          Rule = "hold_down"
	RuleUndecided         Rule = "undecided"
	RuleChecks            Rule = "checks"
)

// A State is whether the network should see a VIP.
type State uint8

// The states. Undecided, the first one: too few probes are in to tell, so what
// a former life of this daemon announced stays, and nothing new is announced.
const (
	Undecided State = iota
	Withdrawn
	Advertised
)

// String is the state's name in lower case.
func (s State) String() string {
	switch s {
	case Withdrawn:
		return "withdrawn"
	case Advertised:
		return "advertised"
	}
	return "undecided"
}

// Decide says what the network should see for a VIP now, and why. The first
// rule that applies wins; docs/decisions.md has a sentence for each.
func Decide(p Policy, in Inputs, now time.Time) Intent {
	in.Drain, in.Override = in.Drain.in(now), in.Override.in(now)
	counted := fmt.Sprintf("%s (minimum %s)", in.Tally, p.MinHealthy)
	enough := in.Tally.reaches(p.MinHealthy)
	switch {
	case in.Drain.Phase == Withdrawing:
		return withdraw(RuleDraining, in.Drain.text()).again(in.Drain.Until)
	case in.Override.Word == ForceWithdraw:
		return withdraw(RuleOverrideWithdraw, in.Override.text()).again(in.Override.Until)
	case in.Override.Word == ForceAdvertise && in.Override.Kept && in.Last.State == Undecided && p.shape(in.Tally) != p.shape(in.Tally.hopeful()):
		return undecided("undecided how weak: " + in.Override.text()).again(in.Override.Until)
	case in.Override.Word == ForceAdvertise:
		return advertise(RuleOverrideAdvertise, p, in, now, in.Override.text()).again(in.Override.Until)
	case in.Uplinks.down() && p.OnUplinksDown == UplinksWithdraw:
		return withdraw(RuleUplinksDown, fmt.Sprintf("0 of %d uplinks alive", in.Uplinks.Total))
	case in.Tally.TotalWeight == 0:
		return withdraw(RuleNoBackends, "no backends")
	case enough && now.Before(in.HoldUntil):
		return withdraw(RuleHoldDown, fmt.Sprintf("held down until %s: %s", instant(in.HoldUntil), counted)).again(in.HoldUntil)
	case enough && in.Last.State == Undecided && p.shape(in.Tally) != p.shape(in.Tally.hopeful()):
		return undecided("undecided how weak: " + counted)
	case enough:
		return advertise(RuleChecks, p, in, now, counted)
	case in.Tally.hopeful().reaches(p.MinHealthy):
		return undecided("undecided: " + counted)
	}
	return withdraw(RuleChecks, counted)
}

// byOperator reports whether it is somebody's word that decided, and not the
// checks or the uplinks.
func (r Rule) byOperator() bool {
	return r == RuleDraining || r == RuleOverrideWithdraw || r == RuleOverrideAdvertise
}

func withdraw(r Rule, why string) Intent {
	return Intent{State: Withdrawn, Rule: r, Level: -1, Reason: "withdrawn: " + why}
}

func undecided(why string) Intent {
	return Intent{State: Undecided, Rule: RuleUndecided, Level: -1, Reason: why}
}

// A shape is how an advertised VIP looks to the network by its tally.
type shape struct {
	level int // in Policy.Degraded; -1: none
	step  int // of the capacity
}

func (p Policy) shape(t Tally) shape {
	s := shape{level: slices.IndexFunc(p.Degraded, func(l Level) bool { return !t.reaches(l.Below) })}
	if p.LinkBandwidth.PerWeight > 0 {
		s.step, _ = t.capacity()
	}
	return s
}

// advertise says how the VIP is announced, now that it is.
func advertise(r Rule, p Policy, in Inputs, now time.Time, why string) Intent {
	// Unknown backends have no say in whether the VIP is announced, but get the
	// benefit of the doubt in how: else each backend added would show the
	// network a moment of weakness that was none.
	t := in.Tally.hopeful()
	i := Intent{State: Advertised, Rule: r, Level: p.shape(t).level, Reason: "advertised"}
	if i.Level >= 0 {
		i.Reason += ", degraded below " + p.Degraded[i.Level].Below.String()
	}
	i.LinkBandwidth, i.Again = p.LinkBandwidth.of(t, in, now)
	if in.Drain.Phase == PreferOthers {
		i.GracefulShutdown = true
		i.Reason += ", preferring others (" + in.Drain.text() + ")"
		i = i.again(in.Drain.Until)
	}
	i.Reason += ": " + why
	return i
}

// of is the capacity to announce, and when that could be a higher one.
func (l LinkBandwidth) of(t Tally, in Inputs, now time.Time) (bandwidth float64, again time.Time) {
	if l.PerWeight == 0 {
		return 0, time.Time{}
	}
	step, steps := t.capacity()
	bandwidth = l.PerWeight * float64(t.TotalWeight) * float64(step) / float64(steps)
	last := in.Last.LinkBandwidth
	settled := in.CapacitySince.Add(l.Settle)
	// Less must be known at once, or traffic comes that can't be served. More
	// can wait: a backend that flaps then costs one update, not two a flap.
	if in.Last.State != Advertised || last == 0 || bandwidth <= last || !now.Before(settled) {
		return bandwidth, time.Time{}
	}
	return last, settled
}

// again is i with t as a time when it could change; the earliest one counts.
func (i Intent) again(t time.Time) Intent {
	if i.Again.IsZero() || !t.IsZero() && t.Before(i.Again) {
		i.Again = t
	}
	return i
}

// in is the drain that is in force: one that ended is none.
func (d Drain) in(now time.Time) Drain {
	if over(d.Until, now) {
		return Drain{}
	}
	return d
}

// in is the override that is in force: one that ended is none.
func (o Override) in(now time.Time) Override {
	if over(o.Until, now) {
		return Override{}
	}
	return o
}

// over reports whether what lasts until then has ended; zero is no end.
func over(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

func (d Drain) text() string    { return said("draining", d.By, d.Reason, d.Until) }
func (o Override) text() string { return said("override", o.By, o.Reason, o.Until) }

// said is somebody's word in a reason.
func said(what, by, reason string, until time.Time) string {
	if by != "" {
		what += " by " + by
	}
	if reason != "" {
		what += ": " + reason
	}
	if !until.IsZero() {
		what += " (until " + instant(until) + ")"
	}
	return what
}

func (u Uplinks) down() bool { return u.Total > 0 && u.Up == 0 }

// instant names a time in a reason: the end and not what is left, so that the
// reason is the same until something happens.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
