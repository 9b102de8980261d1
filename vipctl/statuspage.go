package vipctl

import (
	"fmt"
	"slices"
	"strings"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// What the screen has of lists that may be long; -o wide has all that the
// daemon tells.
const (
	mostTroubled = 10
	lastEvents   = 8
)

// draw makes the screen: the node, what is wrong, then all VIPs where they are
// few, then what happened last.
func (o *overview) draw(p *page) {
	o.drawNode(p)
	o.drawCounts(p)
	o.drawTroubled(p)
	o.drawLinks(p)
	o.drawVIPs(p)
	o.drawEvents(p)
}

func (o *overview) drawNode(p *page) {
	n := o.status.GetNode()
	state := ""
	if n.GetStarted() != nil {
		state = ", started " + p.at(n.GetStarted())
		if !p.wide {
			state = ", up " + p.since(n.GetStarted())
		}
	}
	p.line("%s  %s", p.paint(strong, n.GetName()), clean("vipd "+n.GetVersion()+state))
	if d := n.GetDrain(); d != nil {
		p.hang("draining: ", doubt, drainText(p, d))
	}
	for _, problem := range n.GetProblems() {
		p.hang("problem: ", bad, problem)
	}
	if r := n.GetLastReload(); r != nil && !r.GetOk() {
		p.hang("the last reload was refused ("+p.clock(r.GetAt())+"): ", bad, r.GetError())
	}
}

func (o *overview) drawCounts(p *page) {
	c, n := o.status.GetCounts(), o.status.GetNode()
	p.line("")
	drawSpeaker(p, n.GetSpeaker())
	bfd := share(c.GetBfdSessionsUp(), c.GetBfdSessions(), "up")
	if u := n.GetUplinks(); u != nil {
		bfd += "; uplinks: " + share(u.GetAlive(), u.GetTotal(), "alive")
	}
	vips := share(c.GetAdvertised(), c.GetVips(), "advertised")
	for _, part := range []struct {
		n    uint32
		word string
	}{
		{c.GetWithdrawn(), "withdrawn"}, {c.GetUndecided(), "undecided"},
		{c.GetOverridden(), "overridden"}, {c.GetUnconfirmed(), "unconfirmed"},
	} {
		if part.n > 0 {
			vips += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	p.count("neighbors", c.GetNeighborsEstablished() < c.GetNeighbors(),
		share(c.GetNeighborsEstablished(), c.GetNeighbors(), "established"))
	p.count("bfd", c.GetBfdSessionsUp() < c.GetBfdSessions(), bfd)
	p.count("backends", c.GetBackendsHealthy() < c.GetBackends(),
		share(c.GetBackendsHealthy(), c.GetBackends(), "healthy"))
	p.count("vips", c.GetAdvertised() < c.GetVips() || c.GetUnconfirmed() > 0, vips)
}

func share(n, of uint32, word string) string { return fmt.Sprintf("%d of %d %s", n, of, word) }

// count adds a line about one kind of thing.
func (p *page) count(what string, doubtful bool, text string) {
	t := plain
	if doubtful {
		t = doubt
	}
	p.hang(fmt.Sprintf("%-11s", what), t, text)
}

func drawSpeaker(p *page, s *vipdv1.Speaker) {
	if s == nil {
		p.count("speaker", false, "none (bgp.enabled: false)")
		return
	}
	text := s.GetKind()
	if s.GetAddress() != "" {
		text += " " + s.GetAddress()
	}
	if s.GetApi() != "" {
		text += " (" + s.GetApi() + ")"
	}
	state := ", connected"
	if !s.GetConnected() {
		state = ", not connected"
	}
	if s.GetSince() != nil {
		state += " since " + p.clock(s.GetSince())
	}
	if s.GetProblem() != "" {
		state += ": " + s.GetProblem()
	}
	p.count("speaker", !s.GetConnected() || s.GetProblem() != "", text+state)
	routes := share(s.GetRoutesInstalled(), s.GetRoutesWanted(), "installed")
	if s.GetRoutesForeign() > 0 {
		routes += fmt.Sprintf(", %d foreign", s.GetRoutesForeign())
	}
	p.count("routes", s.GetRoutesInstalled() != s.GetRoutesWanted() || s.GetRoutesForeign() > 0, routes)
}

func (o *overview) drawTroubled(p *page) {
	c := o.status.GetCounts()
	troubled := o.status.GetTroubled()
	// The daemon bounds the list too; what it left out is among the counted.
	more := max(len(troubled), int(c.GetWithdrawn()+c.GetUndecided()))
	if !p.wide {
		troubled = troubled[:min(len(troubled), mostTroubled)]
	}
	more -= len(troubled)
	var rows [][]cell
	for _, v := range troubled {
		since := text(p.since(v.GetSince()))
		rows = append(rows, []cell{in(vipTone(v), v.GetName()), text(v.GetPrefix()), since, text(why(v))})
	}
	section(p, "Not announced, or not as wanted:", &grid{columns: columns("NAME PREFIX SINCE WHY"), wrap: true}, rows)
	if more > 0 {
		p.line("%s", p.paint(faint, fmt.Sprintf("and %d more (vipctl vips --state withdrawn, or undecided)", more)))
	}
}

// drawLinks shows neighbors and BFD sessions that are not as they should be; in
// wide all of them, as their own verbs do.
func (o *overview) drawLinks(p *page) {
	neighbors, sessions := o.status.GetNeighbors(), o.status.GetBfdSessions()
	if p.wide {
		var rows [][]cell
		for _, n := range neighbors {
			rows = append(rows, neighborRow(p, n))
		}
		section(p, "Neighbors:", &grid{columns: neighborColumns()}, rows)
		rows = nil
		for _, s := range sessions {
			rows = append(rows, sessionRow(p, s))
		}
		section(p, "BFD sessions:", &grid{columns: sessionColumns()}, rows)
		return
	}
	var rows [][]cell
	for _, n := range neighbors {
		if n.GetState() != "established" || n.GetHold() != nil {
			why := text(strings.Join(filled(hold(n.GetHold()), n.GetDescription()), "; "))
			rows = append(rows, []cell{text(n.GetAddress()), neighborState(n), text(p.since(n.GetSince())), why})
		}
	}
	section(p, "Neighbors that are not in use:", inUse("NEIGHBOR"), first(p, rows))
	rows = nil
	for _, s := range sessions {
		if s.GetState() != "up" || s.GetProblem() != "" {
			state := in(sessionTone(s.GetState()), s.GetState())
			why := text(strings.Join(filled(s.GetProblem(), s.GetDiag(), s.GetInterface()), "; "))
			rows = append(rows, []cell{text(s.GetPeer()), state, text(p.since(s.GetSince())), why})
		}
	}
	section(p, "BFD sessions that are not up:", inUse("PEER"), first(p, rows))
}

func inUse(what string) *grid { return &grid{columns: columns(what + " STATE SINCE WHY"), wrap: true} }

// filled returns those of some texts that are not empty.
func filled(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// first returns the rows that fit the screen.
func first(p *page, rows [][]cell) [][]cell {
	if len(rows) <= mostTroubled || p.wide {
		return rows
	}
	more := make([]cell, len(rows[0]))
	more[0] = in(faint, "…")
	more[len(more)-1] = in(faint, fmt.Sprintf("and %d more", len(rows)-mostTroubled))
	return append(rows[:mostTroubled:mostTroubled], more)
}

// section adds a table with a title; one without rows is left out.
func section(p *page, title string, g *grid, rows [][]cell) {
	if len(rows) == 0 {
		return
	}
	p.line("")
	p.line("%s", p.paint(strong, title))
	g.rows(p, rows)
}

func (o *overview) drawVIPs(p *page) {
	vips := o.status.GetVips()
	if len(vips) > fewVIPs && !p.wide {
		return
	}
	var rows [][]cell
	for _, v := range vips {
		t := v.GetTally()
		rows = append(rows, []cell{text(v.GetName()), text(v.GetPrefix()), in(vipTone(v), v.GetState()),
			text(fmt.Sprintf("%d/%d", t.GetHealthy(), t.GetTotal())), text(p.since(v.GetSince())), o.announcedTo(v)})
	}
	section(p, "VIPs:", &grid{columns: columns("NAME PREFIX STATE HEALTHY SINCE ANNOUNCED-TO"), wrap: true}, rows)
}

// announcedTo tells which neighbors have a VIP in their Adj-RIB-Out; what could
// not be asked is not claimed.
func (o *overview) announcedTo(v *vipdv1.Vip) cell {
	if !v.GetRoute().GetInstalled() {
		return text("")
	}
	sent := o.sent[v.GetName()]
	if len(sent) == 0 {
		return text("(in the speaker's table)")
	}
	var to []string
	for _, s := range sent {
		if s.GetSent() {
			to = append(to, s.GetNeighbor())
		}
	}
	switch {
	case len(to) == 0:
		return in(bad, fmt.Sprintf("none of %d neighbors", len(sent)))
	case len(to) < len(sent):
		return in(doubt, fmt.Sprintf("%s (%d of %d)", strings.Join(to, " "), len(to), len(sent)))
	}
	return in(good, strings.Join(to, " "))
}

func (o *overview) drawEvents(p *page) {
	events := o.status.GetEvents()
	var rows [][]cell
	if p.wide {
		for _, e := range events {
			rows = append(rows, eventRow(p, e))
		}
		section(p, "Last events, newest first:", &grid{columns: eventColumns()}, rows)
		return
	}
	for _, e := range events[:min(len(events), lastEvents)] {
		what := in(eventTone(e.GetTo()), happened(p, e))
		rows = append(rows, []cell{text(p.since(e.GetAt())), text(e.GetKind()), text(e.GetSubject()), what})
	}
	section(p, "Last events, newest first:", &grid{columns: columns("AGO KIND SUBJECT WHAT"), wrap: true}, rows)
}

// happened tells of an event in one sentence. The reason of a decision begins
// with what was decided.
func happened(p *page, e *vipdv1.Event) string {
	text := e.GetReason()
	if !strings.HasPrefix(text, e.GetTo()) {
		text = strings.Join(filled(change(p, e), text), ": ")
	}
	return strings.Join(filled(text, by(e)), " ")
}
