package vipctl

import (
	"fmt"
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
		p.line("%s", p.paint(doubt, "draining: "+drainText(p, d)))
	}
	for _, problem := range n.GetProblems() {
		p.line("%s", p.paint(bad, "problem: "+problem))
	}
	if r := n.GetLastReload(); r != nil && !r.GetOk() {
		p.line("%s", p.paint(bad, "the last reload ("+p.clock(r.GetAt())+") was refused: "+r.GetError()))
	}
}

func (o *overview) drawCounts(p *page) {
	c, n := o.status.GetCounts(), o.status.GetNode()
	p.line("")
	p.line("speaker    %s", speakerText(p, n.GetSpeaker()))
	p.line("neighbors  %s", share(p, c.GetNeighborsEstablished(), c.GetNeighbors(), "established"))
	bfd := share(p, c.GetBfdSessionsUp(), c.GetBfdSessions(), "up")
	if u := n.GetUplinks(); u != nil {
		bfd += "; uplinks: " + share(p, u.GetAlive(), u.GetTotal(), "alive")
	}
	p.line("bfd        %s", bfd)
	p.line("backends   %s", share(p, c.GetBackendsHealthy(), c.GetBackends(), "healthy"))
	vips := share(p, c.GetAdvertised(), c.GetVips(), "advertised")
	for _, part := range []struct {
		n    uint32
		word string
	}{
		{c.GetWithdrawn(), "withdrawn"}, {c.GetUndecided(), "undecided"},
		{c.GetOverridden(), "by override"}, {c.GetUnconfirmed(), "not yet as wanted in the speaker"},
	} {
		if part.n > 0 {
			vips += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	p.line("vips       %s", vips)
}

func share(p *page, n, of uint32, word string) string {
	t := plain
	if n < of {
		t = doubt
	}
	return p.paint(t, fmt.Sprintf("%d of %d %s", n, of, word))
}

func speakerText(p *page, s *vipdv1.Speaker) string {
	if s == nil {
		return p.paint(faint, "none (bgp.enabled: false)")
	}
	text := s.GetKind()
	if s.GetAddress() != "" {
		text += " " + s.GetAddress()
	}
	if s.GetApi() != "" {
		text += " (" + s.GetApi() + ")"
	}
	t, state := good, "connected"
	if !s.GetConnected() {
		t, state = bad, "not connected"
	}
	if s.GetSince() != nil {
		state += " since " + p.clock(s.GetSince())
	}
	if s.GetProblem() != "" {
		t, state = bad, state+": "+s.GetProblem()
	}
	routes := fmt.Sprintf("; routes: %d of %d installed", s.GetRoutesInstalled(), s.GetRoutesWanted())
	if s.GetRoutesForeign() > 0 {
		routes += fmt.Sprintf(", %d foreign", s.GetRoutesForeign())
	}
	return clean(text) + ", " + p.paint(t, state) + routes
}

func (o *overview) drawTroubled(p *page) {
	troubled, c := o.status.GetTroubled(), o.status.GetCounts()
	if len(troubled) == 0 {
		return
	}
	more := max(len(troubled), int(c.GetWithdrawn()+c.GetUndecided()))
	if !p.wide {
		troubled = troubled[:min(len(troubled), mostTroubled)]
	}
	more -= len(troubled)
	p.line("")
	p.line("%s", p.paint(strong, "Not announced, or not as wanted:"))
	g := &grid{columns: []column{{title: "NAME"}, {title: "PREFIX"}, {title: "SINCE"}, {title: "WHY"}}, wrap: true}
	var rows [][]cell
	for _, v := range troubled {
		rows = append(rows, []cell{in(vipTone(v), v.GetName()), in(plain, v.GetPrefix()), in(plain, p.since(v.GetSince())), in(plain, why(v))})
	}
	g.rows(p, rows)
	if more > 0 {
		p.line("%s", p.paint(faint, fmt.Sprintf("and %d more (vipctl vips --state withdrawn)", more)))
	}
}

// drawLinks shows neighbors and BFD sessions that are not as they should be; in
// wide all of them.
func (o *overview) drawLinks(p *page) {
	var neighbors, sessions [][]cell
	for _, n := range o.status.GetNeighbors() {
		if p.wide || n.GetState() != "established" || n.GetHold() != nil {
			neighbors = append(neighbors, neighborRow(p, n))
		}
	}
	for _, s := range o.status.GetBfdSessions() {
		if p.wide || s.GetState() != "up" || s.GetProblem() != "" {
			sessions = append(sessions, sessionRow(p, s))
		}
	}
	section(p, "Neighbors:", "Neighbors that are not in use:", &grid{columns: neighborColumns()}, neighbors)
	section(p, "BFD sessions:", "BFD sessions that are not up:", &grid{columns: sessionColumns()}, sessions)
}

func section(p *page, all, some string, g *grid, rows [][]cell) {
	if len(rows) == 0 {
		return
	}
	p.line("")
	title := some
	if p.wide {
		title = all
	}
	p.line("%s", p.paint(strong, title))
	g.rows(p, rows)
}

func (o *overview) drawVIPs(p *page) {
	vips := o.status.GetVips()
	if len(vips) == 0 || len(vips) > fewVIPs && !p.wide {
		return
	}
	p.line("")
	g := &grid{columns: []column{{title: "VIP"}, {title: "PREFIX"}, {title: "STATE"}, {title: "HEALTHY"}, {title: "SINCE"}, {title: "ANNOUNCED TO"}}}
	var rows [][]cell
	for _, v := range vips {
		t := v.GetTally()
		rows = append(rows, []cell{in(plain, v.GetName()), in(plain, v.GetPrefix()), in(vipTone(v), v.GetState()),
			in(plain, fmt.Sprintf("%d/%d", t.GetHealthy(), t.GetTotal())), in(plain, p.since(v.GetSince())), o.announcedTo(v)})
	}
	g.rows(p, rows)
}

// announcedTo tells which neighbors have a VIP in their Adj-RIB-Out; what was
// not asked for is not claimed.
func (o *overview) announcedTo(v *vipdv1.Vip) cell {
	if !v.GetRoute().GetInstalled() {
		return in(plain, "")
	}
	sent, asked := o.sent[v.GetName()]
	if !asked {
		return in(plain, "in the speaker's table")
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
		return in(doubt, fmt.Sprintf("%d of %d: %s", len(to), len(sent), strings.Join(to, " ")))
	}
	return in(good, strings.Join(to, " "))
}

func (o *overview) drawEvents(p *page) {
	events := o.status.GetEvents()
	if len(events) > lastEvents && !p.wide {
		events = events[:lastEvents]
	}
	if len(events) == 0 {
		return
	}
	p.line("")
	p.line("%s", p.paint(strong, "Last events, newest first:"))
	var rows [][]cell
	for _, e := range events {
		rows = append(rows, eventRow(p, e))
	}
	(&grid{columns: eventColumns(), wrap: true}).rows(p, rows)
}
