package drain

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A node records the steps that it was asked for.
type node struct {
	t           *testing.T
	runner      *Runner
	began       time.Time
	steps       []string // with the time since began
	left        []int    // routes, one for each look; the last stays
	connections []int    // likewise; -1 is an error
	told        []Progress
}

func (n *node) note(step string) error {
	n.steps = append(n.steps, step+" "+time.Since(n.began).String())
	return nil
}

func take(from *[]int) int {
	first := (*from)[0]
	if len(*from) > 1 {
		*from = (*from)[1:]
	}
	return first
}

// run carries out orders until the test ends.
func (n *node) run(counted bool) {
	n.began = time.Now()
	steps := Steps{
		Prefer:   func(context.Context, Order) error { return n.note("prefer") },
		Withdraw: func(context.Context, Order) error { return n.note("withdraw") },
		Withdrawn: func(ctx context.Context) (bool, int, error) {
			left := take(&n.left)
			if left > 0 {
				pause(ctx, 100*time.Millisecond)
			}
			return left == 0, left, nil
		},
		Told: func(p Progress) { n.told = append(n.told, p) },
		Over: func(_ context.Context, o Order) {
			_ = n.note("over")
			n.runner.Set(nil)
		},
	}
	if counted {
		steps.Connections = func(context.Context) (int, error) {
			if c := take(&n.connections); c >= 0 {
				return c, nil
			}
			return 0, errors.New("no permission")
		}
	}
	n.runner = New(steps)
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan error)
	go func() { done <- n.runner.Run(ctx) }()
	n.t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (n *node) want(steps ...string) {
	n.t.Helper()
	synctest.Wait()
	if !slices.Equal(n.steps, steps) {
		n.t.Errorf("steps %q, want %q", n.steps, steps)
	}
}

func (n *node) progress() Progress {
	p, _ := n.runner.Progress()
	return p
}

func TestDrainGoesStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, left: []int{2, 1, 0}}
		n.run(false)
		n.runner.Set(&Order{By: "me", Prefer: 3 * time.Second})
		if p := n.progress(); p.Phase != PreferOthers || p.Done {
			t.Errorf("%+v, want others to be preferred first", p)
		}
		time.Sleep(time.Minute)
		n.want("prefer 0s", "withdraw 3s")
		if p := n.progress(); p.Phase != Drained || !p.Done || p.Outcome != Confirmed {
			t.Errorf("%+v, want it to be confirmed", p)
		}
		synctest.Wait()
		var phases []string
		for _, p := range n.told {
			phases = append(phases, p.Phase)
		}
		if phases = slices.Compact(phases); !slices.Equal(phases, []string{PreferOthers, Withdrawing, Drained}) {
			t.Errorf("told of %q", phases)
		}
	})
}

func TestDrainWaitsForConnections(t *testing.T) {
	for _, c := range []struct {
		rule        string
		connections []int
		outcome     string
		left        int
		after       time.Duration
	}{
		{"until none is left", []int{7, 3, 0}, Confirmed, 0, time.Second},
		{"at most until the limit", []int{7, 3}, ConnectionsLeft, 3, 10 * time.Second},
		{"what can't be counted is not gone", []int{-1}, ConnectionsLeft, 0, 10 * time.Second},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &node{t: t, left: []int{0}, connections: c.connections}
				n.run(true)
				n.runner.Set(&Order{Limit: 10 * time.Second})
				for !n.progress().Done {
					_, changed := n.runner.Progress()
					<-changed
				}
				if p := n.progress(); p.Outcome != c.outcome || p.Connections != c.left || time.Since(n.began) != c.after {
					t.Errorf("%+v after %s, want %s with %d left after %s", p, time.Since(n.began), c.outcome, c.left, c.after)
				}
			})
		})
	}
}

func TestUndrainEndsTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, left: []int{0}}
		n.run(false)
		n.runner.Set(&Order{Prefer: time.Minute})
		time.Sleep(time.Second)
		n.runner.Set(nil)
		time.Sleep(time.Hour)
		n.want("prefer 0s")
		if p := n.progress(); p.Phase != "" {
			t.Errorf("%+v, want no drain", p)
		}
	})
}

func TestAnotherOrderReplacesTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, left: []int{0}}
		n.run(false)
		n.runner.Set(&Order{By: "a", Prefer: time.Minute})
		time.Sleep(time.Second)
		n.runner.Set(&Order{By: "b"})
		time.Sleep(time.Hour)
		n.want("prefer 0s", "withdraw 1s")
		if p := n.progress(); p.Order.By != "b" || !p.Done {
			t.Errorf("%+v, want b's to be done", p)
		}
	})
}

func TestDrainEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, left: []int{1}}
		n.run(false)
		n.runner.Set(&Order{Until: time.Now().Add(time.Minute)})
		time.Sleep(time.Hour)
		n.want("withdraw 0s", "over 1m0s")
		if p := n.progress(); p.Phase != "" {
			t.Errorf("%+v, want no drain", p)
		}
	})
}
