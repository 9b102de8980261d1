package board

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A model is what a client makes of a stream: what the API says it may do.
type model struct {
	cursor    Cursor
	whole     bool // the last snapshot is complete
	snapshots int
	missed    int
	node      *vipdv1.Node
	vips      map[string]*vipdv1.Vip
	neighbors map[string]*vipdv1.Neighbor
	sessions  map[string]*vipdv1.BfdSession
}

func newModel() *model { return new(model).forget() }

func (m *model) forget() *model {
	m.node, m.vips = nil, map[string]*vipdv1.Vip{}
	m.neighbors, m.sessions = map[string]*vipdv1.Neighbor{}, map[string]*vipdv1.BfdSession{}
	return m
}

func (m *model) take(t *testing.T, w *vipdv1.WatchResponse) {
	t.Helper()
	defer func() { m.cursor = Cursor{w.GetInstance(), w.GetSequence()} }()
	if s := w.GetSnapshot(); s != nil {
		m.snapshot(t, s)
		return
	}
	if !m.whole || w.GetSequence() != m.cursor.Sequence+1 {
		t.Fatalf("change %d after %d, snapshot whole %v", w.GetSequence(), m.cursor.Sequence, m.whole)
	}
	switch o := w.GetChange().GetObject().(type) {
	case *vipdv1.Change_Node:
		m.node = o.Node
	case *vipdv1.Change_Vip:
		m.vips[o.Vip.GetName()] = o.Vip
	case *vipdv1.Change_VipRemoved:
		delete(m.vips, o.VipRemoved)
	case *vipdv1.Change_Neighbor:
		m.neighbors[o.Neighbor.GetAddress()] = o.Neighbor
	case *vipdv1.Change_NeighborRemoved:
		delete(m.neighbors, o.NeighborRemoved)
	case *vipdv1.Change_BfdSession:
		m.sessions[o.BfdSession.GetId()] = o.BfdSession
	case *vipdv1.Change_BfdSessionRemoved:
		delete(m.sessions, o.BfdSessionRemoved)
	}
}

func (m *model) snapshot(t *testing.T, s *vipdv1.Snapshot) {
	t.Helper()
	if s.GetFirst() {
		m.forget()
		m.snapshots++
		if s.GetMissed() {
			m.missed++
		}
	} else if m.whole || m.snapshots == 0 {
		t.Fatal("a later part of no snapshot")
	}
	m.whole = s.GetLast()
	if s.GetNode() != nil {
		m.node = s.GetNode()
	}
	for _, v := range s.GetVips() {
		m.vips[v.GetName()] = v
	}
	for _, n := range s.GetNeighbors() {
		m.neighbors[n.GetAddress()] = n
	}
	for _, one := range s.GetBfdSessions() {
		m.sessions[one.GetId()] = one
	}
}

func (m *model) wantEqual(t *testing.T, b *Board) {
	t.Helper()
	vips, _, _ := b.VIPs(Query{})
	wantSame(t, "vips", m.vips, vips)
	wantSame(t, "neighbors", m.neighbors, b.Neighbors())
	wantSame(t, "sessions", m.sessions, b.Sessions())
	if m.node != b.Node() {
		t.Errorf("node %v, want %v", m.node, b.Node())
	}
}

// wantSame compares pointers: readers share what was put.
func wantSame[M interface {
	comparable
	proto.Message
}](t *testing.T, what string, got map[string]M, want []M) {
	t.Helper()
	left := map[M]bool{}
	for m := range maps.Values(got) {
		left[m] = true
	}
	for _, m := range want {
		if !left[m] {
			t.Errorf("%s: a reader lacks %v", what, m)
		}
		delete(left, m)
	}
	for m := range left {
		t.Errorf("%s: a reader has %v, which is not shown", what, m)
	}
}

// shake changes b at random.
func shake(b *Board, rnd *rand.Rand, objects int) {
	name := fmt.Sprintf("%03d", rnd.IntN(objects))
	states := []string{"advertised", "withdrawn", "undecided"}
	switch rnd.IntN(12) {
	case 0:
		b.PutNode(&vipdv1.Node{Version: name})
	case 1:
		b.RemoveVIP(name)
	case 2:
		b.RemoveNeighbor(name)
	case 3:
		b.RemoveSession(name)
	case 4:
		b.PutNeighbor(&vipdv1.Neighbor{Address: name, State: []string{"idle", "established"}[rnd.IntN(2)]})
	case 5:
		b.PutSession(&vipdv1.BfdSession{Id: name, State: []string{"down", "up"}[rnd.IntN(2)]})
	case 6:
		b.Note(&vipdv1.Event{Subject: name})
	default:
		v := vip(name, states[rnd.IntN(3)], []string{"up", "down"}[rnd.IntN(2)], []string{"up", "unknown"}[rnd.IntN(2)])
		if rnd.IntN(2) == 0 {
			v.Route = &vipdv1.Route{Confirmed: rnd.IntN(2) == 0, Foreign: rnd.IntN(8) == 0}
		}
		if rnd.IntN(4) == 0 {
			v.Override = &vipdv1.Override{Word: "advertise"}
		}
		b.PutVIP(v)
	}
}

func TestReadersKnowWhatTheBoardShows(t *testing.T) {
	var snapshots, missed int
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		b := small(1+rnd.IntN(40), 1+rnd.IntN(40))
		objects := 1 + rnd.IntN(600)
		for range rnd.IntN(600) {
			shake(b, rnd, objects)
		}
		m := newModel()
		r := b.Read(Cursor{}, false)
		for range 400 {
			switch rnd.IntN(8) {
			case 0: // the stream breaks, and the client goes on
				r = b.Read(m.cursor, false)
			case 1, 2, 3:
				next, _ := r.next(1 + rnd.IntN(4))
				for _, w := range next {
					m.take(t, w)
				}
			default:
				for range rnd.IntN(6) {
					shake(b, rnd, objects)
				}
			}
		}
		for {
			next, _ := r.next(1 + rnd.IntN(4))
			if len(next) == 0 {
				break
			}
			for _, w := range next {
				m.take(t, w)
			}
		}
		m.wantEqual(t, b)
		if !m.whole || m.cursor.Sequence != b.sequence {
			t.Errorf("whole %v, at %d of %d", m.whole, m.cursor.Sequence, b.sequence)
		}
		snapshots, missed = snapshots+m.snapshots, missed+m.missed
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if missed == 0 || snapshots == missed {
		t.Errorf("%d snapshots, %d of them because some were missed: the test tests too little", snapshots, missed)
	}
}

func TestCountsAndTroubleAreThoseOfAWalk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 6))
	b := small(8, 8)
	for i := range 3000 {
		shake(b, rnd, 40)
		want, bad := &vipdv1.Counts{}, []string(nil)
		vips, _, _ := b.VIPs(Query{})
		for _, v := range vips {
			addVIP(want, v, 1)
			if troubled(v) {
				bad = append(bad, v.GetName())
			}
		}
		for _, n := range b.Neighbors() {
			addNeighbor(want, n, 1)
		}
		for _, s := range b.Sessions() {
			addSession(want, s, 1)
		}
		got := b.Counts()
		if !proto.Equal(got, want) {
			t.Fatalf("step %d: %v, want %v", i, got, want)
		}
		if in := names(b.Troubled(1000)); !slices.Equal(slices.Sorted(slices.Values(in)), bad) {
			t.Fatalf("step %d: troubled %q, want %q", i, in, bad)
		}
	}
	one := small(8, 8)
	v := vip("web", "advertised", "up", "up", "down")
	v.Override, v.Route = &vipdv1.Override{}, &vipdv1.Route{}
	one.PutVIP(v)
	one.PutVIP(vip("api", "odd"))
	one.PutVIP(vip("dns", "withdrawn"))
	one.PutNeighbor(&vipdv1.Neighbor{State: "established"})
	one.PutSession(&vipdv1.BfdSession{State: "up"})
	wantEqual(t, "counts", one.Counts(), &vipdv1.Counts{Vips: 3, Advertised: 1, Withdrawn: 1, Undecided: 1, Overridden: 1, Unconfirmed: 1,
		Neighbors: 1, NeighborsEstablished: 1, BfdSessions: 1, BfdSessionsUp: 1, Backends: 3, BackendsHealthy: 2})
}

func TestManyReadersOfWhomOneIsStuck(t *testing.T) {
	const readers, puts = 100, 2000
	b := small(64, 64)
	for i := range 300 {
		b.PutVIP(vip(fmt.Sprintf("%03d", i), "undecided"))
	}
	stuck := b.Read(Cursor{}, false)
	if _, err := stuck.Next(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	done := make(chan *model, readers)
	for i := range readers {
		all.Go(func() { done <- follow(ctx, t, b.Read(Cursor{}, false), 1+i%32) })
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for range puts {
		shake(b, rnd, 300)
	}
	b.PutNode(&vipdv1.Node{Name: "end"})
	all.Wait()
	close(done)
	for m := range done {
		if m.cursor.Sequence != b.sequence {
			t.Errorf("a reader is at %d of %d", m.cursor.Sequence, b.sequence)
		}
		m.wantEqual(t, b)
	}
	m := newModel()
	m.snapshots = 1 // whose first part was not looked at
	for m.cursor.Sequence != b.sequence {
		next, err := stuck.Next(ctx, 8)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range next {
			m.take(t, w)
		}
	}
	m.wantEqual(t, b)
	if m.missed != 1 {
		t.Errorf("the stuck reader was told %d times that it missed some", m.missed)
	}
}

// follow reads until the node is called end.
func follow(ctx context.Context, t *testing.T, r *Reader, limit int) *model {
	m := newModel()
	for m.node.GetName() != "end" || !m.whole {
		next, err := r.Next(ctx, limit)
		if err != nil {
			t.Error(err)
			return m
		}
		for _, w := range next {
			m.take(t, w)
		}
	}
	return m
}
