package healthloop

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// What is worth showing is told, and an ordinary probe is not; put_test.go has
// that for any sequence of changes.
func TestChanged(t *testing.T) {
	a := &script{}
	spare := Backend{Name: "spare", Timing: everySecond, Kind: "script", Prober: a}
	web := func(f func(*VIP)) []VIP {
		v := vipOf("web", count(1), a)
		f(&v)
		return []VIP{v}
	}
	same := web(func(*VIP) {})
	loopTest(t, []VIP{vipOf("web", count(1), a), vipOf("other", count(1))}, func(r *rig) {
		ctx := r.t.Context()
		r.until(5 * time.Second)
		r.changes()
		answers := func(err error, n int) func() {
			return func() {
				asked, _ := a.counts()
				a.set(err)
				a.wait(asked + n)
			}
		}
		for _, tt := range []struct {
			name string
			do   func()
			want []string
		}{
			{"good probes", answers(nil, 100), nil},
			{"a bad one", answers(errRefused, 1), []string{"web"}},
			{"another for the same reason", answers(&Failure{ReasonRefused, errors.New("connection refused")}, 1), nil},
			{"another of another class", answers(&Failure{ReasonLocal, errRefused.Err}, 1), []string{"web"}},
			{"it stays so", answers(&Failure{ReasonLocal, errRefused.Err}, 100), nil},
			{"another text", answers(fmt.Errorf("no"), 1), []string{"web"}},
			{"a first good one", answers(nil, 1), nil},
			{"up", answers(nil, 1), []string{"web"}},
			{"an override", func() { r.must(r.SetOverride(ctx, "web", Override{Word: ForceAdvertise})) }, []string{"web"}},
			{"the same override", func() { r.must(r.SetOverride(ctx, "web", Override{Word: ForceAdvertise})) }, nil},
			{"no override", func() { r.must(r.SetOverride(ctx, "web", Override{})) }, []string{"web"}},
			{"the same again", func() { r.must(r.Put(ctx, same, nil)) }, nil},
			{"another policy", func() { r.must(r.Put(ctx, web(func(v *VIP) { v.Policy.HoldDown = 1 }), nil)) }, []string{"web"}},
			{"and back", func() { r.must(r.Put(ctx, same, nil)) }, []string{"web"}},
			{"another timing", func() { r.must(r.Put(ctx, web(func(v *VIP) { v.Backends[0].Timing.Rise = 1 }), nil)) }, nil},
			{"another weight", func() { r.must(r.Put(ctx, web(func(v *VIP) { v.Backends[0].Weight = 2 }), nil)) }, []string{"web"}},
			{"another kind", func() {
				r.must(r.Put(ctx, web(func(v *VIP) { v.Backends[0].Weight, v.Backends[0].Kind = 2, "tcp" }), nil))
			}, []string{"web"}},
			{"a backend more", func() {
				r.must(r.Put(ctx, web(func(v *VIP) { v.Backends = append(v.Backends, spare) }), nil))
			}, []string{"web"}},
			{"another order", func() {
				r.must(r.Put(ctx, web(func(v *VIP) { v.Backends = append([]Backend{spare}, v.Backends...) }), nil))
			}, []string{"web"}},
			{"a backend less", func() { r.must(r.Put(ctx, same, nil)) }, []string{"web"}},
			{"one more VIP", func() { r.must(r.Put(ctx, []VIP{vipOf("new", count(1))}, nil)) }, []string{"new"}},
			{"one less", func() { r.must(r.Put(ctx, nil, []string{"new", "unheard of"})) }, []string{"new"}},
			{"a drain", func() { r.must(r.SetDrain(ctx, Drain{Phase: Withdrawing})) }, []string{"other", "web"}},
			{"the same drain", func() { r.must(r.SetDrain(ctx, Drain{Phase: Withdrawing})) }, nil},
			{"no drain", func() { r.must(r.SetDrain(ctx, Drain{})) }, []string{"other", "web"}},
			{"no uplinks", func() { r.must(r.SetUplinks(ctx, Uplinks{0, 1})) }, []string{"other", "web"}},
			{"all gone", func() { r.apply() }, []string{"other", "web"}},
		} {
			tt.do()
			got := r.changes()
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, tt.want) {
				r.t.Errorf("%s: changed %q, want %q", tt.name, got, tt.want)
			}
		}
	})
}

// A probe that changes nothing costs the owner no memory, whoever listens.
func TestAnOrdinaryAnswerAllocatesNothing(t *testing.T) {
	for name, changed := range map[string]func(string){"nobody": nil, "somebody": func(vip string) { t.Error("changed") }} {
		for health, err := range map[Health]error{Up: nil, Down: errRefused} {
			s := <-New(Options{Sink: deaf{}}).idle
			s.put([]VIP{vipOf("web", count(1), easy{})}, nil, noon)
			b := s.vips["web"].backends[0]
			answer := func() {
				s.record(b, &asker{asked: noon, began: noon, err: err}, noon)
			}
			for range 3 {
				answer()
			}
			s.Changed = changed
			if n := testing.AllocsPerRun(100, answer); n != 0 || b.record.health != health {
				t.Errorf("%s listens to a backend that is %s: %g allocations", name, b.record.health, n)
			}
		}
	}
}
