package healthloop

import "time"

// A VIP is one virtual IP as the loop serves it.
type VIP struct {
	Name     string // unique
	Policy   Policy
	Backends []Backend
}

// A Backend is one server behind a VIP.
type Backend struct {
	Name   string // unique within its VIP
	Weight int    // ≥ 0; 0: asked and shown, but not counted
	Timing Timing
	Kind   string // of the check, for metrics
	// Key says what is asked and how: on Apply, a backend whose name and Key
	// did not change keeps its prober, its health and its place in time.
	Key    string
	Prober Prober
}

// A Policy is what a VIP needs to be advertised, and how.
type Policy struct {
	MinHealthy Threshold
	// HoldDown is how long after a withdrawal by the checks the VIP stays
	// withdrawn, however healthy it is.
	HoldDown time.Duration
	// Degraded is sorted by Below, lowest first: the first level whose Below
	// the healthy share is under is in force.
	Degraded []Level
	// LinkBandwidth of the zero value announces none.
	LinkBandwidth LinkBandwidth
	// OnUplinksDown is what happens when no uplink is alive.
	OnUplinksDown UplinkPolicy
}

// A Threshold is a number of backends or a share of weight; one of both is set.
type Threshold struct {
	Count   int // healthy backends with a weight
	Percent int // of the total weight, 1 to 100
}

// A Level is a degraded state: advertised, but so that the network prefers
// others. What it announces is known to who made the policy, by its index.
type Level struct {
	Below Threshold
}

// LinkBandwidth announces the healthy capacity (RFC 10005).
type LinkBandwidth struct {
	PerWeight float64 // bytes per second that one unit of weight stands for; 0: off
	// Settle is how long a higher capacity must have lasted before it is
	// announced. A lower one is announced at once.
	Settle time.Duration
}

// An UplinkPolicy is what to do with a VIP when every watched uplink is down.
type UplinkPolicy uint8

// Withdraw it (nobody can reach this node through BGP anyway), or keep it.
const (
	UplinksWithdraw UplinkPolicy = iota
	UplinksKeep
)
