package healthloop

import "time"

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
	// CapacitySince is when the healthy capacity was last lower than now.
	CapacitySince time.Time
}

// A Tally counts a VIP's backends. Those of weight 0 are in none of its fields.
type Tally struct {
	Healthy, Unknown, Total                   int
	HealthyWeight, UnknownWeight, TotalWeight int
}

// An Override is the operator's word on a VIP.
type Override struct {
	Word   Word
	By     string // who
	Reason string
	Until  time.Time // zero: no end
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
	Reason string
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
