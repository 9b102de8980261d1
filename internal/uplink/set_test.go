package uplink

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

func router(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// configured is a Set of n neighbors.
func configured(n int, cfg Config, now time.Time, remembered ...netip.Addr) *Set {
	s := NewSet(remembered)
	all := map[netip.Addr]Config{}
	for i := range n {
		all[router(i)] = cfg
	}
	s.Configure(now, all)
	return s
}

// A peer is the session with one neighbor, as a test moves it.
type peer struct {
	state packet.State
	seq   uint64
}

func (p *peer) to(s *Set, i int, state packet.State, at time.Time) {
	p.seq++
	s.Change(router(i), Change{Life: 1, Seq: p.seq, From: p.state, To: state, Diag: packet.ControlDetectionTimeExpired, At: at})
	p.state = state
}

func TestUplinksAreLostWhenAllFailed(t *testing.T) {
	now := time.Unix(1e9, 0)
	want := func(s *Set, up, total int) {
		t.Helper()
		if e := s.Advance(now); e.Up != up || e.Total != total {
			t.Errorf("%d of %d, want %d of %d", e.Up, e.Total, up, total)
		}
	}
	want(NewSet(nil), 0, 0)
	s := configured(2, Config{OnDown: Ignore, HoldUp: sec}, now)
	var a, b peer
	want(s, 2, 2) // not up yet is not failed
	a.to(s, 0, packet.Up, now)
	a.to(s, 0, packet.Down, now)
	want(s, 1, 2)
	b.to(s, 1, packet.Up, now)
	b.to(s, 1, packet.Down, now)
	want(s, 0, 2)
	b.to(s, 1, packet.Up, now)
	want(s, 0, 2)
	now = now.Add(sec)
	want(s, 1, 2)
	s.Configure(now, map[netip.Addr]Config{router(0): {}})
	want(s, 0, 1)
	s.Configure(now, nil)
	want(s, 0, 0)
}

func TestVerdictsAreToldWhenTheyChange(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := configured(2, usual, now, router(1), router(7))
	want := func(next time.Duration, disabled map[netip.Addr]bool) {
		t.Helper()
		e := s.Advance(now)
		if len(e.Verdicts) != len(disabled) || !e.Next.Equal(now.Add(next)) {
			t.Errorf("told %+v, next in %s", e.Verdicts, e.Next.Sub(now))
		}
		for a, d := range disabled {
			if v, ok := e.Verdicts[a]; !ok || v.Disable != d || v.Alive == d {
				t.Errorf("%s: told %+v", a, e.Verdicts)
			}
		}
	}
	const far = 24 * time.Hour
	want(far, map[netip.Addr]bool{router(1): true}) // remembered, and the other is nobody's
	want(far, nil)
	s.Speaker(router(1), BGP{Held: true}, now)
	want(far, map[netip.Addr]bool{router(1): true}) // no session is spared any more
	var p peer
	p.to(s, 1, packet.Up, now)
	want(5*sec, map[netip.Addr]bool{router(1): true}) // for another reason
	now = now.Add(5 * sec)
	want(far, map[netip.Addr]bool{router(1): false})

	p.to(s, 1, packet.Down, now)
	want(far, map[netip.Addr]bool{router(1): true})
	s.Configure(now, map[netip.Addr]Config{router(0): usual}) // bfd was taken out
	want(far, map[netip.Addr]bool{router(1): false})
	want(far, nil)
	s.Configure(now, map[netip.Addr]Config{router(0): usual, router(1): usual, router(7): usual})
	want(far, nil) // what was remembered is long settled
	s.Configure(now, nil)
	s.Configure(now, map[netip.Addr]Config{router(0): usual})
	want(far, nil)
	s.Change(router(9), Change{Life: 1, Seq: 1, From: packet.Up, To: packet.Down}) // nobody's
	s.Peer(router(9), Peer{Life: 1, Heard: true})
	s.Speaker(router(9), BGP{Held: true}, now)
	want(far, nil)
}

// What is known survives a reload that leaves the neighbor in.
func TestReloadForgetsNothing(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := configured(1, usual, now)
	var p peer
	p.to(s, 0, packet.Up, now)
	p.to(s, 0, packet.Down, now)
	if v := s.Advance(now).Verdicts[router(0)]; !v.Disable {
		t.Errorf("%+v", v)
	}
	s.Configure(now, map[netip.Addr]Config{router(0): {OnDown: Withdraw}})
	if v := s.Advance(now).Verdicts[router(0)]; v.Disable || !v.Withhold {
		t.Errorf("%+v", v)
	}
	s.Configure(now, map[netip.Addr]Config{router(0): {OnDown: Ignore}})
	if v := s.Advance(now).Verdicts[router(0)]; v.Disable || v.Withhold || v.Alive {
		t.Errorf("%+v", v)
	}
}

// T72 1000 sessions fail at once, and the speaker does nothing for 30 seconds.
func TestAThousandFailuresWhileTheSpeakerIsAway(t *testing.T) {
	const n = 1000
	now := time.Unix(1e9, 0)
	s := configured(n, usual, now)
	peers := make([]peer, n)
	wanted := map[netip.Addr]bool{} // as the owner has it
	take := func() {
		for a, v := range s.Advance(now).Verdicts {
			wanted[a] = v.Disable
		}
	}
	for i := range peers {
		peers[i].to(s, i, packet.Up, now)
	}
	take()
	now = now.Add(time.Minute)
	for i := range peers {
		peers[i].to(s, i, packet.Down, now)
	}
	take()
	now = now.Add(20 * sec)
	for i := range n / 2 {
		peers[i].to(s, i, packet.Up, now)
	}
	take()
	now = now.Add(10 * sec) // it is back, and reads what is wanted
	for i := range peers {
		if want := i >= n/2; wanted[router(i)] != want {
			t.Fatalf("neighbor %d: disabled %t, want %t", i, wanted[router(i)], want)
		}
	}
}

// A world is some neighbors with what is really the case, for any order of events.
type world struct {
	s     *Set
	now   time.Time
	peers []truth
	seen  []Verdict
}

type truth struct {
	peer
	life       uint32
	session    int
	queue      []Change // not told yet
	lost       bool     // some never were: a failure among them may be unknown
	failed     bool     // and not ended by anything but an Up
	everUp     bool
	remembered bool
	held       bool // by the speaker
	established,
	admin bool
	since time.Time
}

// move is one step of a session, by the rules of RFC 5880.
func (w *world) move(i int, pick byte) {
	p := &w.peers[i]
	to, admin := packet.State(0), false
	switch {
	case pick == 0:
		to = packet.AdminDown
	case p.state == packet.AdminDown:
		to = packet.Down
	case p.state == packet.Down:
		to = packet.Init + packet.State(pick%2)
	case p.state == packet.Init && pick%3 > 0:
		to = packet.Up
	default:
		to, admin = packet.Down, pick%4 == 1
	}
	if to == p.state {
		return
	}
	p.seq++
	p.queue = append(p.queue, Change{Life: p.life, Seq: p.seq, From: p.state, To: to, RemoteAdmin: admin, At: w.now})
	p.admin = admin || to == packet.AdminDown
	p.everUp = p.everUp || to == packet.Up
	switch {
	case p.admin:
		p.failed = false
	case p.state == packet.Up:
		p.failed = true
	}
	p.state = to
}

// deliver tells all that is queued; of a long queue the last 32 at most.
func (w *world) deliver(t testing.TB, i int) {
	p := &w.peers[i]
	for len(p.queue) > 0 {
		c := p.queue[0]
		if lost := len(p.queue) - 32; lost > 0 {
			c = p.queue[lost]
			c.Missed, p.lost = uint64(lost), true
			p.queue = p.queue[lost:]
		}
		m := w.s.by[router(i)]
		known := m.life == c.Life && m.seq >= c.Seq // to be up again, from the session itself
		w.s.Change(router(i), c)
		if !known && c.From == packet.Up && !c.RemoteAdmin && c.To == packet.Down {
			if v, _ := w.s.by[router(i)].Verdict(w.now); !v.Disable || v.Alive {
				t.Fatalf("a Down was not acted on: %+v", w.s.by[router(i)])
			}
		}
		p.queue = p.queue[1:]
	}
}

func (w *world) advance(t testing.TB) {
	e := w.s.Advance(w.now)
	if !e.Next.After(w.now) || e.Up > e.Total || e.Total != len(w.peers) {
		t.Fatalf("effects %+v", e)
	}
	for i := range w.peers {
		if v, ok := e.Verdicts[router(i)]; ok {
			w.seen[i] = v
		}
		if now, _ := w.s.by[router(i)].Verdict(w.now); now != w.seen[i] {
			t.Fatalf("neighbor %d: told %+v, is %+v", i, w.seen[i], now)
		}
		if p := w.peers[i]; w.seen[i].Disable && !p.everUp && !p.remembered {
			t.Fatalf("neighbor %d was never up: %+v", i, w.seen[i])
		}
	}
}

func (w *world) act(i int) {
	p := &w.peers[i]
	v := w.seen[i]
	spared := v.Disable && p.established && !v.SpareAfter.IsZero() && p.since.After(v.SpareAfter)
	if p.held = v.Disable && !spared; p.held {
		p.established = false
	}
	w.s.Speaker(router(i), BGP{Established: p.established, Since: p.since, Held: p.held}, w.now)
}

// reload may have a neighbor follow another session, which was there before or
// is new.
func (w *world) reload(t testing.TB, i int, pick byte) {
	w.deliver(t, i)
	if p := &w.peers[i]; pick%3 > 0 {
		p.session, p.life, p.queue, p.admin = p.session+1, p.life+1, nil, false
		p.failed = p.failed && p.state != packet.Up
		p.peer = peer{state: packet.Down}
		if pick%3 == 1 {
			p.peer, p.everUp, p.failed = peer{state: packet.Up, seq: uint64(pick)}, true, false
		}
	}
	all := map[netip.Addr]Config{}
	for i, p := range w.peers {
		cfg := usual
		cfg.Session = fmt.Sprint(p.session)
		all[router(i)] = cfg
	}
	w.s.Configure(w.now, all)
}

func (w *world) ask(i int, heard bool) {
	p := w.peers[i]
	w.s.Peer(router(i), Peer{Life: p.life, Seq: p.seq, Up: p.state == packet.Up, Since: w.now, Heard: heard, Admin: p.admin})
}

// run plays inputs, two bytes each, and then lets all be quiet.
func run(t testing.TB, inputs []byte) {
	w := &world{now: time.Unix(1e9, 0), peers: make([]truth, 3), seen: make([]Verdict, 3)}
	for i := range w.peers {
		w.peers[i] = truth{peer: peer{state: packet.Down}, life: 1, remembered: i == 2}
		w.seen[i].Alive = true
	}
	w.s = configured(len(w.peers), usual, w.now, router(2))
	for ; len(inputs) > 1; inputs = inputs[2:] {
		i, pick := int(inputs[0]>>4)%len(w.peers), inputs[1]
		p := &w.peers[i]
		switch inputs[0] & 15 {
		case 0, 1, 2, 3, 4, 5:
			w.move(i, pick)
			w.deliver(t, i)
		case 6:
			w.move(i, pick) // told later
		case 7:
			w.deliver(t, i)
		case 8, 9:
			w.now = w.now.Add(time.Duration(pick) * 20 * time.Millisecond)
		case 10:
			w.now = w.now.Add(time.Duration(pick) * sec)
		case 11:
			if !p.held && !p.established {
				p.established, p.since = true, w.now
			}
		case 12, 13:
			w.advance(t)
			w.act(i)
		case 14:
			if pick%3 > 0 {
				w.deliver(t, i)
			}
			w.ask(i, pick%2 == 0)
		default:
			w.reload(t, i, pick)
		}
		if inputs[0]&15 != 6 {
			w.advance(t)
		}
	}
	for i := range w.peers {
		w.deliver(t, i)
		w.ask(i, w.peers[i].admin)
	}
	for range 3 {
		w.advance(t)
		for i := range w.peers {
			w.act(i)
		}
		w.now = w.now.Add(usual.HoldUpMax)
	}
	w.advance(t)
	for i, p := range w.peers {
		if p.state == packet.Up && w.seen[i].Disable {
			t.Errorf("neighbor %d is up and stays disabled: %+v", i, w.seen[i])
		}
		if p.admin && w.seen[i].Disable {
			t.Errorf("neighbor %d is AdminDown and stays disabled: %+v", i, w.seen[i])
		}
		if p.state != packet.Up && p.failed && !p.lost && !p.admin && !w.seen[i].Disable && !p.established {
			t.Errorf("neighbor %d failed and is in use: %+v", i, p)
		}
	}
}

func TestAnyOrderOfEventsEndsWithWhatIs(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		inputs := make([]byte, 2*rng.IntN(200))
		for i := range inputs {
			inputs[i] = byte(rng.Uint32())
		}
		if run(t, inputs); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzAnyOrderOfEvents(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 0, 2, 12, 0, 0, 1, 8, 255, 12, 0})
	f.Fuzz(func(t *testing.T, inputs []byte) { run(t, inputs) })
}
