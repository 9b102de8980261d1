package healthloop

import (
	"fmt"
	"strconv"
)

// A Tally counts a VIP's backends. Those of weight 0 are in none of its fields.
type Tally struct {
	Healthy, Unknown, Total                   int
	HealthyWeight, UnknownWeight, TotalWeight int
}

// plus returns t with a backend of that health and weight in it.
func (t Tally) plus(h Health, weight int) Tally { return t.add(h, weight, 1) }

// minus returns t without a backend of that health and weight.
func (t Tally) minus(h Health, weight int) Tally { return t.add(h, weight, -1) }

func (t Tally) add(h Health, weight, sign int) Tally {
	if weight == 0 {
		return t
	}
	t.Total += sign
	t.TotalWeight += sign * weight
	switch h {
	case Up:
		t.Healthy += sign
		t.HealthyWeight += sign * weight
	case Unknown:
		t.Unknown += sign
		t.UnknownWeight += sign * weight
	}
	return t
}

// hopeful is t as it would be if all unknown backends turned out healthy.
func (t Tally) hopeful() Tally {
	t.Healthy, t.Unknown = t.Healthy+t.Unknown, 0
	t.HealthyWeight, t.UnknownWeight = t.HealthyWeight+t.UnknownWeight, 0
	return t
}

// reaches reports whether enough backends are healthy. Without a healthy one
// it is never enough, whatever the threshold says.
func (t Tally) reaches(th Threshold) bool {
	switch {
	case t.Healthy == 0:
		return false
	case th.Percent > 0:
		return t.HealthyWeight*100 >= th.Percent*t.TotalWeight
	}
	return t.Healthy >= th.Count
}

// maxSteps is into how many parts the capacity of a VIP is divided at most, so
// that one backend of many that comes or goes costs no update.
const maxSteps = 16

// capacity is the healthy weight in steps, each the same part of the total
// weight: exact while the total weight is at most maxSteps, else the nearest
// step. It is 0 only when nothing is healthy.
func (t Tally) capacity() (step, steps int) {
	if t.HealthyWeight == 0 {
		return 0, maxSteps
	}
	steps = min(t.TotalWeight, maxSteps)
	return max(1, (2*t.HealthyWeight*steps+t.TotalWeight)/(2*t.TotalWeight)), steps
}

// String is the tally in a reason, as in "2 of 3 backends healthy, 1 unknown".
// Weights are left out when all of them are 1.
func (t Tally) String() string {
	s := fmt.Sprintf("%d of %d backends healthy", t.Healthy, t.Total)
	if t.TotalWeight != t.Total {
		s += fmt.Sprintf(", weight %d of %d", t.HealthyWeight, t.TotalWeight)
	}
	if t.Unknown > 0 {
		s += fmt.Sprintf(", %d unknown", t.Unknown)
	}
	return s
}

// String is the threshold as an operator writes it.
func (th Threshold) String() string {
	if th.Percent > 0 {
		return strconv.Itoa(th.Percent) + "%"
	}
	return strconv.Itoa(th.Count)
}
