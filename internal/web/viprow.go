package web

import (
	"context"
	"strconv"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A vipList is one page of the VIPs that a view selects.
type vipList struct {
	Rows  []vipRow
	Total int    // on all pages
	Next  string // the address of the next page; empty: there is none
	Stale string // why open VIPs are shown without the figures of their last probes
}

// A vipRow is a VIP as the list shows it.
type vipRow struct {
	*vipdv1.Vip
	ID, Toggle string
	Mark       mark
	For        moment
	Why        string
	Notes      []mark
	Operator   *operator // nil: the checks decide
	Detail     *vipFacts // nil: not open
}

// An operator is who overrides the checks, and for how long.
type operator struct {
	Mark       mark
	By, Reason string
	Until      moment // empty: no end
}

// vipFacts is what else there is to tell of a VIP.
type vipFacts struct {
	Facts    []fact
	Backends []backendRow
	Events   []eventRow
}

// A fact is a term with what is to say of it.
type fact struct{ Name, Text string }

// A backendRow is a backend with its last probes.
type backendRow struct {
	*vipdv1.Backend
	Mark   mark
	For    moment
	Probed moment
	Took   string
	Spark  *spark
}

func (p *pages) vipList(ctx context.Context, now time.Time, v view) vipList {
	vips, more, total := p.sources.Board.VIPs(v.query())
	out := vipList{Total: total}
	fresh, err := p.fresh(ctx, vips, v)
	if err != nil {
		out.Stale = err.Error()
	}
	for _, one := range vips {
		row := rowOf(now, one, v)
		if v.opens(one.GetName()) {
			if f := fresh[one.GetName()]; f != nil {
				one = f
			}
			row = rowOf(now, one, v)
			row.Detail = p.facts(now, one)
		}
		out.Rows = append(out.Rows, row)
	}
	if more && len(vips) > 0 {
		out.Next = v.Page(vips[len(vips)-1].GetName())
	}
	return out
}

// fresh returns those of vips that are open, with the figures of their last
// probes.
func (p *pages) fresh(ctx context.Context, vips []*vipdv1.Vip, v view) (map[string]*vipdv1.Vip, error) {
	var names []string
	for _, one := range vips {
		if v.opens(one.GetName()) {
			names = append(names, one.GetName())
		}
	}
	if len(names) == 0 || p.sources.Fresh == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	found, err := p.sources.Fresh(ctx, names)
	out := make(map[string]*vipdv1.Vip, len(found))
	for _, one := range found {
		out[one.GetName()] = one
	}
	return out, err
}

func rowOf(now time.Time, v *vipdv1.Vip, in view) vipRow {
	row := vipRow{
		Vip: v, ID: anchor(v.GetName()), Toggle: in.toggle(v.GetName()),
		Mark: mark{vipTone(v), v.GetState()}, For: ago(now, v.GetSince()),
		Why: why(v.GetState(), v.GetReason()), Notes: vipNotes(now, v),
	}
	if o := v.GetOverride(); o != nil {
		row.Operator = &operator{mark{warn, "Override: " + o.GetWord()}, o.GetBy(), o.GetReason(), left(now, o.GetUntil())}
	}
	return row
}

func vipTone(v *vipdv1.Vip) tone {
	switch v.GetState() {
	case advertised:
		if unconfirmed(v) || v.GetDegraded() {
			return warn
		}
		return good
	case withdrawn:
		if rule := v.GetRule(); rule == "draining" || rule == "override_withdraw" {
			return idle // somebody wants it so
		}
		return bad
	}
	return idle
}

// unconfirmed VIPs are those that the speaker doesn't show as they are wanted.
func unconfirmed(v *vipdv1.Vip) bool { return v.GetRoute() != nil && !v.GetRoute().GetConfirmed() }

// vipNotes are what a state alone does not tell.
func vipNotes(now time.Time, v *vipdv1.Vip) (out []mark) {
	for _, n := range []struct {
		there bool
		tone  tone
		text  string
	}{
		{unconfirmed(v), warn, "not confirmed"},
		{v.GetDegraded(), warn, "degraded"},
		{v.GetGracefulShutdown(), idle, "graceful shutdown"},
		{v.GetRoute().GetForeign(), warn, "others announce it too"},
		{v.GetHoldUntil() != nil, idle, "held down for " + left(now, v.GetHoldUntil()).Text},
	} {
		if n.there {
			out = append(out, mark{n.tone, n.text})
		}
	}
	return out
}

func (p *pages) facts(now time.Time, v *vipdv1.Vip) *vipFacts {
	out := &vipFacts{Events: p.eventRows(now, v.GetName(), 5)}
	add := func(name, text string) {
		if text != "" {
			out.Facts = append(out.Facts, fact{name, text})
		}
	}
	add("Rule", spaced(v.GetRule()))
	add("Healthy at least", v.GetMinHealthy())
	if t := v.GetTally(); t.GetTotalWeight() != t.GetTotal() {
		add("Weight healthy", grouped(t.GetHealthyWeight())+" of "+grouped(t.GetTotalWeight()))
	}
	if bw := v.GetLinkBandwidth(); bw > 0 {
		add("Link bandwidth", strconv.FormatFloat(bw, 'g', 6, 64)+" B/s")
	}
	add("Route", routeText(v.GetRoute()))
	add("Attributes", v.GetRoute().GetAttributes())
	if v.GetOwner() != "" {
		add("Made by", v.GetOwner()+", version "+plain(v.GetVersion()))
	}
	for _, b := range v.GetBackends() {
		out.Backends = append(out.Backends, backendRowOf(now, b))
	}
	return out
}

func routeText(r *vipdv1.Route) string {
	switch {
	case r == nil:
		return ""
	case r.GetConfirmed() && r.GetWanted():
		return "installed, as wanted"
	case r.GetConfirmed():
		return "not installed, as wanted"
	case r.GetWanted() && r.GetInstalled():
		return "installed, but not as wanted"
	case r.GetWanted():
		return "wanted, but the speaker does not show it"
	}
	return "not wanted, but the speaker still shows it"
}

func backendRowOf(now time.Time, b *vipdv1.Backend) backendRow {
	tones := map[string]tone{"up": good, "down": bad}
	row := backendRow{Backend: b, Mark: mark{idle, b.GetHealth()}, For: ago(now, b.GetSince()), Probed: ago(now, b.GetProbed())}
	if t, ok := tones[b.GetHealth()]; ok {
		row.Mark.Tone = t
	}
	if b.GetProbed() != nil {
		row.Probed.Text += " ago"
		row.Took, row.Spark = latency(b.GetLatency()), sparkOf(b.GetLatencies())
	}
	return row
}
