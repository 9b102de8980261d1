package healthloop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPutTouchesNoOther(t *testing.T) {
	kept, old := &script{}, &script{takes: 400 * time.Millisecond}
	loopTest(t, []VIP{vipOf("kept", count(1), kept), vipOf("old", count(1), old)}, func(r *rig) {
		r.until(10 * time.Second)
		kept.since(r.start)
		r.heard()
		r.changes()
		for range 5_000 {
			time.Sleep(tick)
			r.must(r.Put(r.t.Context(), []VIP{vipOf("new", count(1), &script{})}, []string{"unheard of"}))
		}
		r.must(r.Put(r.t.Context(), []VIP{vipOf("newer", count(1))}, []string{"old", "new", "old"}))
		r.until(15*time.Second + tick)
		r.want(
			"10.001s new undecided: 0 of 1 backends healthy, 1 unknown (minimum 1)",
			"11.101s new advertised: 1 of 1 backends healthy (minimum 1)",
			"15s newer withdrawn: no backends",
			"15s old removed",
			"15s new removed",
		)
		asked := kept.since(r.start)
		for i := range asked[1:] {
			if asked[i+1]-asked[i] != time.Second {
				t.Errorf("asked at %s", asked)
			}
		}
		if slices.Contains(r.changes(), "kept") || len(asked) != 5 {
			t.Errorf("%d probes", len(asked))
		}
		synctest.Wait()
		if _, cut := old.counts(); old.running != 0 {
			t.Errorf("%d probes cut, %d run", cut, old.running)
		}
		if got := names(r.status().VIPs); !slices.Equal(got, []string{"kept", "newer"}) {
			t.Errorf("%s", got)
		}
	})
}

func names(vips []VIPStatus) []string {
	var names []string
	for _, v := range vips {
		names = append(names, v.Name)
	}
	return names
}

func TestPutOfAVIPThatIsThere(t *testing.T) {
	a := &script{}
	v := vipOf("web", Policy{MinHealthy: Threshold{Count: 1}, HoldDown: time.Minute}, a)
	loopTest(t, []VIP{v, vipOf("last", count(1))}, func(r *rig) {
		r.until(5 * time.Second)
		r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1}))
		r.must(r.SetUplinks(r.t.Context(), Uplinks{1, 1}))
		r.must(r.SetOverride(r.t.Context(), "web", Override{Word: ForceWithdraw, By: "alice"}))
		before := r.status().VIPs[0]
		v.Backends = append(slices.Clone(v.Backends), vipOf("", Policy{}, a, a).Backends[1])
		r.must(r.Put(r.t.Context(), []VIP{v}, nil))
		after := r.status().VIPs[0]
		if after.Name != "web" || after.Override != before.Override || after.HoldUntil != before.HoldUntil ||
			!reflect.DeepEqual(after.Backends[0], before.Backends[0]) || after.Tally != of(1, 1, 2) {
			t.Errorf("%+v\nbefore %+v", after, before)
		}
	})
}

func TestLook(t *testing.T) {
	loopTest(t, []VIP{vipOf("a", count(1), &script{}), vipOf("b", count(2)), vipOf("c", count(3))}, func(r *rig) {
		r.until(5 * time.Second)
		got, err := r.Look(r.t.Context(), []string{"c", "unheard of", "a"})
		all := r.status().VIPs
		if n := len(got[1].Backends[0].Recent); n != 5 {
			t.Errorf("%d recent probes", n)
		}
		got[1].Backends[0].Recent = nil
		if err != nil || !reflect.DeepEqual(got, []VIPStatus{all[2], all[0]}) || got[0].Policy.MinHealthy.Count != 3 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// drawn is a random VIP: of few names, so that they meet.
func drawn(r *rand.Rand, name string) VIP {
	v := VIP{Name: name, Policy: Policy{MinHealthy: Threshold{Count: 1 + r.IntN(2)}, HoldDown: time.Duration(r.IntN(2)) * time.Minute}}
	if r.IntN(2) == 0 {
		v.Policy = v.Policy.degraded(Threshold{Percent: 50})
	}
	if r.IntN(3) == 0 {
		v.Policy.LinkBandwidth = LinkBandwidth{PerWeight: 1, Settle: 10 * time.Second}
	}
	for _, i := range r.Perm(4)[:r.IntN(4)] {
		v.Backends = append(v.Backends, Backend{
			Name: fmt.Sprint("b", i), Weight: r.IntN(3), Kind: "tcp", Key: fmt.Sprint(r.IntN(2)),
			Timing: Timing{time.Second, time.Second, 1 + r.IntN(2), 1 + r.IntN(2)}, Prober: easy{},
		})
	}
	return v
}

// A twin is two loops that are told the same: one by Put, one by Apply of what
// that should result in.
type twin struct {
	*rand.Rand
	put, applied *state
	model        []VIP
	now          time.Time
	moved        map[string]bool // what put said that it changed
}

func newTwin(seed uint64) *twin {
	w := &twin{Rand: rand.New(rand.NewPCG(seed, 0)), now: noon, moved: map[string]bool{}}
	w.put = <-New(Options{Sink: deaf{}, Changed: func(vip string) { w.moved[vip] = true }}).idle
	w.applied = <-New(Options{Sink: deaf{}}).idle
	w.put.epoch, w.applied.epoch = noon, noon
	return w
}

func (w *twin) both(f func(s *state)) {
	f(w.put)
	f(w.applied)
}

// change draws a Put, and applies the same.
func (w *twin) change() {
	var vips []VIP
	var gone []string
	for _, i := range w.Perm(5) {
		name := fmt.Sprint("v", i)
		at := slices.IndexFunc(w.model, func(v VIP) bool { return v.Name == name })
		switch w.IntN(4) {
		case 0:
			v := drawn(w.Rand, name)
			vips = append(vips, v)
			if at < 0 {
				w.model = append(w.model, v)
			} else {
				w.model[at] = v
			}
		case 1:
			gone = append(gone, name)
			if at >= 0 {
				w.model = slices.Delete(w.model, at, at+1)
			}
		}
	}
	w.put.put(vips, gone, w.now)
	all, err := check(w.model)
	if err != nil {
		panic(err)
	}
	w.applied.apply(w.model, all, w.now)
}

// probe lets a drawn backend answer, and reports whether there is one.
func (w *twin) probe() {
	if len(w.model) == 0 {
		return
	}
	v := w.model[w.IntN(len(w.model))]
	if len(v.Backends) == 0 {
		return
	}
	at, took := w.IntN(len(v.Backends)), time.Duration(w.IntN(1000))*time.Millisecond
	var err error
	if n := w.IntN(5); n > 2 {
		err = &Failure{ReasonStatus, fmt.Errorf("status 50%d", n)}
	}
	w.both(func(s *state) {
		b := s.vips[v.Name].backends[at]
		s.record(b, &asker{asked: w.now, began: w.now, took: took, err: err}, w.now)
	})
}

// word draws what an operator or the uplinks say.
func (w *twin) word() {
	until := w.now.Add(time.Duration(w.IntN(120)-10) * time.Second)
	name, o := fmt.Sprint("v", w.IntN(5)), Override{Word: Word(w.IntN(3)), Until: until}
	d, u := Drain{Phase: DrainPhase(w.IntN(3)), Until: until}, Uplinks{w.IntN(2), 1}
	n := w.IntN(4)
	w.both(func(s *state) {
		switch n {
		case 0:
			s.drain = d
			s.decideAll(w.now)
		case 1:
			s.uplinks = u
			s.decideAll(w.now)
		default:
			if err := s.override(name, o, w.now); (err == nil) != (s.vips[name] != nil) {
				panic(err)
			}
		}
	})
}

// shown is the status without what a probe may change unannounced.
func shown(st Status) map[string]VIPStatus {
	vips := map[string]VIPStatus{}
	for _, v := range st.VIPs {
		v.Intent.Again = time.Time{}
		for i := range v.Backends {
			b := &v.Backends[i]
			b.Failures, b.Probed, b.Took, b.Skipped, b.Err = nil, time.Time{}, 0, 0, errors.New(text(b.Err))
		}
		vips[v.Name] = v
	}
	return vips
}

// Any sequence of Put, with all else that happens meanwhile, comes to what Apply
// comes to. Changed names all VIPs that look otherwise after a step, and only
// those.
func TestPutsAreOneApply(t *testing.T) {
	for seed := range uint64(100) {
		w := newTwin(seed)
		for step := range 60 {
			before := shown(w.put.status(w.now))
			clear(w.moved)
			w.step(w.IntN(8))
			w.both(func(s *state) { s.ring(w.now) })
			got, want := w.put.status(w.now), w.applied.status(w.now)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d: put\n%+v\napplied\n%+v", seed, step, got, want)
			}
			wantMoved(t, w, before, shown(got))
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

func (w *twin) step(n int) {
	switch n {
	case 0:
		w.change()
	case 1:
		w.word()
	case 2:
		w.now = w.now.Add(time.Duration(w.IntN(90)) * time.Second)
	default:
		w.probe()
	}
}

func wantMoved(t *testing.T, w *twin, before, after map[string]VIPStatus) {
	for i := range 5 {
		name := fmt.Sprint("v", i)
		moved := !reflect.DeepEqual(before[name], after[name])
		if moved != w.moved[name] {
			t.Errorf("%s: changed %t, said %t\n%+v\n%+v", name, moved, w.moved[name], before[name], after[name])
		}
	}
}

// Where nothing else happens, it needs no Apply a step: the last one is enough.
func TestPutsAreTheLastApply(t *testing.T) {
	for seed := range uint64(100) {
		w := newTwin(seed)
		for range w.IntN(10) {
			w.change()
			fresh := newTwin(0).applied
			all, _ := check(w.model)
			fresh.apply(w.model, all, w.now)
			got, want := w.put.status(w.now), fresh.status(w.now)
			for i := range got.VIPs {
				got.VIPs[i].Since, got.VIPs[i].Transitions = want.VIPs[i].Since, want.VIPs[i].Transitions
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: put\n%+v\napplied\n%+v", seed, got, want)
			}
		}
	}
}

// Many are put some at a time, in between others are decided, and first turns are
// spread as if they came at once.
func TestManyPutsAreSpreadAsOne(t *testing.T) {
	loopTest(t, nil, func(r *rig) {
		const many = 3*putAtOnce + 1
		var all []VIP
		scripts := make([]*script, many)
		for i := range many {
			scripts[i] = &script{}
			all = append(all, vipOf(fmt.Sprint("v", i), count(1), scripts[i]))
		}
		r.until(10 * time.Second)
		r.must(r.Put(r.t.Context(), all, nil))
		var names []string
		for _, v := range all[1:] {
			names = append(names, v.Name)
		}
		r.until(10*time.Second + many*time.Millisecond)
		for i, s := range scripts {
			want := 10*time.Second + time.Duration(i)*firstTurn(1, many, time.Second)
			if asked := s.since(r.start); len(asked) != 1 || asked[0] < want || asked[0] > want+2*tick {
				t.Fatalf("v%d was asked at %s, want %s", i, asked, want)
			}
		}
		r.must(r.Put(r.t.Context(), all[:1], names))
		if left := r.status().VIPs; len(left) != 1 {
			t.Errorf("%d VIPs are left", len(left))
		}
		r.heard()
	})
}
