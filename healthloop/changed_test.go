package healthloop

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A telling is something done to a loop with the VIPs web, of one backend that
// is up, and other, of none, and which of them are said to have changed by it.
type telling struct {
	name string
	do   func(r *rig, a *script)
	want []string
}

func tell(t *testing.T, tellings ...telling) {
	t.Helper()
	a := &script{}
	loopTest(t, []VIP{webOf(a), vipOf("other", count(1))}, func(r *rig) {
		r.until(5 * time.Second)
		r.changes()
		for _, tt := range tellings {
			tt.do(r, a)
			got := r.changes()
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, tt.want) {
				r.t.Errorf("%s: changed %q, want %q", tt.name, got, tt.want)
			}
		}
	})
}

func webOf(a *script) VIP { return vipOf("web", count(1), a) }

var (
	none = []string(nil)
	web  = []string{"web"}
	both = []string{"other", "web"}
)

// answers is the backend's next n answers.
func answers(err error, n int) func(*rig, *script) {
	return func(_ *rig, a *script) {
		asked, _ := a.counts()
		a.set(err)
		a.wait(asked + n)
	}
}

func TestChangedByProbes(t *testing.T) {
	local := &Failure{ReasonLocal, errRefused.Err}
	tell(t,
		telling{"good ones", answers(nil, 100), none},
		telling{"a bad one", answers(errRefused, 1), web},
		telling{"another for the same reason", answers(&Failure{ReasonRefused, errors.New("connection refused")}, 1), none},
		telling{"down", answers(errRefused, 1), web},
		telling{"it stays so", answers(errRefused, 100), none},
		telling{"the same text of another class", answers(local, 1), web},
		telling{"it stays as well", answers(local, 100), none},
		telling{"another text", answers(fmt.Errorf("no"), 1), web},
		telling{"a first good one", answers(nil, 1), none},
		telling{"up", answers(nil, 1), web},
	)
}

// puts is a Put of web after f.
func puts(f func(v *VIP)) func(*rig, *script) {
	return func(r *rig, a *script) {
		v := webOf(a)
		f(&v)
		r.must(r.Put(r.t.Context(), []VIP{v}, []string{"unheard of"}))
	}
}

func TestChangedByPut(t *testing.T) {
	same := puts(func(*VIP) {})
	level := func(percent int) func(*rig, *script) {
		return puts(func(v *VIP) { v.Policy = v.Policy.degraded(Threshold{Percent: percent}) })
	}
	spare := Backend{Name: "spare", Timing: everySecond, Kind: "script", Prober: &script{}}
	tell(t,
		telling{"the same", same, none},
		telling{"another timing", puts(func(v *VIP) { v.Backends[0].Timing.Rise = 1 }), none},
		telling{"and back", same, none},
		telling{"another hold-down", puts(func(v *VIP) { v.Policy.HoldDown = 1 }), web},
		telling{"a level", level(10), web},
		telling{"another level", level(20), web},
		telling{"none", same, web},
		telling{"another kind", puts(func(v *VIP) { v.Backends[0].Kind = "tcp" }), web},
		telling{"a backend more", puts(func(v *VIP) { v.Backends = append(v.Backends, spare) }), web},
		telling{"another order", puts(func(v *VIP) { v.Backends = append([]Backend{spare}, v.Backends...) }), web},
		telling{"a backend less", same, web},
		telling{"an override", says(Override{Word: ForceAdvertise}), web},
		telling{"a weight that decides nothing", puts(func(v *VIP) { v.Backends[0].Weight = 2 }), web},
		telling{"a bad probe", answers(errRefused, 1), web},
		telling{"its error, once it is asked another way", func(r *rig, a *script) {
			a.set(nil)
			puts(func(v *VIP) { v.Backends[0].Weight, v.Backends[0].Key = 2, "v2" })(r, a)
		}, web},
		telling{"one more VIP", func(r *rig, _ *script) {
			r.must(r.Put(r.t.Context(), []VIP{vipOf("new", count(1))}, nil))
		}, []string{"new"}},
		telling{"one less", func(r *rig, _ *script) { r.must(r.Put(r.t.Context(), nil, []string{"new"})) }, []string{"new"}},
		telling{"none at all", func(r *rig, _ *script) { r.apply() }, both},
	)
}

func says(o Override) func(*rig, *script) {
	return func(r *rig, _ *script) { r.must(r.SetOverride(r.t.Context(), "web", o)) }
}

func drains(d Drain) func(*rig, *script) {
	return func(r *rig, _ *script) { r.must(r.SetDrain(r.t.Context(), d)) }
}

func TestChangedByWords(t *testing.T) {
	tell(t,
		telling{"an override", says(Override{Word: ForceAdvertise}), web},
		telling{"the same", says(Override{Word: ForceAdvertise}), none},
		telling{"none", says(Override{}), web},
		telling{"a drain that prefers others", drains(Drain{Phase: PreferOthers}), web}, // the other is withdrawn
		telling{"a drain", drains(Drain{Phase: Withdrawing}), both},
		telling{"the same", drains(Drain{Phase: Withdrawing}), none},
		telling{"an override below it", says(Override{Word: ForceWithdraw}), web},
		telling{"none below it", says(Override{}), web},
		telling{"no drain", drains(Drain{}), both},
		telling{"no uplinks", func(r *rig, _ *script) { r.must(r.SetUplinks(r.t.Context(), Uplinks{0, 1})) }, both},
	)
}

// A probe that changes nothing costs the owner no memory, whoever listens.
func TestAnOrdinaryAnswerAllocatesNothing(t *testing.T) {
	for name, changed := range map[string]func(string){"nobody": nil, "somebody": func(vip string) { t.Error("changed") }} {
		for health, err := range map[Health]error{Up: nil, Down: errRefused} {
			s := <-New(Options{Sink: deaf{}}).idle
			s.put([]VIP{vipOf("web", count(1), easy{})}, nil, noon)
			b := s.vips["web"].backends[0]
			a := &asker{asked: noon, began: noon, err: err}
			for range 3 {
				s.record(b, a, noon)
			}
			s.Changed = changed
			if n := testing.AllocsPerRun(100, func() { s.record(b, a, noon) }); n != 0 || b.record.health != health {
				t.Errorf("%s listens to a backend that is %s: %g allocations", name, b.record.health, n)
			}
		}
	}
}
