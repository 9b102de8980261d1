package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// A pair is two sessions and the link between them, all of it from one seed.
type pair struct {
	*testing.T
	r      *rand.Rand
	now    time.Time
	ends   [2]end
	flying []flight // by time of arrival
	link   link
	fixed  time.Duration // the delay of the link without faults
}

type end struct {
	s      session.Session
	law    *law
	next   time.Time
	heard  time.Time
	events []session.Event
}

type flight struct {
	to int
	at time.Time
	p  packet.Control
}

// A link is what happens to packets; its zero value is a good one.
type link struct {
	faulty    bool
	loss, dup float64
	delay     time.Duration // up to it, each on its own: packets overtake
	cut       [2]time.Time  // nothing arrives there until then
}

func pick[E any](r *rand.Rand, from ...E) E { return from[r.IntN(len(from))] }

func anyConfig(r *rand.Rand, passive bool) session.Config {
	return session.Config{
		DesiredMinTx:            pick(r, 20*ms, 50*ms, 100*ms, 300*ms, 2*time.Second),
		RequiredMinRx:           pick(r, 20*ms, 50*ms, 100*ms, 300*ms),
		DetectMult:              uint8(1 + r.IntN(5)),
		ControlPlaneIndependent: r.IntN(2) == 0,
		Passive:                 passive,
	}
}

func newPair(t *testing.T, seed uint64) *pair {
	r := rand.New(rand.NewPCG(seed, 0))
	x := &pair{T: t, r: r, now: begin(), fixed: time.Duration(r.Int64N(int64(150 * ms)))}
	x.link = link{faulty: true, loss: r.Float64() / 2, dup: r.Float64() / 5, delay: time.Duration(r.Int64N(int64(60*ms)) + 1)}
	passive := r.IntN(3) // 2: neither
	for i := range x.ends {
		e := &x.ends[i]
		c := anyConfig(r, passive == i)
		e.s = session.New(uint32(i+1), c, r, x.now)
		e.law = newLaw(&e.s, uint32(i+1), c)
		x.do(i, input{call: "Advance"})
	}
	return x
}

// do is one input of one end. What it sends is given to the link.
func (x *pair) do(i int, in input) {
	e := &x.ends[i]
	in.at = x.now
	fx, err := e.law.do(in)
	if err != nil {
		x.Fatalf("end %d: %v", i, err)
	}
	e.next = fx.Next
	if fx.Event.From != fx.Event.To {
		e.events = append(e.events, fx.Event)
	}
	if fx.Final {
		x.send(1-i, e.s.Packet(true))
	}
	if fx.Send {
		x.send(1-i, e.s.Packet(false))
	}
}

func (x *pair) send(to int, p packet.Control) {
	if x.now.Before(x.link.cut[to]) {
		return
	}
	copies := 1
	if x.link.faulty {
		copies = 0
		if x.r.Float64() >= x.link.loss {
			copies++
		}
		if x.r.Float64() < x.link.dup {
			copies++
		}
	}
	for range copies {
		delay := x.fixed
		if x.link.faulty {
			delay = time.Duration(x.r.Int64N(int64(x.link.delay)))
		}
		f := flight{to, x.now.Add(delay), p}
		i, _ := slices.BinarySearchFunc(x.flying, f, func(a, b flight) int {
			return a.at.Compare(b.at)*2 - 1 // behind those that arrive with it
		})
		x.flying = slices.Insert(x.flying, i, f)
	}
}

// run lets time pass until end. What arrives at an instant is received before an
// end is told that the instant has come, as an owner does that drains its socket.
func (x *pair) run(d time.Duration, between func()) {
	for end := x.now.Add(d); ; {
		next := end
		for i := range x.ends {
			next = earlier(next, x.ends[i].next)
		}
		if len(x.flying) > 0 {
			next = earlier(next, x.flying[0].at)
		}
		if !next.Before(end) {
			x.now = end
			return
		}
		if next.After(x.now) { // a new configuration may find its deadline passed
			x.now = next
		}
		for len(x.flying) > 0 && !x.flying[0].at.After(x.now) {
			f := x.flying[0]
			x.flying = x.flying[1:]
			x.ends[f.to].heard = x.now
			x.do(f.to, input{call: "Receive", got: f.p})
		}
		for i := range x.ends {
			if !x.ends[i].next.After(x.now) {
				x.do(i, input{call: "Advance"})
			}
		}
		between()
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// meddle does now and then what an owner, or an attacker, may do at any time.
func (x *pair) meddle() {
	i := x.r.IntN(2)
	switch x.r.IntN(300) {
	case 0, 1:
		x.reconfigure(i)
	case 2:
		x.do(i, input{call: "Disable", diag: pick(x.r, packet.AdministrativelyDown, packet.PathDown)})
	case 3, 4, 5:
		x.do(i, input{call: "Enable"})
	case 6:
		x.do(i, input{call: "Fail", diag: pick(x.r, packet.ForwardingPlaneReset, packet.EchoFunctionFailed)})
	case 7, 8:
		x.link.cut[i] = x.now.Add(time.Duration(x.r.Int64N(int64(3 * time.Second))))
	case 9, 10:
		x.do(i, input{call: "Receive", got: packet.Control{
			State: pick(x.r, packet.Init, packet.Up), Poll: true, DetectMult: 1,
			MyDiscr: 99, YourDiscr: pick[uint32](x.r, 0, 77),
		}})
	}
}

func (x *pair) reconfigure(i int) {
	x.do(i, input{call: "Configure", config: anyConfig(x.r, x.ends[i].law.config.Passive)})
}

func (x *pair) wantUp(when string) {
	x.Helper()
	for i := range x.ends {
		if v := x.ends[i].s.View(); v.State != packet.Up || v.RemoteState != packet.Up {
			x.Fatalf("end %d %s: %+v", i, when, v)
		}
	}
}

// Whatever the link, the owners and others did, two sessions come Up when it ends;
// then they stay Up whatever is configured; and when nothing arrives any more, who
// hears nothing is Down when its detection time ends, and not before.
// The law watches each input: among others, no Up without the other's consent,
// and one event for each transition.
func TestTwoSessionsOverABadLink(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 200
	}
	for seed := range seeds {
		// The seed is in the name of what fails, and -run takes that name.
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { story(newPair(t, seed)) })
	}
}

func story(x *pair) {
	x.run(6*time.Second, x.meddle)

	x.link = link{}
	for i := range x.ends {
		x.do(i, input{call: "Enable"})
	}
	nothing := func() {}
	x.run(5*time.Second, nothing)
	x.wantUp("after the faults")

	for i := range x.ends {
		x.ends[i].events = nil
	}
	x.run(6*time.Second, func() {
		if x.r.IntN(40) == 0 {
			x.reconfigure(x.r.IntN(2))
		}
	})
	x.wantUp("after new configurations")
	for i := range x.ends {
		if events := x.ends[i].events; len(events) != 0 {
			x.Fatalf("end %d: %+v on a good link", i, events)
		}
	}

	silent := x.r.IntN(2)
	x.link.cut[silent] = x.now.Add(time.Hour)
	x.run(x.fixed, nothing) // for what is on its way
	heard, detection := x.ends[silent].heard, x.ends[silent].s.View().Detection
	if wait := heard.Add(detection).Sub(x.now); wait > 0 {
		x.run(wait, nothing)
		x.wantUp("before the detection time is over")
	}
	x.run(x.fixed+1, nothing)
	down := x.ends[silent].events
	if len(down) == 0 || down[0].Diag != packet.ControlDetectionTimeExpired || !down[0].At.Equal(heard.Add(detection)) {
		x.Fatalf("heard at %v, detection time %v, then %+v", heard, detection, down)
	}
	if other := x.ends[1-silent].events; len(other) == 0 || other[0].Diag != packet.NeighborSignaledSessionDown {
		// A passive end may not speak when it hears nobody: then it is waited for.
		if !x.ends[silent].law.config.Passive {
			x.Fatalf("the other end was not told: %+v", other)
		}
	}
}
