package hook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scripted courier remembers what it was given, and answers by its script.
type scripted struct {
	answer func(ctx context.Context, m message) error

	mu  sync.Mutex // guards got: the test reads it
	got []uint64
}

func (s *scripted) deliver(ctx context.Context, m message) (string, error) {
	s.mu.Lock()
	s.got = append(s.got, m.event.GetSequence())
	s.mu.Unlock()
	if s.answer == nil {
		return "", nil
	}
	return "what it said", s.answer(ctx, m)
}

func (*scripted) close() {}

// A stage is a Runner on a board, with what it logs and tells.
type stage struct {
	*Runner
	board  *board.Board
	logs   *observer.ObservedLogs
	missed chan int
	stop   func() // and wait for Run
}

func play(t *testing.T, b *board.Board, hooks ...Hook) *stage {
	s := prepare(b, hooks...)
	s.start(t)
	return s
}

func prepare(b *board.Board, hooks ...Hook) *stage {
	core, logs := observer.New(zapcore.InfoLevel)
	s := &stage{board: b, logs: logs, missed: make(chan int, 1000)}
	s.Runner = New(hooks, b, "lb-1", zap.New(core), func(n int) { s.missed <- n })
	return s
}

func (s *stage) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // until stop
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
}

// plays is a stage with a scripted courier instead of the one of its only hook.
func plays(t *testing.T, b *board.Board, answer func(context.Context, message) error) (*stage, *scripted) {
	s, c := prepare(b, Hook{Exec: []string{"/hook"}}), &scripted{answer: answer}
	s.queues[0].courier = c
	s.start(t)
	return s, c
}

func newBoard() *board.Board { return board.New("life", board.Options{}) }

func note(b *board.Board, kind, subject string) {
	b.Note(&vipdv1.Event{Kind: kind, Subject: subject, From: "withdrawn", To: "advertised", Reason: "2 of 3 backends healthy", By: "vipd"})
}

func (s *stage) wantStat(t *testing.T, want Stat) {
	t.Helper()
	if have := s.Stats(); !reflect.DeepEqual(have, []Stat{want}) {
		t.Errorf("stats %+v, want %+v", have, want)
	}
}

func TestHookIsToldOfItsKindsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		note(b, "vip", "before")
		s := prepare(b, Hook{Exec: []string{"/all"}}, Hook{Exec: []string{"/some"}, Kinds: []string{"drain", "vip"}}, Hook{Exec: []string{"/own"}, Kinds: []string{"hook"}})
		var couriers []*scripted
		for _, q := range s.queues {
			c := &scripted{}
			q.courier, couriers = c, append(couriers, c)
		}
		note(b, "vip", "after New")
		s.start(t)
		synctest.Wait()
		b.PutVIP(&vipdv1.Vip{Name: "web"}) // no event
		for _, kind := range []string{"bfd", "drain", "hook", "vip"} {
			note(b, kind, "x")
		}
		synctest.Wait()
		for i, want := range [][]uint64{{2, 4, 5, 7}, {2, 5, 7}, nil} {
			if have := couriers[i].got; !slices.Equal(have, want) {
				t.Errorf("%s was told of %v, want %v", s.queues[i].name, have, want)
			}
			if have := s.Stats()[i]; have != (Stat{Hook: s.queues[i].name, Sent: uint64(len(want))}) {
				t.Errorf("stat %+v", have)
			}
		}
		if s.logs.Len() > 0 {
			t.Errorf("logged %v", s.logs.All())
		}
	})
}

func TestHookThatIsTooSlowLosesTheOldestAndItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		hang := make(chan struct{})
		s, c := plays(t, b, func(context.Context, message) error { <-hang; return nil })
		note(b, "vip", "x") // run has it
		synctest.Wait()
		for range queueSize + 70 {
			note(b, "vip", "x")
			synctest.Wait() // who deals is never slow
		}
		s.wantStat(t, Stat{Hook: "/hook", Missed: 70})
		if len(s.missed) > 0 {
			t.Error("told before there was time for it")
		}
		close(hang)
		synctest.Wait()
		s.wantStat(t, Stat{Hook: "/hook", Sent: queueSize + 1, Missed: 70})
		if len(c.got) != queueSize+1 || c.got[0] != 1 || c.got[1] != 72 || !slices.IsSorted(c.got) {
			t.Errorf("%d events, of which the first are %v", len(c.got), c.got[:2])
		}
		if n := <-s.missed; n != 70 || len(s.missed) > 0 {
			t.Errorf("told of %d, and %d times more", n, len(s.missed))
		}
		if warned := s.logs.FilterMessageSnippet("too slow").All(); len(warned) != 1 || warned[0].ContextMap()["events"] != uint64(70) || warned[0].ContextMap()["hook"] != "/hook" {
			t.Errorf("logged %v", s.logs.All())
		}
	})
}

// Each telling is an event on the board: they must not take its room.
func TestLossIsNotToldEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		s, _ := plays(t, b, func(ctx context.Context, _ message) error {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return nil
		})
		lost := 0
		for i := range queueSize + 100 { // one and a bit are lost in each second
			note(b, "vip", "x")
			if synctest.Wait(); i > queueSize {
				note(b, "vip", "x")
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		for told := len(s.missed); told > 0; told-- {
			lost += <-s.missed
			if told > 11 {
				t.Fatalf("told %d times within 100 s", told)
			}
		}
		if have := s.Stats()[0].Missed; lost == 0 || uint64(lost) > have {
			t.Errorf("told of %d, %d were missed", lost, have)
		}
	})
}

func TestWhatTheBoardKeepsNoMoreIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board.New("life", board.Options{Events: 16})
		note(b, "vip", "before")
		s := prepare(b, Hook{Exec: []string{"/hook"}})
		c := &scripted{}
		s.queues[0].courier = c
		for range 100 {
			note(b, "vip", "x")
		}
		s.start(t)
		synctest.Wait()
		s.wantStat(t, Stat{Hook: "/hook", Sent: 16, Missed: 84})
		if len(s.missed) != 1 || <-s.missed != 84 {
			t.Error("it was not told")
		}
	})
}

func TestFailureIsToldAtOnceAndThenOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		broken := true
		s, _ := plays(t, b, func(context.Context, message) error {
			if broken {
				return errors.New("it is broken")
			}
			return nil
		})
		for range 150 { // 2.5 minutes
			note(b, "vip", "web")
			time.Sleep(time.Second)
		}
		s.wantStat(t, Stat{Hook: "/hook", Failed: 150, Err: "it is broken"})
		logs := s.logs.TakeAll()
		if len(logs) != 3 {
			t.Fatalf("logged %d times", len(logs))
		}
		want := map[string]any{"hook": "/hook", "kind": "vip", "subject": "web", "sequence": uint64(61), "error": "it is broken", "output": "what it said", "not_logged": int64(59)}
		if have := logs[1].ContextMap(); logs[1].Message != "hook failed" || !reflect.DeepEqual(have, want) {
			t.Errorf("logged %s %v, want %v", logs[1].Message, have, want)
		}
		broken = false
		note(b, "vip", "web")
		note(b, "vip", "web")
		synctest.Wait()
		s.wantStat(t, Stat{Hook: "/hook", Sent: 2, Failed: 150})
		if logs := s.logs.TakeAll(); len(logs) != 1 || logs[0].Message != "hook works again" || logs[0].ContextMap()["not_logged"] != int64(29) {
			t.Errorf("logged %v", logs)
		}
		broken = true
		note(b, "vip", "web")
		synctest.Wait()
		if logs := s.logs.TakeAll(); len(logs) != 1 || logs[0].Message != "hook failed" {
			t.Errorf("logged %v", logs)
		}
	})
}

// A hook must not keep vipd from stopping.
func TestRunEndsInTheMidstOfADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		s, c := plays(t, b, func(ctx context.Context, _ message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for range 10 {
			note(b, "vip", "web")
		}
		synctest.Wait()
		begin := time.Now()
		s.stop()
		if took := time.Since(begin); took > 0 || len(c.got) != 1 {
			t.Errorf("%v, %d deliveries", took, len(c.got))
		}
		s.wantStat(t, Stat{Hook: "/hook"})
		if s.logs.Len() > 0 {
			t.Errorf("logged %v", s.logs.All())
		}
	})
}

func TestEventThatCanNotBeSentIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		s, c := plays(t, b, nil)
		note(b, "vip", "\xff")
		note(b, "vip", "web")
		synctest.Wait()
		have := s.Stats()[0]
		if have.Failed != 1 || have.Sent != 1 || len(c.got) != 1 {
			t.Errorf("stat %+v", have)
		}
	})
}

func TestNameHasNoSecretAndIsUnique(t *testing.T) {
	s := prepare(newBoard(),
		Hook{URL: "https://user:secret@alerts.example:8443/secret?token=secret#secret"},
		Hook{URL: "https://alerts.example:8443/"},
		Hook{URL: "https://alerts.example/"},
		Hook{Exec: []string{"/usr/bin/tell", "--token", "secret"}},
		Hook{Exec: []string{"/usr/bin/tell"}},
		Hook{Exec: []string{"/usr/bin/tell"}},
	)
	var have []string
	for _, s := range s.Stats() {
		have = append(have, s.Hook)
	}
	want := []string{"https://alerts.example:8443", "https://alerts.example:8443 (2)", "https://alerts.example", "/usr/bin/tell", "/usr/bin/tell (2)", "/usr/bin/tell (3)"}
	if !slices.Equal(have, want) {
		t.Errorf("names %q, want %q", have, want)
	}
}

func TestNoHooksAreNoTrouble(t *testing.T) {
	b := newBoard()
	s := play(t, b)
	note(b, "vip", "web")
	s.stop()
	if have := s.Stats(); len(have) > 0 {
		t.Errorf("stats %v", have)
	}
}

// A receiver finds the same names as in the API, whatever is in the texts.
func TestWhatAReceiverGets(t *testing.T) {
	for _, node := range []string{"lb-1", `a,{"b":"c"}`, "", `"`} {
		e := &vipdv1.Event{Sequence: 17, Kind: "vip", Subject: "web", Reason: `a "b" <c>,{`, Inputs: map[string]string{"tally": "2/3"}}
		have, err := encode(node, e)
		if err != nil {
			t.Fatal(err)
		}
		got := decoded(t, string(have))
		want := map[string]any{"node": node, "sequence": "17", "kind": "vip", "subject": "web", "reason": `a "b" <c>,{`, "inputs": map[string]any{"tally": "2/3"}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("have %s, want %v", have, want)
		}
		if strings.ContainsAny(string(have), "\n") {
			t.Errorf("more than a line: %s", have)
		}
	}
}

func ExampleHook() {
	text, _ := encode("lb-1", &vipdv1.Event{Sequence: 17, Kind: "vip", Subject: "web", From: "advertised", To: "withdrawn", Reason: "0 of 3 backends healthy, 1 needed"})
	fmt.Println(string(text))
	// Output: {"node":"lb-1","sequence":"17","kind":"vip","subject":"web","from":"advertised","to":"withdrawn","reason":"0 of 3 backends healthy, 1 needed"}
}
