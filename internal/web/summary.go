package web

import (
	"strings"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A notice is something that an operator should know before all else.
type notice struct {
	mark
	Detail string // may have lines
}

func notices(now time.Time, n *vipdv1.Node) (out []notice) {
	if d := n.GetDrain(); d != nil {
		out = append(out, notice{mark{warn, "Draining: " + spaced(d.GetPhase())}, drainDetail(now, d)})
	}
	if s := n.GetSpeaker(); s != nil && (!s.GetConnected() || s.GetProblem() != "") {
		text, t := "BGP speaker has a problem", warn
		if !s.GetConnected() {
			text, t = "BGP speaker is not connected", bad
		}
		out = append(out, notice{mark{t, text}, s.GetProblem()})
	}
	if r := n.GetLastReload(); r != nil && !r.GetOk() {
		out = append(out, notice{mark{bad, "The configuration was refused, the one before is in force"}, r.GetError()})
	}
	if u := n.GetUplinks(); u != nil && u.GetAlive() < u.GetTotal() {
		out = append(out, notice{mark{bad, grouped(u.GetAlive()) + " of " + count(u.GetTotal(), "uplink") + " alive, says BFD"}, ""})
	}
	for _, problem := range n.GetProblems() {
		out = append(out, notice{mark{warn, "Problem"}, problem})
	}
	return out
}

func drainDetail(now time.Time, d *vipdv1.Drain) string {
	by, until, connections := "", "", ""
	if d.GetBy() != "" {
		by = "by " + d.GetBy()
	}
	if d.GetUntil() != nil {
		until = "ends in " + left(now, d.GetUntil()).Text
	}
	if d.GetMeasured() != "" {
		connections = count(d.GetConnections(), "connection") + " left (" + d.GetMeasured() + ")"
	}
	stopping := ""
	if d.GetStopping() {
		stopping = "vipd stops after it"
	}
	return joined(", ", d.GetReason(), by, "for "+ago(now, d.GetSince()).Text, until, connections, stopping)
}

// summary is the node in one sentence.
func summary(n *vipdv1.Node, c *vipdv1.Counts) string {
	if c.GetVips() == 0 {
		return "No VIPs."
	}
	parts := []string{grouped(c.GetAdvertised()) + " of " + count(c.GetVips(), "VIP") + " advertised"}
	for _, p := range []struct {
		n    uint32
		what string
	}{
		{c.GetWithdrawn(), " withdrawn"}, {c.GetUndecided(), " undecided"}, {c.GetUnconfirmed(), " not confirmed by the speaker"},
	} {
		if p.n > 0 {
			parts = append(parts, grouped(p.n)+p.what)
		}
	}
	text := strings.Join(parts, ", ") + "."
	if n.GetDrain() != nil {
		text = "Draining. " + text
	}
	return text
}

// A tile is a number that tells how things are, with what belongs to it.
type tile struct {
	Name  string
	Value string
	Of    string // of how many; empty: the value is all
	Tone  tone
	Lines []tileLine
}

// A tileLine is a line below a number. Address, of a view, may be empty.
type tileLine struct{ Text, Address string }

func (t *tile) line(text, address string) {
	if text != "" {
		t.Lines = append(t.Lines, tileLine{text, address})
	}
}

func tiles(now time.Time, n *vipdv1.Node, c *vipdv1.Counts, v view) []tile {
	out := []tile{vipTile(c, v), share("Backends", "healthy", c.GetBackendsHealthy(), c.GetBackends())}
	if n.GetSpeaker() != nil {
		out = append(out, share("BGP neighbors", "established", c.GetNeighborsEstablished(), c.GetNeighbors()))
	}
	if c.GetBfdSessions() > 0 {
		bfd := share("BFD sessions", "up", c.GetBfdSessionsUp(), c.GetBfdSessions())
		if u := n.GetUplinks(); u != nil {
			bfd.line(grouped(u.GetAlive())+" of "+count(u.GetTotal(), "uplink")+" alive", "")
		}
		out = append(out, bfd)
	}
	return append(out, speakerTile(now, n.GetSpeaker()), configTile(now, n))
}

// share is how many of something are well.
func share(name, well string, n, of uint32) tile {
	t := tile{Name: name, Value: grouped(n), Of: grouped(of), Tone: good}
	if n < of {
		t.Tone = warn
	}
	if of > 0 && n == 0 {
		t.Tone = bad
	}
	if of == 0 {
		t.Tone = idle
	}
	t.line(well, "")
	return t
}

func vipTile(c *vipdv1.Counts, v view) tile {
	t := share("VIPs", advertised, c.GetAdvertised(), c.GetVips())
	t.Lines = nil
	for _, p := range []struct {
		n     uint32
		state string
	}{{c.GetAdvertised(), advertised}, {c.GetWithdrawn(), withdrawn}, {c.GetUndecided(), undecided}} {
		if p.n > 0 {
			t.line(grouped(p.n)+" "+p.state, v.Only(p.state)+"#vips")
		}
	}
	if n := c.GetUnconfirmed(); n > 0 {
		t.line(grouped(n)+" not confirmed", "")
	}
	if n := c.GetOverridden(); n > 0 {
		t.line(grouped(n)+" overridden", "")
	}
	return t
}

func speakerTile(now time.Time, s *vipdv1.Speaker) tile {
	if s == nil {
		return tile{Name: "BGP speaker", Value: "off", Tone: idle}
	}
	t := tile{Name: "BGP speaker", Value: "connected", Tone: good}
	if !s.GetConnected() {
		t.Value, t.Tone = "not connected", bad
	}
	t.line(joined(" ", s.GetKind(), s.GetApi(), s.GetAddress()), "")
	if s.GetAsn() != 0 {
		t.line("AS "+plain(s.GetAsn())+", "+s.GetRouterId(), "")
	}
	t.line(grouped(s.GetRoutesInstalled())+" of "+count(s.GetRoutesWanted(), "route")+" installed", "")
	if n := s.GetRoutesForeign(); n > 0 {
		t.line("others announce "+grouped(n)+" of the prefixes too", "")
	}
	if n := s.GetDrift(); n > 0 {
		t.line("put right "+count(n, "time"), "")
	}
	if s.GetSince() != nil {
		t.line("for "+ago(now, s.GetSince()).Text, "")
	}
	return t
}

func configTile(now time.Time, n *vipdv1.Node) tile {
	t := tile{Name: "Configuration", Value: "in force", Tone: good}
	if r := n.GetLastReload(); r != nil {
		if !r.GetOk() {
			t.Value, t.Tone = "refused", bad
		}
		t.line(ago(now, r.GetAt()).Text+" ago", "")
	}
	if n.GetStarted() != nil {
		t.line("vipd runs for "+ago(now, n.GetStarted()).Text, "")
	}
	return t
}
