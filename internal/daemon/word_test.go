package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
	"github.com/fiberlb/vipd/healthloop/check"
)

func TestWordOfASession(t *testing.T) {
	failed := session.Event{From: packet.Up, To: packet.Down}
	for _, c := range []struct {
		rule   string
		events []session.Event
		want   check.LivenessState
	}{
		{"coming up is no word", []session.Event{{From: packet.Down, To: packet.Init}, {From: packet.Init, To: packet.Down}}, check.NeverUp},
		{"up is alive", []session.Event{{From: packet.Init, To: packet.Up}}, check.Alive},
		{"up and down is a failure", []session.Event{{From: packet.Down, To: packet.Up}, failed}, check.Failed},
		{"which coming up does not end", []session.Event{failed, {From: packet.Down, To: packet.Init}}, check.Failed},
		{"the peer's AdminDown is none", []session.Event{{From: packet.Up, To: packet.Down, RemoteAdmin: true}}, check.Closed},
		{"nor is our own", []session.Event{{From: packet.Up, To: packet.AdminDown}}, check.Closed},
		{"nor what follows on that", []session.Event{{From: packet.Up, To: packet.AdminDown}, {From: packet.AdminDown, To: packet.Down}}, check.Closed},
		{"a failure in what was missed counts", []session.Event{{From: packet.Init, To: packet.Up}, {From: packet.Init, To: packet.Down}}, check.Failed},
	} {
		l := newLiveness(zap.NewNop())
		key := bfdengine.Key{Peer: netip.MustParseAddr("10.0.0.1")}
		l.want(map[bfdengine.Key]bfdengine.Spec{key: {Key: key}})
		read := l.reader(key)
		for _, e := range c.events {
			before := read()
			l.say(bfdengine.Change{Key: key, Event: e})
			select {
			case <-before.Changed:
			default:
				t.Errorf("%s: nobody was told", c.rule)
			}
		}
		if have := read().State; have != c.want {
			t.Errorf("%s: have %d, want %d", c.rule, have, c.want)
		}
		before := read()
		l.forget(key)
		<-before.Changed
		if read().State != check.NeverUp {
			t.Errorf("%s: a session that comes again remembers", c.rule)
		}
	}
}

// A session that is Down already makes no transition of the peer's AdminDown. The
// backend's own check must have its say again (RFC 5882 §4.2).
func TestFailureEndsWithThePeersAdminDown(t *testing.T) {
	l := newLiveness(zap.NewNop())
	key := bfdengine.Key{Peer: netip.MustParseAddr("10.0.0.1")}
	l.want(map[bfdengine.Key]bfdengine.Spec{key: {Key: key}})
	read := l.reader(key)
	l.say(bfdengine.Change{Key: key, Seq: 2, Event: session.Event{From: packet.Up, To: packet.Down}})
	s := bfdengine.Snapshot{Spec: bfdengine.Spec{Key: key}, Seq: 2}
	s.RemoteDiscr, s.RemoteState = 7, packet.Down
	for _, c := range []struct {
		rule  string
		heard func()
		want  check.LivenessState
	}{
		{"the peer is Down", func() {}, check.Failed},
		{"it is not heard", func() { s.RemoteDiscr, s.RemoteState = 0, packet.AdminDown }, check.Failed},
		{"it was so before the failure", func() { s.RemoteDiscr, s.Seq = 7, 1 }, check.Failed},
		{"it is AdminDown", func() { s.Seq = 2 }, check.Closed},
	} {
		before := read()
		c.heard()
		l.listen(s)
		if have := read(); have.State != c.want || (have.Changed != before.Changed) != (c.want == check.Closed) {
			t.Errorf("%s: have %+v", c.rule, have)
		}
	}
}

func TestLabelsTellSessionsApart(t *testing.T) {
	peer, local := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	var sessions []bfdengine.Snapshot
	for _, k := range []bfdengine.Key{
		{Peer: peer, Multihop: true}, {Peer: netip.MustParseAddr("10.0.0.2"), Local: local}, {Peer: peer, Local: local},
	} {
		sessions = append(sessions, bfdengine.Snapshot{Spec: bfdengine.Spec{Key: k}})
	}
	if have, want := labels(sessions), []string{"10.0.0.1 (multihop)", "10.0.0.1 from 10.0.0.9", "10.0.0.2"}; !slices.Equal(have, want) {
		t.Errorf("have %q, want %q", have, want)
	}
}
