package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
)

// maxBackends is how many backends have a step of their own. Those that are not
// up come first.
const maxBackends = 20

// steps is the whole chain, whatever the cause is: of several things that are
// wrong, the next one to mend is in it.
func (e *explainer) steps() []*vipdv1.Step {
	all := append(e.backendSteps(), e.tallyStep(), e.ruleStep(), e.routeStep())
	for i := range e.ends {
		all = append(all, e.neighborStep(&e.ends[i]))
	}
	return all
}

func up(b *vipdv1.Backend) bool { return b.GetHealth() == healthloop.Up.String() }

func (e *explainer) backendSteps() (steps []*vipdv1.Step) {
	all := slices.Clone(e.VIP.GetBackends())
	if len(all) > maxBackends {
		slices.SortStableFunc(all, func(a, b *vipdv1.Backend) int { return count(up(a)) - count(up(b)) })
	}
	shown := min(len(all), maxBackends)
	for _, b := range all[:shown] {
		steps = append(steps, &vipdv1.Step{Stage: "backend", Subject: b.GetName(), Ok: up(b), Text: backendText(b)})
	}
	if rest := all[shown:]; len(rest) > 0 {
		good := 0
		for _, b := range rest {
			good += count(up(b))
		}
		steps = append(steps, &vipdv1.Step{
			Stage: "backend", Ok: good == len(rest), Text: fmt.Sprintf("and %d more, %d of them up", len(rest), good),
		})
	}
	return steps
}

func backendText(b *vipdv1.Backend) string {
	s := fmt.Sprintf("%s %s is %s", b.GetKind(), b.GetAddress(), b.GetHealth())
	if b.GetAddress() == "" {
		s = fmt.Sprintf("%s is %s", b.GetKind(), b.GetHealth())
	}
	if b.GetSince() != nil {
		s += " since " + instant(b.GetSince())
	}
	if b.GetWeight() == 0 {
		s += ", not counted (weight 0)"
	}
	return s + because(b.GetError())
}

func (e *explainer) tallyStep() *vipdv1.Step {
	t := e.VIP.GetTally()
	counted := healthloop.Tally{
		Healthy: int(t.GetHealthy()), Unknown: int(t.GetUnknown()), Total: int(t.GetTotal()),
		HealthyWeight: int(t.GetHealthyWeight()), TotalWeight: int(t.GetTotalWeight()),
	}
	return &vipdv1.Step{
		Stage: "tally", Subject: e.VIP.GetName(), Ok: enough(t, e.VIP.GetMinHealthy()),
		Text: fmt.Sprintf("%s (minimum %s)", counted, e.VIP.GetMinHealthy()),
	}
}

// enough reports whether t reaches a minimum as docs/decisions.md has it: never
// without a healthy backend.
func enough(t *vipdv1.Tally, minimum string) bool {
	number, share := strings.CutSuffix(minimum, "%")
	n, err := strconv.ParseUint(number, 10, 32)
	switch {
	case err != nil || t.GetHealthy() == 0:
		return false
	case share:
		return uint64(t.GetHealthyWeight())*100 >= n*uint64(t.GetTotalWeight())
	}
	return uint64(t.GetHealthy()) >= n
}

func (e *explainer) ruleStep() *vipdv1.Step {
	return &vipdv1.Step{Stage: "rule", Subject: e.VIP.GetRule(), Ok: e.VIP.GetState() == advertised, Text: e.VIP.GetReason()}
}

func (e *explainer) routeStep() *vipdv1.Step {
	r := e.route
	s := &vipdv1.Step{Stage: "route", Subject: e.VIP.GetPrefix(), Ok: e.asDecided() && e.speaker.GetConnected() && !r.GetForeign()}
	switch {
	case e.speaker == nil:
		s.Text = "BGP is off (bgp.enabled: false): nothing is announced"
		return s
	case !e.speaker.GetConnected():
		s.Text = "not known: " + e.unconnected()
		return s
	}
	s.Text = e.routeText()
	if r.GetForeign() {
		s.Text += "; somebody else's route for it is there too, and attracts traffic whatever vipd decides"
	}
	return s
}

// routeText is what a speaker that is connected shows.
func (e *explainer) routeText() string {
	r, at := e.route, e.speakerName()
	switch {
	case r.GetError() != "" && !r.GetConfirmed():
		return fmt.Sprintf("%s did not take the change%s", at, because(r.GetError()))
	case r.GetWanted() && r.GetConfirmed():
		return strings.TrimSuffix(fmt.Sprintf("%s has it as wanted: %s", at, r.GetAttributes()), ": ")
	case r.GetWanted() && r.GetInstalled():
		return at + " has a route of vipd, not yet as wanted"
	case e.VIP.GetState() == advertised:
		return at + " does not show the route yet"
	case r.GetInstalled() && e.VIP.GetState() == withdrawn:
		return at + " still has the route"
	case r.GetInstalled():
		return at + " keeps the route as it was"
	}
	return at + " has no route of vipd"
}

func (e *explainer) neighborStep(one *end) *vipdv1.Step {
	n, sent := one.neighbor, one.sent
	s := &vipdv1.Step{Stage: "neighbor", Subject: called(n), Ok: sent.GetSent(), Text: sent.GetDetail()}
	switch {
	case !one.meant:
		s.Ok, s.Text = true, fmt.Sprintf("carries no %s routes: this VIP is not for it", familyName(e.family))
	case sent.GetSent() && e.VIP.GetState() == withdrawn:
		s.Ok, s.Text = false, "still sent, though withdrawn"
	case sent.GetCause() == notSentNothing && e.VIP.GetState() != advertised:
		s.Ok, s.Text = true, "BGP session is up; there is no route to send"
	}
	return s
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
