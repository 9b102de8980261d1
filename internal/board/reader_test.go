package board

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// say tells a response in one line: a snapshot as "[web api]0" with its marks
// before, a change as its sequence and object.
func say(w *vipdv1.WatchResponse) string {
	if s := w.GetSnapshot(); s != nil {
		var b strings.Builder
		if s.GetFirst() {
			b.WriteString("first ")
		}
		if s.GetLast() {
			b.WriteString("last ")
		}
		if s.GetMissed() {
			b.WriteString("missed ")
		}
		return fmt.Sprintf("%s%v at %d", &b, names(s.GetVips()), w.GetSequence())
	}
	switch o := w.GetChange().GetObject().(type) {
	case *vipdv1.Change_Vip:
		return fmt.Sprintf("%d %s %s", w.GetSequence(), o.Vip.GetName(), o.Vip.GetState())
	case *vipdv1.Change_VipRemoved:
		return fmt.Sprintf("%d %s gone", w.GetSequence(), o.VipRemoved)
	case *vipdv1.Change_Event:
		return fmt.Sprintf("%d event %s", w.GetSequence(), o.Event.GetSubject())
	}
	return fmt.Sprint(w)
}

// drain reads all that is there now.
func drain(t *testing.T, r *Reader, limit int) (all []string) {
	t.Helper()
	for {
		next, more := r.next(limit)
		if len(next) == 0 {
			if more == nil {
				t.Fatal("nothing to read, and nothing to wait for")
			}
			return all
		}
		if len(next) > limit {
			t.Fatalf("%d responses, %d were asked for", len(next), limit)
		}
		for _, w := range next {
			if w.GetInstance() != "one" {
				t.Errorf("instance %q", w.GetInstance())
			}
			all = append(all, say(w))
		}
	}
}

func wantRead(t *testing.T, r *Reader, want ...string) {
	t.Helper()
	if got := drain(t, r, 2); !slices.Equal(got, want) {
		t.Errorf("read\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestReadersGetASnapshotAndThenEveryChange(t *testing.T) {
	b := small(64, 16)
	b.PutVIP(vip("web", "withdrawn"))
	b.PutVIP(vip("api", "withdrawn"))
	r := b.Read(Cursor{}, false)
	b.PutVIP(vip("web", "undecided")) // before the snapshot is taken
	wantRead(t, r, "first last [api web] at 3")
	wantRead(t, r)
	b.PutVIP(vip("web", "advertised"))
	b.Note(&vipdv1.Event{Subject: "web"})
	b.RemoveVIP("api")
	b.PutVIP(vip("api", "withdrawn"))
	wantRead(t, r, "4 web advertised", "5 event web", "6 api gone", "7 api withdrawn")
}

func TestEveryKindOfObjectIsInSnapshotsAndChanges(t *testing.T) {
	put := func(b *Board) {
		b.PutNode(&vipdv1.Node{Name: "lb-1"})
		b.PutVIP(vip("web", "advertised"))
		b.PutNeighbor(&vipdv1.Neighbor{Address: "10.0.0.254"})
		b.PutSession(&vipdv1.BfdSession{Id: "10.0.0.254"})
	}
	b := small(64, 16)
	r := b.Read(Cursor{}, false)
	want := newModel()
	for range 5 { // a snapshot of nothing, and four changes
		next, _ := r.next(1)
		want.take(t, next[0])
		if want.cursor.Sequence == 0 {
			put(b)
		}
	}
	got := newModel()
	next, _ := b.Read(Cursor{}, false).next(1)
	got.take(t, next[0])
	for _, m := range []*model{want, got} {
		m.wantEqual(t, b)
		if m.node == nil || len(m.vips) != 1 || len(m.neighbors) != 1 || len(m.sessions) != 1 {
			t.Errorf("incomplete: %+v", m)
		}
	}
}

func TestLongSnapshotsComeInParts(t *testing.T) {
	b := small(4096, 16)
	b.PutNode(&vipdv1.Node{Name: "lb-1"})
	b.PutNeighbor(&vipdv1.Neighbor{Address: "10.0.0.254"})
	b.PutSession(&vipdv1.BfdSession{Id: "10.0.0.254"})
	for i := range 2*partSize - 2 {
		b.PutVIP(vip(fmt.Sprintf("vip-%04d", i), "advertised"))
	}
	r := b.Read(Cursor{}, false)
	m := newModel()
	for i, want := range []int{partSize, partSize, 1} {
		next, _ := r.next(1)
		if len(next) != 1 {
			t.Fatalf("part %d: %d responses", i, len(next))
		}
		s, sequence := next[0].GetSnapshot(), uint64(0)
		objects := len(s.GetVips()) + len(s.GetNeighbors()) + len(s.GetBfdSessions())
		if s.GetNode() != nil {
			objects++
		}
		if i == 2 {
			sequence = 2*partSize + 1
		}
		if objects != want || s.GetFirst() != (i == 0) || s.GetLast() != (i == 2) || next[0].GetSequence() != sequence {
			t.Errorf("part %d: %d objects, first %v, last %v, sequence %d", i, objects, s.GetFirst(), s.GetLast(), next[0].GetSequence())
		}
		m.take(t, next[0])
		if i == 0 { // what happens meanwhile comes behind the snapshot
			b.PutVIP(vip("vip-0000", "withdrawn"))
			b.RemoveVIP("vip-0509")
		}
	}
	wantRead(t, r, "514 vip-0000 withdrawn", "515 vip-0509 gone")
}

func TestReadersWhoFallBehindBeginAnew(t *testing.T) {
	b := small(4, 16)
	b.PutVIP(vip("web", "withdrawn"))
	r := b.Read(Cursor{}, false)
	wantRead(t, r, "first last [web] at 1")
	for i := range 4 {
		b.PutVIP(vip(fmt.Sprint(i), "advertised"))
	}
	wantRead(t, r, "2 0 advertised", "3 1 advertised", "4 2 advertised", "5 3 advertised")
	for i := range 5 {
		b.RemoveVIP(fmt.Sprint(i))
		b.PutVIP(vip("web", fmt.Sprint(i)))
	}
	wantRead(t, r, "first last missed [web] at 14")
	b.RemoveVIP("web")
	wantRead(t, r, "15 web gone")
}

func TestReadersFallBehindDuringTheirSnapshot(t *testing.T) {
	b := small(4, 16)
	for i := range partSize + 1 {
		b.PutVIP(vip(fmt.Sprint(i), "advertised"))
	}
	r := b.Read(Cursor{}, false)
	first, _ := r.next(1)
	for i := range partSize {
		b.RemoveVIP(fmt.Sprint(i))
	}
	if s := first[0].GetSnapshot(); !s.GetFirst() || s.GetLast() || s.GetMissed() {
		t.Errorf("first part: %s", say(first[0]))
	}
	wantRead(t, r, fmt.Sprintf("last [99] at %d", partSize+1), fmt.Sprintf("first last missed [256] at %d", 2*partSize+1))
}

func TestReadersGoOnFromTheirCursor(t *testing.T) {
	b := small(4, 2)
	for i := range 6 { // 3 to 6 are kept
		b.PutVIP(vip("web", fmt.Sprint(i+1)))
	}
	kept := []string{"3 web 3", "4 web 4", "5 web 5", "6 web 6"}
	snapshot, missed := []string{"first last [web] at 6"}, []string{"first last missed [web] at 6"}
	for _, tt := range []struct {
		name string
		c    Cursor
		want []string
	}{
		{"the last", Cursor{"one", 6}, nil},
		{"between", Cursor{"one", 4}, kept[2:]},
		{"before the oldest that is kept", Cursor{"one", 2}, kept},
		{"before one that is not", Cursor{"one", 1}, missed},
		{"of the future", Cursor{"one", 7}, missed},
		{"of another life", Cursor{"two", 6}, missed},
		{"of no life", Cursor{"", 6}, missed},
		{"none", Cursor{}, snapshot},
		{"of who knows nothing yet", Cursor{"one", 0}, snapshot},
		{"of another life, of who knows nothing yet", Cursor{"two", 0}, snapshot},
	} {
		t.Run(tt.name, func(t *testing.T) { wantRead(t, b.Read(tt.c, false), tt.want...) })
	}
}

func TestReadersOfEventsOnly(t *testing.T) {
	b := small(2, 3)
	for i := range 5 { // 6, 8 and 10 are kept, though changes 9 and 10 only
		b.PutVIP(vip("web", fmt.Sprint(i)))
		b.Note(&vipdv1.Event{Subject: fmt.Sprint(i)})
	}
	kept := []string{"6 event 2", "8 event 3", "10 event 4"}
	missed := append([]string{"first last missed [] at 4"}, kept...)
	for _, tt := range []struct {
		name string
		c    Cursor
		want []string
	}{
		{"the last", Cursor{"one", 10}, nil},
		{"between", Cursor{"one", 7}, kept[1:]},
		{"when none was dropped since", Cursor{"one", 4}, kept},
		{"when some were", Cursor{"one", 3}, missed},
		{"all of this life", Cursor{"one", 0}, missed},
		{"of the future", Cursor{"one", 11}, missed},
		{"of another life", Cursor{"two", 10}, missed},
		{"all since another life", Cursor{"two", 0}, missed},
		{"from now on", Cursor{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { wantRead(t, b.Read(tt.c, true), tt.want...) })
	}

	r := b.Read(Cursor{}, true)
	b.PutVIP(vip("web", "advertised"))
	b.Note(&vipdv1.Event{Subject: "new"})
	wantRead(t, r, "12 event new")
	for i := range 4 {
		b.Note(&vipdv1.Event{Subject: fmt.Sprint(i)})
	}
	wantRead(t, r, "first last missed [] at 13", "14 event 1", "15 event 2", "16 event 3")
}

func TestChangesOfManyBackendsAreKeptInBoundedMemory(t *testing.T) {
	b := New("one", Options{Changes: 1000, Bytes: 1 << 20})
	long := make([]string, 1000)
	for i := range 100 {
		v := vip("web", "advertised", long...)
		v.Reason = fmt.Sprint(i)
		b.PutVIP(v)
	}
	if b.changes.kept > 2 || b.changes.kept < 1 {
		t.Errorf("%d changes of 1000 backends kept in 1 MiB", b.changes.kept)
	}
	for b.sequence < 300 {
		b.PutNode(&vipdv1.Node{Name: fmt.Sprint(b.sequence)})
	}
	if b.changes.kept < 100 {
		t.Errorf("%d short changes kept in 1 MiB", b.changes.kept)
	}
}

func TestNextWaitsForWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := small(64, 16)
		ctx, cancel := context.WithCancel(t.Context())
		got := map[bool]chan string{false: make(chan string, 8), true: make(chan string, 8)}
		for eventsOnly, to := range got {
			go func() {
				defer close(to)
				r := b.Read(Cursor{}, eventsOnly)
				for {
					next, err := r.Next(ctx, 8)
					if err != nil {
						to <- fmt.Sprint(errors.Is(err, context.Canceled))
						return
					}
					for _, w := range next {
						to <- say(w)
					}
				}
			}()
		}
		synctest.Wait()
		b.PutVIP(vip("web", "advertised"))
		synctest.Wait()
		b.Note(&vipdv1.Event{Subject: "web"})
		synctest.Wait()
		cancel()
		want := map[bool][]string{
			false: {"first last [] at 0", "1 web advertised", "2 event web", "true"},
			true:  {"2 event web", "true"},
		}
		for eventsOnly, from := range got {
			var all []string
			for s := range from {
				all = append(all, s)
			}
			if !slices.Equal(all, want[eventsOnly]) {
				t.Errorf("events only %v: %q, want %q", eventsOnly, all, want[eventsOnly])
			}
		}
	})
}

func TestNextOfAnEndedContextReturnsItsError(t *testing.T) {
	b := small(64, 16)
	b.PutVIP(vip("web", "advertised"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if next, err := b.Read(Cursor{}, false).Next(ctx, 8); !errors.Is(err, context.Canceled) || next != nil {
		t.Errorf("%v, %v", next, err)
	}
}

func TestOnePutWakesAllWhoWaitAndNobodyTakesItFromAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := small(64, 16)
		ctx, leave := context.WithCancel(t.Context())
		woken := make(chan error, 10)
		for i := range 10 {
			mine := t.Context()
			if i%2 == 0 {
				mine = ctx
			}
			go func() {
				_, err := b.Read(Cursor{}, true).Next(mine, 1)
				woken <- err
			}()
		}
		synctest.Wait()
		leave() // at the same instant
		b.Note(&vipdv1.Event{Subject: "web"})
		synctest.Wait()
		stayed := 0
		for range len(woken) {
			if <-woken == nil {
				stayed++
			}
		}
		if stayed < 5 {
			t.Errorf("%d were woken by an event, want the 5 who stayed", stayed)
		}
	})
}
