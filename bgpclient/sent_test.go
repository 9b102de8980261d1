package bgpclient

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyOurOwnRouteCountsAsSent(t *testing.T) {
	ours := Outgoing{Local: true, ID: testOwner}
	operators, learnt := Outgoing{Local: true}, Outgoing{ID: testOwner}
	with := func(o Outgoing, change func(*Outgoing)) Outgoing { change(&o); return o }
	filtered := func(o *Outgoing) { o.Filtered = true }
	surplus := func(o *Outgoing) { o.Surplus = true }
	several := func(most uint8) func(*NeighborState) { return func(n *NeighborState) { n.AddPathsSendMax = most } }
	internal := func(n *NeighborState) { n.ASN = 65001 }
	there := RouteStatus{Installed: true, Want: Want{State: Present, Route: route(1, 10)}}
	prepended := there
	prepended.Want.Route.Prepend = 1
	for name, c := range map[string]struct {
		paths []Outgoing
		n     func(*NeighborState)
		v6    bool
		route RouteStatus
		want  string // sent, filtered, or a part of the error
	}{
		"ours":                               {paths: []Outgoing{ours}, want: "sent"},
		"nothing":                            {want: ""},
		"an operator's":                      {paths: []Outgoing{operators}, want: "somebody else"},
		"a neighbor's with our identifier":   {paths: []Outgoing{learnt}, want: "somebody else"},
		"somebody's, and that filtered":      {paths: []Outgoing{with(operators, filtered)}, want: "somebody else"},
		"ours, filtered":                     {paths: []Outgoing{with(ours, filtered)}, want: "filtered"},
		"filtered, and too many":             {paths: []Outgoing{with(with(ours, surplus), filtered)}, n: several(1), want: "filtered"},
		"ours beside others":                 {paths: []Outgoing{operators, learnt, ours}, n: several(3), want: "sent"},
		"too many, and ours left out":        {paths: []Outgoing{operators, with(ours, surplus)}, n: several(1), want: "others came first"},
		"too many, and another one left out": {paths: []Outgoing{with(operators, surplus), ours}, n: several(1), want: "sent"},
		"too many, and another one filtered": {paths: []Outgoing{with(operators, filtered), ours}, n: several(1), want: "sent"},
		"more than there is room for":        {paths: []Outgoing{operators, learnt, ours}, n: several(2), want: "sent"},
		"restarted":                          {paths: []Outgoing{ours}, n: func(n *NeighborState) { n.Deferring = true }, want: "restarted"},
		"restarted, and filtered":            {paths: []Outgoing{with(ours, filtered)}, n: func(n *NeighborState) { n.Deferring = true }, want: "filtered"},
		"no IPv6 on the session":             {n: func(n *NeighborState) { n.IPv6 = false }, v6: true, want: "address family"},
		"no IPv4 on the session":             {n: func(n *NeighborState) { n.IPv4 = false }, want: "address family"},
		"IPv6 on the session":                {n: func(n *NeighborState) { n.IPv4 = false }, v6: true, want: ""},
		"there, and not listed":              {route: there, want: "leaves this neighbor out"},
		"prepended":                          {route: prepended, paths: []Outgoing{ours}, want: "sent"},
		"prepended, and internal":            {route: prepended, paths: []Outgoing{ours}, n: internal, want: "loop"},
		"prepended, internal, not listed":    {route: prepended, n: internal, want: "loop"},
		"prepended, and not there yet":       {route: RouteStatus{Want: prepended.Want}, n: internal, want: ""},
		"internal":                           {route: there, paths: []Outgoing{ours}, n: internal, want: "sent"},
	} {
		n := NeighborState{Neighbor: Neighbor{Address: neighbor(1).Address, ASN: 65000, IPv4: true, IPv6: true}, State: Established}
		if c.n != nil {
			c.n(&n)
		}
		p := prefix(1)
		if c.v6 {
			p = netip.MustParsePrefix("2001:db8::1/128")
		}
		s := question{p, testOwner, 65001, c.route}.answer(n, c.paths)
		have := s.Err
		if s.Sent {
			have += "sent"
		}
		if s.Filtered {
			have += "filtered"
		}
		if s.Neighbor != n.Address || have != c.want && (c.want == "" || !strings.Contains(have, c.want) || have != s.Err) {
			t.Errorf("%s: %+v, want %q", name, s, c.want)
		}
		if s.Foreign != (c.want == "somebody else") {
			t.Errorf("%s: foreign %v", name, s.Foreign)
		}
	}
}

// asking is a Sent that runs beside the test.
func asking(ctx context.Context, r *Reconciler) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := r.Sent(ctx, prefix(1))
		done <- err
	}()
	synctest.Wait()
	return done
}

func (f *fakeSpeaker) called(name string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		n += count(c == name)
	}
	return n
}

// freeze lets calls of that name hang.
func (f *fakeSpeaker) freeze(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen, f.stuck = make(chan struct{}), name
}

func (f *fakeSpeaker) thaw() { f.mu.Lock(); defer f.mu.Unlock(); close(f.frozen); f.frozen = nil }

func TestEstablishedNeighborsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		for _, i := range []int{3, 1, 2, 4} {
			f.peer(i, established)
			f.adjOut[neighbor(i).Address] = []Outgoing{{Local: true, ID: testOwner, Filtered: i == 3}}
		}
		f.peer(2, func(n *NeighborState) { n.State = OpenConfirm }) // and its Adj-RIB-Out is not empty
		f.fail["AdjOut"] = []error{errors.New("no such neighbor")}
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		settle(t, r, time.Second)
		have, err := r.Sent(t.Context(), prefix(1))
		if err != nil {
			t.Fatal(err)
		}
		failed := slices.IndexFunc(have, func(s Sent) bool { return s.Err != "" })
		if failed < 0 || have[failed].Err != "no such neighbor" || have[failed].Sent || have[failed].Filtered {
			t.Errorf("one that can't be told must not keep back the others: %+v", have)
		}
		have, err = r.Sent(t.Context(), prefix(1))
		want := []Sent{{Neighbor: neighbor(1).Address, Sent: true}, {Neighbor: neighbor(3).Address, Filtered: true}, {Neighbor: neighbor(4).Address, Sent: true}}
		if err != nil || !slices.Equal(have, want) {
			t.Errorf("have %+v, %v; want %+v", have, err, want)
		}
	})
}

func TestWithoutAConnectionNothingIsKnownOfWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peer(1, established)
		f.down = true
		r := running(t, f, nil)
		for _, connected := range []bool{false, true, false} {
			time.Sleep(time.Second)
			switch s, err := r.Sent(t.Context(), prefix(1)); {
			case connected && (err != nil || len(s) != 1):
				t.Errorf("%v, %v", s, err)
			case !connected && (s != nil || !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "nobody listens")):
				t.Errorf("%v, %v", s, err)
			}
			if connected {
				f.stop()
			} else {
				f.start()
			}
		}
	})
}

// A question about neighbors takes its time, and whoever asks another waits; but
// routes do not.
func TestWhatIsSentIsAskedBesideTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peer(1, established)
		r := running(t, f, nil)
		time.Sleep(time.Second)
		f.freeze("AdjOut")
		first, second := asking(t.Context(), r), asking(t.Context(), r)
		if n := f.called("AdjOut"); n != 1 {
			t.Errorf("%d questions at a time", n)
		}
		r.Set(route(1, 10))
		settle(t, r, time.Millisecond)
		f.thaw()
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
	})
}

func TestSpeakerRestsBetweenQuestionsWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peer(1, established)
		r := running(t, f, nil)
		time.Sleep(time.Second)
		f.freeze("AdjOut")
		first, given, last := asking(t.Context(), r), asking(t.Context(), r), asking(t.Context(), r)
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		f.thaw()
		for i, done := range []<-chan error{first, given, last} {
			if err := <-done; err != nil {
				t.Error(err)
			}
			// The second and third took no time.
			if took := time.Since(began); took != time.Duration(min(i, 1))*400*time.Millisecond {
				t.Errorf("question %d over after %v", i, took)
			}
		}
	})
}

func TestWhoGivesUpHisTurnKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peer(1, established)
		r := running(t, f, nil)
		time.Sleep(time.Second)
		f.freeze("AdjOut")
		first := asking(t.Context(), r)
		time.Sleep(100 * time.Millisecond)
		f.thaw()
		if err := <-first; err != nil {
			t.Error(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := r.Sent(ctx, prefix(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := r.Sent(t.Context(), prefix(1)); err != nil || time.Since(began) != 400*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestQuestionWhatIsSentEndsInTime(t *testing.T) {
	cause := errors.New("enough")
	for name, c := range map[string]struct {
		end  func(f *fakeSpeaker, cancel func())
		want error
	}{
		"with its context":    {func(_ *fakeSpeaker, cancel func()) { cancel() }, cause},
		"with the connection": {func(f *fakeSpeaker, _ func()) { f.stop() }, ErrLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeSpeaker(testOwner)
				f.peer(1, established)
				r := running(t, f, nil)
				time.Sleep(time.Second)
				f.freeze("AdjOut")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				working, waiting := asking(ctx, r), asking(ctx, r)
				began := time.Now()
				c.end(f, func() { cancel(cause) })
				for _, done := range []<-chan error{working, waiting} {
					if err := <-done; !errors.Is(err, c.want) && !errors.Is(err, ErrLost) {
						t.Errorf("%v, want %v", err, c.want)
					}
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

// A speaker may die without a word on one call only.
func TestQuestionWhatIsSentEndsWhenTheLaneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peer(1, established)
		r := running(t, f, nil)
		time.Sleep(time.Second)
		f.freeze("")
		done := asking(t.Context(), r)
		began := time.Now()
		if err := <-done; !errors.Is(err, ErrLost) || time.Since(began) > pollPeers+unaryTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		f.thaw()
	})
}
