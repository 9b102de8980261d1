package uplink

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

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
