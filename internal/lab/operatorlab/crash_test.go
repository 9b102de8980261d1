package operatorlab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// crashes is how often vipd is killed.
const crashes = 15

// vipd is killed at any moment while an operator and a controller change words
// and VIPs as fast as they can. After each start all that was acknowledged is in
// force, what was not is there as a whole or not at all, and the router has just
// that. VIPs that nobody touched are not heard of, from the first moment on.
func TestWordsOutliveCrashes(t *testing.T) {
	t.Parallel()
	words := []string{"v1", "v2", "v3", "v4"}
	s := newStage(lab.New(t), lab.RackOptions{VIPs: len(words)})
	does(t, s.n1.Vipd, "vip", "add", "calm", "198.51.100.1", "--owner", "calm", "--check", "web", "--backend", "127.0.0.1:8081")
	s.agree("a VIP of the API is announced", "calm", "v1", "v2", "v3", "v4", "web4", "web6")
	operator, controller := newWriter(overriding(words...)), newWriter(replacing("lbc"))
	operator.kept = map[string]string{"v1": "", "v2": "", "v3": "", "v4": ""}
	controller.kept = map[string]string{"lbc": ""}
	began := time.Now()
	s.crash(func() []string {
		overrides, owned := map[string]string{}, map[string][]string{}
		want := []string{"calm", "web4", "web6"}
		for _, v := range tells(t, s.n1.Vipd, &vipdv1.ListVipsResponse{}, "vips").GetVips() {
			if slices.Contains(words, v.GetName()) {
				overrides[v.GetName()] = strings.TrimPrefix(v.GetOverride().GetWord()+": "+v.GetOverride().GetReason(), ": ")
				if v.GetOverride().GetWord() != "withdraw" {
					want = append(want, v.GetName())
				}
			}
			owned[v.GetOwner()] = append(owned[v.GetOwner()], v.GetName())
		}
		whole := ""
		if len(owned["lbc"]) > 0 {
			whole = fmt.Sprint(owned["lbc"])
		}
		s.settled(operator, overrides)
		s.settled(controller, map[string]string{"lbc": whole})
		return append(want, owned["lbc"]...)
	}, operator, controller)
	s.unheard(began, s.VIP4, s.VIP6, netip.MustParsePrefix("198.51.100.1/32"))

	quiet := time.Now()
	s.n1.Vipd.Kill()
	s.n1.Vipd.Again()
	s.answers()
	s.For(time.Second, "a start with all that flaps nothing", func() error { return s.Heard(s.n1, quiet, 0, 0) })
}

// As above, with drains.
func TestDrainOutlivesCrashes(t *testing.T) {
	t.Parallel()
	s := newStage(lab.New(t), lab.RackOptions{Speaker: "3.10"})
	operator := newWriter(draining(s.n1.Name))
	operator.kept = map[string]string{s.n1.Name: ""}
	s.crash(func() []string {
		d := tells(t, s.n1.Vipd, &vipdv1.Status{}, "status").GetNode().GetDrain()
		s.settled(operator, map[string]string{s.n1.Name: d.GetReason()})
		if d != nil {
			return nil
		}
		return []string{"web4", "web6"}
	}, operator)

	does(t, s.n1.Vipd, "drain", "--wait", "--reason", "the last one")
	s.agree("nothing is announced")
	quiet := time.Now()
	s.n1.Vipd.Kill()
	s.n1.Vipd.Again()
	s.answers()
	s.For(time.Second, "a drained node announces nothing at its start", func() error { return s.Heard(s.n1, quiet, 0, 0) })
	s.explained("web4", "drain", "the last one")
	does(t, s.n1.Vipd, "undrain")
	s.agree("all is announced", "web4", "web6")
}

// crash kills vipd many times while writers write, and starts it again. Then look
// tells which VIPs the router must have.
func (s *stage) crash(look func() []string, writers ...*writer) {
	s.Helper()
	for round := range crashes {
		s.round(writers)
		s.n1.Vipd.Again()
		s.answers()
		s.agree(fmt.Sprintf("crash %d: what is told is in force", round+1), look()...)
	}
	for _, w := range writers {
		s.Logf("%d words acknowledged", w.acked.Load())
	}
}

// round lets writers write until vipd is killed.
func (s *stage) round(writers []*writer) {
	s.Helper()
	var all sync.WaitGroup
	ended := make(chan error, len(writers))
	api := client(s, s.n1.Vipd)
	before := make([]int64, len(writers))
	for i, w := range writers {
		before[i] = w.acked.Load()
		all.Go(func() { ended <- w.write(api) }) // ends with vipd
	}
	some := 1 + rand.Int64N(30)
	s.Within(soon, "words are taken", func() error {
		for i, w := range writers {
			if n := w.acked.Load() - before[i]; n < some {
				return fmt.Errorf("%d of %d", n, some)
			}
		}
		return nil
	})
	<-time.After(rand.N(5 * time.Millisecond)) // any moment of the next word's
	s.n1.Vipd.Kill()
	all.Wait()
	close(ended)
	for err := range ended {
		if err != nil {
			s.Error(err)
		}
	}
}

func (s *stage) settled(w *writer, there map[string]string) {
	s.Helper()
	doubted, err := w.settle(there)
	if err != nil {
		s.Fatal(err)
	}
	if doubted {
		s.Log("the last word was kept, though not acknowledged")
	}
}

// unheard ends the test if the network has heard of prefixes since a time.
func (s *stage) unheard(since time.Time, prefixes ...netip.Prefix) {
	s.Helper()
	if heard := s.Collector.Heard(since).About(prefixes...); len(heard) > 0 {
		s.Fatal(errors.New("VIPs that nobody touched were heard of"), heard)
	}
}
