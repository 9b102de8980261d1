package session_test

import (
	"fmt"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// fsm is the state machine of RFC 5880 §6.2: for each local state the next one,
// by what the peer says: AdminDown, Down, Init, Up.
var fsm = [4][4]packet.State{
	packet.AdminDown: {packet.AdminDown, packet.AdminDown, packet.AdminDown, packet.AdminDown},
	packet.Down:      {packet.Down, packet.Init, packet.Up, packet.Down},
	packet.Init:      {packet.Down, packet.Init, packet.Up, packet.Up},
	packet.Up:        {packet.Down, packet.Down, packet.Up, packet.Up},
}

// An input is one call of a session's method.
type input struct {
	at     time.Time
	call   string // the method
	got    packet.Control
	config session.Config
	diag   packet.Diag
}

func (in input) do(s *session.Session) session.Effects {
	switch in.call {
	case "Receive":
		return s.Receive(in.at, in.got)
	case "Configure":
		return s.Configure(in.at, in.config)
	case "Disable":
		return s.Disable(in.at, in.diag)
	case "Enable":
		return s.Enable(in.at)
	case "Fail":
		return s.Fail(in.at, in.diag)
	}
	return s.Advance(in.at)
}

// A law watches a session from outside. It says what must hold after every input
// whatever the inputs are, in words of its own.
type law struct {
	s      *session.Session
	discr  uint32
	config session.Config
	low    session.Config // the least intervals that were ever wanted
	high   session.Config // the greatest

	heard  time.Time // the last packet from the peer
	sentAt time.Time
	told   [2]uint8 // state and diag of the last packet
}

func newLaw(s *session.Session, discr uint32, c session.Config) *law {
	return &law{s: s, discr: discr, config: c, low: c, high: c}
}

// do makes the call and returns what the session asks for, or which rule it broke.
func (l *law) do(in input) (session.Effects, error) {
	before, stopped := l.s.View(), l.s.Stopped()
	fx := in.do(l.s)
	after := l.s.View()
	if in.call == "Configure" {
		l.learn(in.config)
	}
	err := l.transition(in, before, after, fx.Event)
	if err == nil {
		err = l.replies(in, fx)
	}
	if err == nil && fx.Send {
		err = l.sends(in, after, stopped)
	}
	if err == nil && (fx.Next.IsZero() || in.call == "Advance" && !fx.Next.After(in.at)) {
		err = fmt.Errorf("to be called again at %v, which is no progress", fx.Next)
	}
	if err == nil && after.RemoteDiscr != 0 && fx.Next.After(after.Heard.Add(after.Detection)) {
		err = fmt.Errorf("to be called again at %v, after the end of the detection time", fx.Next)
	}
	if err == nil && l.s.Stopped() && after.State != packet.AdminDown {
		err = fmt.Errorf("stopped in %v", after.State)
	}
	if l.ours(in) && (l.heard.IsZero() || in.at.After(l.heard)) {
		l.heard = in.at
	}
	if err != nil {
		err = fmt.Errorf("%s at %v: %w\nbefore %+v\nafter  %+v", in.call, in.at, err, before, after)
	}
	return fx, err
}

func (l *law) learn(c session.Config) {
	l.config = c
	l.low.DesiredMinTx = min(l.low.DesiredMinTx, c.DesiredMinTx)
	l.low.RequiredMinRx = min(l.low.RequiredMinRx, c.RequiredMinRx)
	l.high.RequiredMinRx = max(l.high.RequiredMinRx, c.RequiredMinRx)
}

// ours reports whether the input is a packet that names the session, or one that
// may leave it out.
func (l *law) ours(in input) bool {
	return in.call == "Receive" &&
		(in.got.YourDiscr == l.discr || in.got.YourDiscr == 0 && in.got.State <= packet.Down)
}

func (l *law) transition(in input, before, after session.View, e session.Event) error {
	want, diag := before.State, before.Diag
	switch {
	case l.ours(in):
		want, diag = fsm[before.State][in.got.State], packet.NoDiagnostic
		if want == packet.Down {
			diag = packet.NeighborSignaledSessionDown
		}
	case in.call == "Advance" && (before.State == packet.Init || before.State == packet.Up) &&
		!in.at.Before(l.heard.Add(before.Detection)):
		want, diag = packet.Down, packet.ControlDetectionTimeExpired
	case in.call == "Disable":
		want, diag = packet.AdminDown, in.diag
	case in.call == "Enable" && before.State == packet.AdminDown:
		want, diag = packet.Down, packet.NoDiagnostic
	case in.call == "Fail" && before.State != packet.AdminDown:
		want, diag = packet.Down, in.diag
	}
	changed := want != before.State
	reasonOnly := in.call == "Disable" || in.call == "Fail"
	if !changed && !reasonOnly {
		diag = before.Diag
	}
	switch {
	case after.State != want || after.Diag != diag:
		return fmt.Errorf("went to %v (%v), want %v (%v)", after.State, after.Diag, want, diag)
	case changed != (e.From != e.To):
		return fmt.Errorf("event %+v for %v to %v", e, before.State, want)
	case changed && (e.From != before.State || e.To != want || e.Diag != diag || !e.At.Equal(in.at)):
		return fmt.Errorf("event %+v for %v to %v (%v)", e, before.State, want, diag)
	case e.RemoteAdmin != (changed && l.ours(in) && in.got.State == packet.AdminDown):
		return fmt.Errorf("event %+v says RemoteAdmin", e)
	}
	return l.detection(in, after)
}

// detection bounds the Detection Time by all that was ever configured (§6.8.4).
func (l *law) detection(in input, after session.View) error {
	if !l.ours(in) {
		return nil
	}
	mult := time.Duration(in.got.DetectMult)
	least := mult * max(l.low.RequiredMinRx, in.got.DesiredMinTx)
	most := mult * max(l.high.RequiredMinRx, in.got.DesiredMinTx)
	if after.Detection < least || after.Detection > most {
		return fmt.Errorf("detection %v, want %v to %v", after.Detection, least, most)
	}
	return nil
}

// replies: every Poll is answered, nothing else is (§6.8.7).
func (l *law) replies(in input, fx session.Effects) error {
	if want := l.ours(in) && in.got.Poll; fx.Final != want {
		return fmt.Errorf("final is %v, want %v", fx.Final, want)
	}
	if !fx.Final {
		return nil
	}
	p := l.s.Packet(true)
	if p.Poll || !p.Final {
		return fmt.Errorf("answer %+v", p)
	}
	return l.content(p)
}

func (l *law) sends(in input, after session.View, stopped bool) error {
	p := l.s.Packet(false)
	early := [2]uint8{uint8(p.State), uint8(p.Diag)} != l.told
	floor := max(after.RemoteMinRx, l.low.DesiredMinTx) * 3 / 4
	gap := in.at.Sub(l.sentAt)
	first := l.sentAt.IsZero()
	l.sentAt = in.at
	switch {
	case p.Final:
		return fmt.Errorf("periodic packet with F")
	case stopped && after.State == packet.AdminDown && in.call != "Disable":
		return fmt.Errorf("a packet after the last")
	case l.config.Passive && after.RemoteDiscr == 0:
		return fmt.Errorf("passive, and sends first")
	case early:
		return l.content(p)
	case in.call != "Advance":
		return fmt.Errorf("a periodic packet that is not asked for by the time")
	case after.RemoteMinRx == 0:
		return fmt.Errorf("a periodic packet that the peer does not want")
	case after.Demand && !p.Poll:
		return fmt.Errorf("a periodic packet without P in Demand mode")
	case !first && gap < floor:
		return fmt.Errorf("%v after the last packet, want %v at least", gap, floor)
	}
	return l.content(p)
}

// content is what §6.8.7 wants in any packet.
func (l *law) content(p packet.Control) error {
	v := l.s.View()
	l.told = [2]uint8{uint8(p.State), uint8(p.Diag)}
	want := packet.Control{
		State: v.State, Diag: v.Diag, Poll: p.Poll, Final: p.Final,
		MyDiscr: l.discr, YourDiscr: v.RemoteDiscr,
		DetectMult: l.config.DetectMult, ControlPlaneIndependent: l.config.ControlPlaneIndependent,
		DesiredMinTx: v.DesiredMinTx, RequiredMinRx: v.RequiredMinRx,
		RequiredMinEchoRx: l.config.RequiredMinEchoRx,
	}
	switch {
	case p != want:
		return fmt.Errorf("sends %+v, want %+v", p, want)
	case p.State != packet.Up && p.DesiredMinTx < time.Second:
		return fmt.Errorf("wants to send every %v while %v", p.DesiredMinTx, p.State)
	}
	return nil
}
