package web

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// A neighborRow is a BGP neighbor.
type neighborRow struct {
	*vipdv1.Neighbor
	Mark mark
	For  moment
	BFD  mark
	Held string // why it is not used; empty: it is
}

func neighborRows(now time.Time, all []*vipdv1.Neighbor) list[neighborRow] {
	well := func(n *vipdv1.Neighbor) bool { return n.GetState() == "established" && n.GetHold() == nil }
	return firstOf(all, well, func(n *vipdv1.Neighbor) neighborRow {
		row := neighborRow{Neighbor: n, Mark: mark{bad, n.GetState()}, For: ago(now, n.GetSince()), BFD: bfdMark(n.GetBfd())}
		if n.GetState() == "established" {
			row.Mark.Tone = good
		}
		if n.GetAdminDown() {
			row.Mark = mark{idle, joined(", ", n.GetState(), "disabled")}
		}
		row.Held = heldText(n.GetHold())
		return row
	})
}

func heldText(h *vipdv1.Hold) string {
	if h == nil {
		return ""
	}
	what := "sent no routes"
	switch {
	case h.GetDisable():
		what = "disabled"
	case !h.GetWithhold():
		return h.GetError()
	}
	if !h.GetInForce() {
		what = "to be " + what
	}
	if h.GetReason() != "" {
		what += ": " + h.GetReason()
	}
	return joined("; ", what, h.GetError())
}

func bfdMark(state string) mark {
	switch state {
	case "up":
		return mark{good, state}
	case "admindown", "":
		return mark{idle, state}
	}
	return mark{bad, state}
}

// A sessionRow is a BFD session.
type sessionRow struct {
	*vipdv1.BfdSession
	Mark                       mark
	For                        moment
	Path                       string
	Cause, RemoteCause         string // of the states; empty: none that says anything
	Tx, Rx, Detection, Silence string
}

func sessionRows(now time.Time, all []*vipdv1.BfdSession) list[sessionRow] {
	up := func(s *vipdv1.BfdSession) bool { return s.GetState() == "up" && s.GetProblem() == "" }
	return firstOf(all, up, func(s *vipdv1.BfdSession) sessionRow {
		multihop, echo := "", ""
		if s.GetMultihop() {
			multihop = "multihop"
		}
		if s.GetEcho() {
			echo = "echo"
		}
		return sessionRow{
			BfdSession: s, Mark: bfdMark(s.GetState()), For: ago(now, s.GetSince()),
			Cause: diagText(s.GetDiag()), RemoteCause: diagText(s.GetRemoteDiag()),
			Path: joined(", ", s.GetLocal(), s.GetInterface(), multihop, echo),
			Tx:   exact(s.GetTxInterval()), Rx: exact(s.GetRxInterval()),
			Detection: exact(s.GetDetection()), Silence: exact(s.GetMaxGap()),
		}
	})
}

func diagText(diag string) string {
	if strings.EqualFold(diag, "no diagnostic") {
		return ""
	}
	return diag
}

// exact is a duration to the microsecond; empty: none.
func exact(d *durationpb.Duration) string {
	if d.AsDuration() == 0 {
		return ""
	}
	return d.AsDuration().Round(time.Microsecond).String()
}

// An eventRow is something that happened.
type eventRow struct {
	*vipdv1.Event
	At   moment
	Tone tone // of what it is now
	Why  string
}

// eventRows are the last events, newest first, of a subject or of all.
func (p *pages) eventRows(now time.Time, subject string, limit int) (out []eventRow) {
	tones := map[string]tone{
		advertised: good, "up": good, "established": good, "connected": good,
		withdrawn: bad, "down": bad, "lost": bad, "failed": bad,
	}
	events, _, _ := p.sources.Board.Events(board.EventQuery{Subject: subject, Limit: limit})
	for _, e := range slices.Backward(events) {
		t, ok := tones[strings.ToLower(e.GetTo())]
		if !ok {
			t = idle
		}
		out = append(out, eventRow{e, clock(now, e.GetAt()), t, why(e.GetTo(), e.GetReason())})
	}
	return out
}
