package uplink

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

const sec = time.Second

// A test is one neighbor with its session, in time that the test moves on.
type test struct {
	*testing.T
	n     neighbor
	now   time.Time
	state packet.State
	seq   uint64
	life  uint32
}

var usual = Config{OnDown: Disable, HoldUp: 5 * sec, HoldUpMax: 60 * sec}

func newTest(t *testing.T, cfg Config, remembered bool) *test {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &test{T: t, n: newNeighbor(cfg, remembered, now), now: now, state: packet.Down, life: 1}
}

func (x *test) advance(d time.Duration) { x.now = x.now.Add(d) }

// to moves the session.
func (x *test) to(s packet.State, with ...func(*Change)) {
	x.Helper()
	x.seq++
	c := Change{Life: x.life, Seq: x.seq, From: x.state, To: s, At: x.now}
	if s == packet.Down {
		c.Diag = packet.ControlDetectionTimeExpired
	}
	for _, f := range with {
		f(&c)
	}
	x.seq, x.state = c.Seq, s
	x.n.Change(c)
}

// comeUp is what a session does after Down, in no time.
func (x *test) comeUp() { x.Helper(); x.to(packet.Init); x.to(packet.Up) }

func remoteAdmin(c *Change) {
	c.RemoteAdmin, c.Diag = true, packet.NeighborSignaledSessionDown
}

// acted tells the neighbor that the speaker did what was wanted.
func (x *test) acted() { x.n.Speaker(BGP{Held: true}) }

// want fails on another verdict: "" is none, else what it is and why.
func (x *test) want(what string) {
	x.Helper()
	v, _ := x.n.Verdict(x.now)
	have := ""
	switch {
	case v.Disable && v.Withhold:
		have = "both"
	case v.Disable:
		have = "disabled: "
	case v.Withhold:
		have = "withheld: "
	}
	have += v.Reason
	if have != what && (what == "" || !strings.HasPrefix(have, what)) {
		x.Errorf("after %s: have %q, want %q", x.now.Format(time.TimeOnly), have, what)
	}
}

func (x *test) wantAlive(want bool) {
	x.Helper()
	if v, _ := x.n.Verdict(x.now); v.Alive != want {
		x.Errorf("alive: %t, want %t", v.Alive, want)
	}
}

func (x *test) wantNext(in time.Duration) {
	x.Helper()
	if _, next := x.n.Verdict(x.now); in == 0 && !next.IsZero() || in != 0 && !next.Equal(x.now.Add(in)) {
		x.Errorf("next %v, want it in %s", next, in)
	}
}

// T07 "when a BFD session transitions from Up to Down, action SHOULD be taken"
// (RFC 5882 §4.2.1)
func TestFailureActsAtOnce(t *testing.T) {
	for reaction, want := range map[Reaction]string{
		Disable: "disabled: BFD session down: Control Detection Time Expired", Withdraw: "withheld: BFD", Ignore: "BFD session down: Control",
	} {
		x := newTest(t, Config{OnDown: reaction}, false)
		x.comeUp()
		x.want("")
		x.wantAlive(true)
		x.to(packet.Down)
		x.want(want)
		x.wantAlive(false)
		x.wantNext(0) // only the session can end it
		x.advance(1000 * time.Hour)
		x.want(want)
	}
}

// T08 "If a BFD session transitions from Up state to AdminDown, or the session
// transitions from Up to Down because the remote system is indicating that the
// session is in state AdminDown, clients SHOULD NOT take any control protocol
// action" (RFC 5882 §4.2)
func TestAdminDownIsNoFailure(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down, remoteAdmin)
	x.want("")
	x.wantAlive(true)
	x.comeUp()
	x.to(packet.AdminDown)
	x.want("")
	x.wantAlive(true)
	x.to(packet.Down)
	x.want("")
}

// "BFD has been administratively disabled, and the establishment of a control
// protocol adjacency MUST be allowed" (RFC 5882 §4.1)
func TestAdminDownEndsAFailure(t *testing.T) {
	for name, end := range map[string]func(*test){
		"ours":                      func(x *test) { x.to(packet.AdminDown) },
		"the peer's, from Init":     func(x *test) { x.to(packet.Init); x.to(packet.Down, remoteAdmin) },
		"the peer's, while Down":    func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true, Admin: true}) },
		"the peer's, in a hold-up":  func(x *test) { x.comeUp(); x.to(packet.Down, remoteAdmin) },
		"ours, in a hold-up":        func(x *test) { x.comeUp(); x.to(packet.AdminDown) },
		"the peer's, acted on late": func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true, Admin: true}); x.acted() },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTest(t, usual, false)
			x.comeUp()
			x.to(packet.Down)
			x.acted()
			x.want("disabled: ")
			end(x)
			x.want("")
			x.wantAlive(true)
		})
	}
}

// T09 "The BFD state machine transitions that occur in the process of bringing
// up a BFD session … SHOULD NOT cause a connectivity failure notification"
// (RFC 5882 §3.3)
func TestSessionThatWasNeverUpSaysNothing(t *testing.T) {
	x := newTest(t, usual, false)
	for range 10 {
		x.to(packet.Init)
		x.want("")
		x.to(packet.Down) // silence
		x.want("")
		x.to(packet.Init)
		x.to(packet.Down, remoteAdmin)
		x.want("")
		x.wantAlive(true)
	}
}

func TestUpIsHeld(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	x.advance(100 * sec)
	x.comeUp()
	x.want("disabled: BFD session up again, held until 2026-01-02T03:05:50Z")
	x.wantAlive(false)
	x.wantNext(5 * sec)
	x.advance(5*sec - 1)
	x.want("disabled: ")
	x.advance(1)
	x.want("")
	x.wantAlive(true)
	x.wantNext(0)
}

func TestDownDuringTheHoldUpActsAtOnce(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	x.comeUp()
	x.advance(4 * sec)
	x.to(packet.Down)
	x.want("disabled: BFD session down")
	x.advance(10 * sec) // the hold-up of before fires into nothing
	x.want("disabled: BFD session down")
	x.comeUp()
	x.advance(9 * sec)
	x.want("disabled: BFD session up again") // twice as long now
	x.advance(sec)
	x.want("")
}

// T72, its core: "nothing acted on that recovered".
func TestWhatRecoveredBeforeItWasActedOnIsLeftAlone(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.n.Speaker(BGP{Established: true, Since: x.now.Add(-time.Hour)})
	x.want("disabled: ") // not done yet, so wanted on
	x.advance(20 * sec)
	x.comeUp()
	x.want("")
	x.wantAlive(true)
}

// Another BGP session than the one that the failure was about.
func TestBGPSessionOfAfterTheFailure(t *testing.T) {
	up := func(x *test, since time.Time) { x.n.Speaker(BGP{Established: true, Since: since}) }
	for _, reaction := range []Reaction{Disable, Withdraw, Ignore} {
		x := newTest(t, Config{OnDown: reaction}, false)
		x.comeUp()
		x.to(packet.Down)
		failed := x.now
		up(x, failed.Add(-sec))
		x.wantAlive(false)
		if v, _ := x.n.Verdict(x.now); v.Disable && !v.SpareAfter.Equal(failed) {
			t.Errorf("spares sessions after %v, want %v", v.SpareAfter, failed)
		}
		x.advance(10 * sec)
		up(x, failed.Add(9*sec))
		x.want("")
		x.wantAlive(true)
		x.comeUp()
		x.to(packet.Down) // this one is about it
		x.wantAlive(false)
	}
	// What was done about a failure that is over says nothing about the next.
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	x.comeUp()
	x.advance(10 * sec)
	x.to(packet.Down)
	x.advance(10 * sec)
	up(x, x.now)
	x.want("")
	// Where the failure was acted on, somebody restarted the speaker.
	x = newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	x.advance(10 * sec)
	up(x, x.now)
	x.want("disabled: ")
	if v, _ := x.n.Verdict(x.now); !v.SpareAfter.IsZero() {
		t.Errorf("spares sessions after %v", v.SpareAfter)
	}
}

func TestFormerLifesDisablingStays(t *testing.T) {
	for _, c := range []struct {
		rule string
		then func(*test)
		want string
	}{
		{"as long as nothing is known", func(x *test) { x.advance(time.Hour) }, "disabled: BFD session down before vipd started"},
		{"while the session does not come up", func(x *test) { x.to(packet.Init); x.to(packet.Down) }, "disabled: "},
		{"though the peer is silent", func(x *test) { x.n.Peer(Peer{Life: 1, Admin: true}) }, "disabled: "},
		{"and it is seen so", func(x *test) { x.acted() }, "disabled: "},
		{"during the hold-up", func(x *test) { x.comeUp(); x.advance(4 * sec) }, "disabled: BFD session up again"},
		{"until the hold-up is over", func(x *test) { x.comeUp(); x.advance(5 * sec) }, ""},
		{"until the peer is AdminDown", func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true, Admin: true}) }, ""},
		{"unless the speaker has a session", func(x *test) { x.n.Speaker(BGP{Established: true, Since: x.now.Add(-time.Hour)}) }, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			x := newTest(t, usual, true)
			c.then(x)
			x.want(c.want)
			x.wantAlive(c.want == "")
		})
	}
	for _, reaction := range []Reaction{Withdraw, Ignore} {
		x := newTest(t, Config{OnDown: reaction}, true)
		x.want("") // it is configured not to be disabled
	}
}

// T73
func TestFlappingActsOnEachDownAndSettles(t *testing.T) {
	for _, finally := range []packet.State{packet.Up, packet.Down} {
		x := newTest(t, usual, false)
		x.comeUp()
		for range 20 {
			x.to(packet.Down)
			x.want("disabled: BFD session down")
			x.acted()
			x.advance(250 * time.Millisecond)
			x.comeUp()
			x.want("disabled: BFD session up again")
			x.advance(250 * time.Millisecond)
		}
		if finally == packet.Down {
			x.to(packet.Down)
		}
		x.advance(usual.HoldUpMax)
		if finally == packet.Down {
			x.want("disabled: ")
		} else {
			x.want("")
		}
	}
}

func TestHoldUpGrowsIsBoundedAndForgets(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		gap  time.Duration
		want string
	}{
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, sec, "[5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, 60 * sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: 60 * sec}, 59 * sec, "[5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s]"},
		{Config{HoldUp: 5 * sec}, sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUp: 5 * sec, HoldUpMax: sec}, sec, "[5s 5s 5s 5s 5s 5s 5s 5s]"},
		{Config{HoldUpMax: 60 * sec}, sec, "[0s 0s 0s 0s 0s 0s 0s 0s]"},
		{Config{HoldUp: 1<<62 + 1, HoldUpMax: 1<<63 - 1}, sec, fmt.Sprint([]time.Duration{1<<62 + 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1})},
	} {
		var d damping
		var have []time.Duration
		at := time.Unix(1e9, 0)
		for range 8 {
			d.flap(at, c.cfg)
			have = append(have, d.hold(c.cfg))
			at = at.Add(c.gap)
		}
		if fmt.Sprint(have) != c.want {
			t.Errorf("%v every %v: have %v, want %s", c.cfg, c.gap, have, c.want)
		}
	}
	// However long it flapped, ten calm minutes are enough.
	var d damping
	at := time.Unix(1e9, 0)
	for range 10000 {
		d.flap(at, usual)
		at = at.Add(sec)
	}
	d.flap(at.Add(10*time.Minute), usual)
	if have := d.hold(usual); have != usual.HoldUp {
		t.Errorf("held %v", have)
	}
}

// T76
func TestStrictModeHoldsBackWhileBothWantBFD(t *testing.T) {
	strict := Config{OnDown: Disable, HoldUp: 5 * sec, Strict: 30 * sec}
	heard := func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true}) }
	for _, c := range []struct {
		rule  string
		then  func(*test)
		after time.Duration
		want  string
	}{
		{"until the peer had time to be heard", nil, 3*sec - 1, "disabled: BFD session not up yet, waiting until 2026-01-02T03:04:08Z"},
		{"not if it appears not to do BFD", nil, 3 * sec, ""},
		{"while it wants BFD too", heard, 30*sec - 1, "disabled: BFD session not up yet, waiting until 2026-01-02T03:04:35Z"},
		{"but not for ever", heard, 30 * sec, ""},
		{"and one that fell silent wants it still", func(x *test) { heard(x); x.n.Peer(Peer{Life: 1}) }, 29 * sec, "disabled: "},
		{"not if the peer is AdminDown", func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true, Admin: true}) }, 0, ""},
		{"not if the peer went AdminDown", func(x *test) { x.to(packet.Init); x.to(packet.Down, remoteAdmin) }, 0, ""},
		{"nor if it then fell silent", func(x *test) { x.to(packet.Init); x.to(packet.Down, remoteAdmin); x.n.Peer(Peer{Life: 1}) }, 0, ""},
		{"again when it came back", func(x *test) { x.n.Peer(Peer{Life: 1, Heard: true, Admin: true}); heard(x) }, 0, "disabled: "},
		{"not if we are AdminDown", func(x *test) { heard(x); x.to(packet.AdminDown) }, 0, ""},
		{"not once it was up, without hold-up", func(x *test) { x.comeUp() }, 0, ""},
		{"nor later", func(x *test) { x.comeUp(); x.to(packet.AdminDown); x.to(packet.Down); heard(x) }, 0, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			x := newTest(t, strict, false)
			if c.then != nil {
				c.then(x)
			}
			x.advance(c.after)
			x.want(c.want)
			x.wantAlive(true)
			if v, _ := x.n.Verdict(x.now); v.Disable && v.SpareAfter.After(time.Unix(0, 0)) {
				t.Errorf("a session that is there already is shut down: %+v", v)
			}
		})
	}
	x := newTest(t, usual, false) // not strict
	heard(x)
	x.want("")
	// The time runs from the session's birth, which is not its first transition.
	x = newTest(t, strict, false)
	x.advance(20 * sec)
	x.to(packet.Init)
	heard(x)
	x.wantNext(10 * sec)
	x.life, x.seq, x.state = 2, 0, packet.Down
	x.to(packet.Init)
	x.n.Peer(Peer{Life: 2, Heard: true})
	x.wantNext(30 * sec)
}

// The engine's subscription tells the last of a session, and how many it missed.
func TestMissedTransitions(t *testing.T) {
	missed := func(c *Change) { c.Missed, c.Seq = 40, c.Seq+40 }
	for _, c := range []struct {
		rule string
		do   func(*test)
		want string
	}{
		{"up, and then down in the end: it failed", func(x *test) { x.comeUp(); x.state = packet.Init; x.to(packet.Down, missed) }, "disabled: "},
		{"up, and then on its way up: it failed", func(x *test) { x.comeUp(); x.state = packet.Down; x.to(packet.Init, missed) }, "disabled: "},
		{"up, and then up: it recovered", func(x *test) { x.comeUp(); x.state = packet.Init; x.to(packet.Up, missed) }, ""},
		{"up, and then down for the peer's wish: it did not fail", func(x *test) { x.comeUp(); x.state = packet.Init; x.to(packet.Down, missed, remoteAdmin) }, ""},
		{"never seen up, and then down: nothing is known", func(x *test) { x.state = packet.Init; x.to(packet.Down, missed) }, ""},
		{"failed, and then up: it recovered", func(x *test) { x.comeUp(); x.to(packet.Down); x.state = packet.Init; x.to(packet.Up, missed) }, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			x := newTest(t, usual, false)
			c.do(x)
			x.want(c.want)
		})
	}
}

func TestWhatIsToldTwiceCountsOnce(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	down := Change{Life: 1, Seq: x.seq, From: packet.Up, To: packet.Down, At: x.now}
	x.comeUp()
	x.n.Change(down)
	x.advance(5 * sec)
	x.want("")
	if x.n.damping.flaps != 1 {
		t.Errorf("%d flaps", x.n.damping.flaps)
	}
}

// A session that was made anew (changed on reload, say) has not failed, and one
// that is up proves more than the one of before.
func TestAnotherLifeOfTheSession(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	former := Change{Life: 1, Seq: 3, From: packet.Up, To: packet.Down, At: x.now}
	x.life, x.seq, x.state = 2, 0, packet.Down
	x.to(packet.Init)
	x.want("")
	x.n.Change(former) // late news of the one that is gone
	x.want("")
	x.to(packet.Up)
	x.to(packet.Down)
	x.acted()
	x.want("disabled: ")
	x.life, x.seq, x.state = 3, 0, packet.Down
	x.to(packet.Init)
	x.want("disabled: ") // it knows no better yet
	x.to(packet.Up)
	x.life, x.seq, x.state = 4, 0, packet.Down
	x.to(packet.Init)
	x.advance(time.Hour)
	x.want("disabled: ") // the hold-up of one that is gone fires into nothing
	x.to(packet.Up)
	x.advance(usual.HoldUp)
	x.want("")
	x.n.Peer(Peer{Life: 2, Heard: true, Admin: true})
	if x.n.admin {
		t.Error("believes a session that is gone")
	}
}

// T79 What the peer says of paths behind it changes no state, so it is no
// transition; and a transition with such a diagnostic is like any other.
func TestDiagnosticIsOnlyShown(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down, func(c *Change) { c.Diag = packet.ConcatenatedPathDown })
	x.want("disabled: BFD session down: Concatenated Path Down")
}
