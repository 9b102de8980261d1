package view

import (
	"fmt"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
)

// says makes an Explanation whose summary is the VIP's name and a text.
func (e *explainer) says(cause, hint, format string, args ...any) *vipdv1.Explanation {
	return &vipdv1.Explanation{Cause: cause, Summary: e.VIP.GetName() + " " + fmt.Sprintf(format, args...), Hint: hint}
}

// decision explains a VIP that is not to be announced: the rule that decided is
// the cause.
func (e *explainer) decision() *vipdv1.Explanation {
	cause, hint := e.rule()
	text := "is " + e.VIP.GetReason()
	if e.VIP.GetReason() == "" {
		text = "is " + e.VIP.GetState()
	}
	if cause == causeNoHealthyBackend {
		text += e.firstError()
	}
	return e.says(cause, hint, "%s%s", text, e.leftover())
}

func (e *explainer) rule() (cause, hint string) {
	name := e.VIP.GetName()
	switch healthloop.Rule(e.VIP.GetRule()) {
	case healthloop.RuleDraining:
		if e.Node.GetDrain().GetStopping() {
			return causeDrain, "vipd is stopping here: start it again to announce anything"
		}
		return causeDrain, "`vipctl undrain` ends it"
	case healthloop.RuleOverrideWithdraw, healthloop.RuleOverrideAdvertise:
		return causeOverride, fmt.Sprintf("`vipctl auto %s` ends it", name)
	case healthloop.RuleUplinksDown:
		return causeUplinksDown, "no router can be reached: see `vipctl bfd`, and the links of this node"
	case healthloop.RuleNoBackends:
		if owner := e.VIP.GetOwner(); owner != "" {
			return causeNoBackends, fmt.Sprintf("%s, who made it, must give it a backend with a weight", owner)
		}
		return causeNoBackends, "give it a backend with a weight in the configuration, then `vipctl reload`"
	case healthloop.RuleHoldDown:
		return causeHoldDown, fmt.Sprintf("it ends by itself; `vipctl advertise %s` ends it now, and then `vipctl auto %[1]s` leaves it to the checks", name)
	case healthloop.RuleChecks:
		return causeNoHealthyBackend, "see `vipctl backends` for the error of each"
	}
	return causeUndecided, "wait: the first verdict on a backend takes its `rise` or `fall` probes"
}

// firstError is the error of the first backend that is down.
func (e *explainer) firstError() string {
	for _, b := range e.VIP.GetBackends() {
		if b.GetHealth() == healthloop.Down.String() && b.GetError() != "" && b.GetWeight() > 0 {
			return fmt.Sprintf("; %s: %s", b.GetName(), b.GetError())
		}
	}
	return ""
}

// leftover tells what the network may still see of a VIP that is not announced:
// who reads this may have traffic that should not be there.
func (e *explainer) leftover() string {
	r := e.route
	switch {
	case e.speaker == nil || r == nil:
		return ""
	case !e.speaker.GetConnected():
		return "; what is announced of it is not known, as " + e.unconnected()
	case !e.asDecided():
		return "; the speaker does not show that yet" + because(r.GetError())
	case r.GetForeign():
		return fmt.Sprintf("; but somebody else's route for %s is at the speaker", e.VIP.GetPrefix())
	case e.VIP.GetState() == withdrawn:
		return ""
	case r.GetInstalled():
		return "; its route stays announced as it was"
	}
	return "; no route is announced meanwhile"
}

// asDecided reports whether the speaker shows what the decision asks for. What
// is wanted of it follows the decision by a moment.
func (e *explainer) asDecided() bool {
	r := e.route
	switch e.VIP.GetState() {
	case advertised:
		return r.GetConfirmed() && r.GetWanted()
	case withdrawn:
		return r.GetConfirmed() && !r.GetWanted()
	}
	return r.GetConfirmed()
}

// atSpeaker explains why an advertised VIP does not get into the speaker's
// table; nil: it does.
func (e *explainer) atSpeaker() *vipdv1.Explanation {
	const comes = "nothing to do: vipd tries on by itself, and `vipctl status` shows how far it is"
	switch {
	case e.speaker == nil:
		return e.says(causeBGPOff, "set bgp.enabled: true and restart vipd", "is to be announced, but BGP is off")
	case !e.speaker.GetConnected():
		hint := "see that gobgpd runs, and that bgp.gobgp_address is its API; vipd connects and announces by itself"
		if e.embedded() {
			hint = "see vipd's log; it announces by itself when the speaker is there"
		}
		return e.says(causeSpeakerUnreachable, hint, "is to be announced, but %s", e.unconnected())
	case e.asDecided():
		return nil
	case e.route.GetError() != "":
		return e.says(causeRouteError, comes, "is to be announced, but %s did not take the route%s", e.speakerName(), because(e.route.GetError()))
	}
	return e.says(causeRoutePending, comes, "is to be announced, but %s does not show the route yet%s", e.speakerName(), because(e.speaker.GetProblem()))
}

// atNeighbors explains who is sent the route that the speaker shows.
func (e *explainer) atNeighbors() *vipdv1.Explanation {
	if e.meant == 0 {
		return e.withoutNeighbors()
	}
	to := fmt.Sprintf("is announced to %d of %d neighbors", e.reached, e.meant)
	if bad, others := e.broken(); bad != nil {
		cause, hint := e.fault(bad)
		text := called(bad.neighbor) + ": " + bad.sent.GetDetail()
		if others > 0 {
			text += fmt.Sprintf(" (and %d more)", others)
		}
		return e.says(cause, hint, "%s: %s", to, text)
	}
	if e.reached < e.meant {
		to += fmt.Sprintf(", and whether to the others is not known (%s)", e.silent())
	}
	why := strings.TrimPrefix(strings.TrimPrefix(e.VIP.GetReason(), advertised), ", ")
	return e.says(causeAnnounced, e.remark(), "%s%s", to, because(strings.TrimPrefix(why, ": ")))
}

func (e *explainer) withoutNeighbors() *vipdv1.Explanation {
	hint := "add one under bgp.neighbors with bgp.manage: true, or in gobgpd's own configuration"
	if len(e.ends) == 0 {
		return e.says(causeNoNeighbors, hint, "is in the table of %s, which has no neighbors", e.speakerName())
	}
	return e.says(causeNoNeighbors, hint, "is in the table of %s, none of whose %d neighbors carries %s", e.speakerName(), len(e.ends), familyName(e.family))
}

// broken is the first neighbor that is known not to be sent the route, and how
// many more there are. Where the speaker prefers another route, that comes
// first: it stands before the neighbors in the chain.
func (e *explainer) broken() (first *end, others int) {
	for i := range e.ends {
		one := &e.ends[i]
		cause := one.sent.GetCause()
		switch {
		case !one.meant || cause == "" || cause == notSentUnknown:
			continue
		case first == nil:
			first = one
			continue
		case cause == causeForeignRoute && first.sent.GetCause() != causeForeignRoute:
			first = one
		}
		others++
	}
	return first, others
}

// silent names those of whom nothing is known.
func (e *explainer) silent() string {
	var all []string
	for _, one := range e.ends {
		if one.meant && one.sent.GetCause() == notSentUnknown {
			all = append(all, called(one.neighbor))
		}
	}
	return strings.Join(all, ", ")
}

// fault is why one neighbor is not sent the route, and what to do about it.
func (e *explainer) fault(at *end) (cause, hint string) {
	n := at.neighbor
	switch cause := at.sent.GetCause(); cause {
	case causeForeignRoute:
		return cause, fmt.Sprintf("see %s for whose it is: vipd removes only its own", e.rib())
	case causeBFDDown:
		return cause, "see `vipctl bfd`: the neighbor is used again once its BFD session has stayed up"
	case causeNeighborDown:
		if n.GetAdminDown() && !e.embedded() {
			return cause, fmt.Sprintf("`gobgp neighbor %s enable`, if nobody wants it down", n.GetAddress())
		}
		return cause, "see `vipctl neighbors`, and the router's own view of the session"
	case causeExportFilter:
		if n.GetManaged() {
			return cause, fmt.Sprintf("see `export` of neighbor %s in the configuration, and the policies of gobgpd's own", n.GetAddress())
		}
		return cause, fmt.Sprintf("see the export policy for neighbor %s in gobgpd: `gobgp global policy`", n.GetAddress())
	case notSentNothing:
		return causeRoutePending, "nothing to do at first: it takes a moment"
	}
	return causeRoutePending, fmt.Sprintf("see `vipctl neighbors` for what is known of %s", n.GetAddress())
}

// rib is what shows all routes for the VIP at the speaker.
func (e *explainer) rib() string {
	if e.family == familyIPv6 {
		return fmt.Sprintf("`gobgp global rib -a ipv6 %s`", e.VIP.GetPrefix())
	}
	return fmt.Sprintf("`gobgp global rib %s`", e.VIP.GetPrefix())
}

// remark is what one may want to do about a VIP that is announced.
func (e *explainer) remark() string {
	switch {
	case e.route.GetForeign():
		return fmt.Sprintf("somebody else's route for %s is at the speaker too: see %s", e.VIP.GetPrefix(), e.rib())
	case healthloop.Rule(e.VIP.GetRule()) == healthloop.RuleOverrideAdvertise:
		return fmt.Sprintf("`vipctl auto %s` leaves it to the checks again", e.VIP.GetName())
	case e.Node.GetDrain() != nil:
		return "this node is draining: `vipctl undrain` ends it"
	}
	return ""
}
