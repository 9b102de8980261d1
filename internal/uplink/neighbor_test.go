package uplink

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

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
	x.n.Speaker(BGP{Established: true, Since: x.now.Add(-time.Hour)}, x.now)
	x.want("disabled: ") // not done yet, so wanted on
	x.advance(20 * sec)
	x.comeUp()
	x.want("")
	x.wantAlive(true)
}

// Another BGP session than the one that the failure was about.
func TestBGPSessionOfAfterTheFailure(t *testing.T) {
	up := func(x *test, since time.Time) { x.n.Speaker(BGP{Established: true, Since: since}, x.now) }
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
		{"unless the speaker has a session", func(x *test) { x.n.Speaker(BGP{Established: true, Since: x.now.Add(-time.Hour)}, x.now) }, ""},
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

// A session that others have had for long tells of no transition to Up.
func TestSessionThatIsUpAlready(t *testing.T) {
	since := func(x *test) time.Time { return x.now.Add(-time.Minute) }
	there := func(x *test, life uint32) {
		x.n.Peer(Peer{Life: life, Seq: 7, Up: true, Since: since(x), Heard: true})
	}
	x := newTest(t, Config{OnDown: Disable, Strict: 30 * sec}, false)
	x.want("disabled: BFD session not up yet")
	there(x, 1)
	x.want("") // strict mode has what it waited for
	x.n.Change(Change{Life: 1, Seq: 6, From: packet.Up, To: packet.Down, At: x.now})
	x.want("") // that was before
	x.n.Change(Change{Life: 1, Seq: 40, Missed: 32, From: packet.Init, To: packet.Down, At: x.now})
	x.want("disabled: BFD session down")

	// A reload has a neighbor that failed follow another session.
	x = newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.acted()
	other := usual
	other.Session = "from another address"
	x.n.Configure(other, x.now)
	x.want("disabled: ") // it knows no better yet
	there(x, 2)
	x.want("") // for longer than the hold-up
	x.n.Change(Change{Life: 2, Seq: 8, From: packet.Up, To: packet.Down, At: x.now})
	x.want("disabled: ")
}

// A step back of the clock makes a session seem to begin after its failure.
func TestSessionOfTimesToComeIsNoOther(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down)
	x.n.Speaker(BGP{Established: true, Since: x.now.Add(time.Hour)}, x.now)
	x.want("disabled: ")
}

// T79 What the peer says of paths behind it changes no state, so it is no
// transition; and a transition with such a diagnostic is like any other.
func TestDiagnosticIsOnlyShown(t *testing.T) {
	x := newTest(t, usual, false)
	x.comeUp()
	x.to(packet.Down, func(c *Change) { c.Diag = packet.ConcatenatedPathDown })
	x.want("disabled: BFD session down: Concatenated Path Down")
}
