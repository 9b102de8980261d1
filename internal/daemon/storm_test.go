package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/state"
)

// A storm is everybody at once: clients that change what is theirs, reloads,
// drains and watchers.
type storm struct {
	t       *testing.T
	n       node
	over    chan struct{} // closed when all are to stop
	all     sync.WaitGroup
	changes atomic.Int64
	clients []*client
}

// A client makes VIPs and says something of them. It knows what was answered.
type client struct {
	owner  string
	number int
	*rand.Rand
	vips      map[string]string // prefixes by name
	overrides map[string]string // words by VIP
}

// begin starts them, until over or until they are refused for good.
func begin(t *testing.T, n node, seed uint64) *storm {
	s := &storm{t: t, n: n, over: make(chan struct{})}
	for i := range 20 {
		c := &client{
			owner: fmt.Sprint("o", i), number: i, Rand: rand.New(rand.NewPCG(seed, uint64(i))), vips: map[string]string{}, overrides: map[string]string{},
		}
		s.clients = append(s.clients, c)
		s.repeat(func() error { return c.step(s) })
	}
	s.repeat(s.reload)
	s.repeat(s.drain)
	for range 3 {
		s.all.Go(s.watch)
	}
	return s
}

func (s *storm) repeat(step func() error) {
	s.all.Go(func() { // until over
		for {
			select {
			case <-s.over:
				return
			default:
			}
			err := step()
			var refused *control.Refusal
			if errors.As(err, &refused) && refused.Kind == control.Unavailable {
				return // it stops
			}
			if err != nil {
				s.t.Error(err)
				return
			}
			s.changes.Add(1)
		}
	})
}

func (s *storm) end() {
	close(s.over)
	s.all.Wait()
}

func (c *client) spec(name, prefix string) *vipdv1.VipSpec {
	return spec(name, prefix, func(v *vipdv1.VipSpec) { v.Backends[0].Weight = new(uint32(c.IntN(5) + 1)) })
}

func (c *client) name(i int) string   { return fmt.Sprint(c.owner, "-", i) }
func (c *client) prefix(i int) string { return fmt.Sprintf("10.9.%d.%d/32", c.number, i) }

// free is a prefix that a VIP may have.
func (c *client) free(name string) string {
	if prefix, there := c.vips[name]; there && c.IntN(2) == 0 {
		return prefix
	}
	taken := slices.Collect(maps.Values(c.vips))
	for i := 0; ; i++ {
		if !slices.Contains(taken, c.prefix(i)) {
			return c.prefix(i)
		}
	}
}

func (c *client) step(s *storm) error {
	ctx, by := s.t.Context(), control.Actor(c.owner)
	i := c.IntN(4)
	name := c.name(i)
	_, there := c.vips[name]
	switch op := c.IntN(8); {
	case op < 3:
		prefix := c.free(name)
		_, err := s.n.UpsertVip(ctx, by, &vipdv1.UpsertVipRequest{Owner: c.owner, Vip: c.spec(name, prefix)})
		if err == nil {
			c.vips[name] = prefix
		}
		return err
	case op == 3: // two change places, or come and go
		want, r := map[string]string{}, &vipdv1.ReplaceVipsRequest{Owner: c.owner}
		for j, k := range c.Perm(4)[:c.IntN(5)] {
			want[c.name(j)] = c.prefix(k)
			r.Vips = append(r.Vips, c.spec(c.name(j), c.prefix(k)))
		}
		_, err := s.n.ReplaceVips(ctx, by, r)
		if err == nil {
			c.vips = want
			maps.DeleteFunc(c.overrides, func(name, _ string) bool { return want[name] == "" })
		}
		return err
	case !there:
		return nil
	case op == 4:
		err := s.n.DeleteVip(ctx, by, &vipdv1.DeleteVipRequest{Owner: c.owner, Vip: name})
		if err == nil {
			delete(c.vips, name)
			delete(c.overrides, name)
		}
		return err
	case op == 5:
		_, err := s.n.Explain(ctx, name)
		return err
	}
	word := []string{"advertise", "withdraw", "auto"}[c.IntN(3)]
	_, err := s.n.SetOverride(ctx, by, override(name, word, 0))
	if err == nil {
		c.overrides[name] = word
		if word == "auto" {
			delete(c.overrides, name)
		}
	}
	return err
}

// reload goes by the API, and by a signal that nobody waits for.
func (s *storm) reload() error {
	_, err := s.n.Reload(s.t.Context(), "reloader")
	wake(s.n.hangups)
	return err
}

func (s *storm) drain() error {
	r := &vipdv1.DrainRequest{Wait: true, Ttl: durationpb.New(30 * time.Millisecond)}
	if err := s.n.Drain(s.t.Context(), "drainer", r, func(*vipdv1.DrainProgress) error { return nil }); err != nil {
		return err
	}
	_, err := s.n.Undrain(s.t.Context(), "drainer")
	return err
}

func (s *storm) watch() {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	go func() { // ends with the storm
		<-s.over
		cancel()
	}()
	r, last := s.n.board.Read(board.Cursor{}, false), uint64(0)
	for {
		news, err := r.Next(ctx, 100)
		if err != nil {
			return
		}
		for _, w := range news {
			if sequence := w.GetSequence(); sequence != 0 && sequence < last {
				s.t.Errorf("%d after %d", sequence, last)
			} else if sequence != 0 {
				last = sequence
			}
		}
	}
}

// stormy is a daemon with a ledger, and configurations to be reloaded in turn.
func stormy(t *testing.T, l *ledger) Options {
	backend := silent(t)
	o := ledgered(t, l, bgpVIPs(backend, ""))
	dir := "state_dir: " + o.Config.StateDir + "\n"
	turns := []*config.Config{
		parse(t, bgpVIPs(backend, "  - {name: x, prefix: 192.0.2.3, check: web, backends: [{address: \""+backend+"\"}]}\n")+dir),
		parse(t, bgpVIPs(backend, "")+dir),
	}
	var turn atomic.Int64
	o.Load = func() (*config.Config, []config.Problem, error) { return turns[turn.Add(1)%2], nil, nil }
	return o
}

// Once all are quiet, the board is as the rooms are, and the speaker has what was
// decided.
func TestBoardIsRightAfterAStorm(t *testing.T) {
	l := newLedger()
	n, _, kill := lives(t, stormy(t, l))
	s := begin(t, n, rand.Uint64())
	eventually(t, "something happened", func() bool { return s.changes.Load() > 500 || t.Failed() })
	s.end()
	var wrong []string
	for end := time.Now().Add(20 * time.Second); ; {
		if wrong = s.compare(l); len(wrong) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the board is not as it is: %q", wrong)
		}
	}
	kill()
}

// compare tells what the board has that is not so.
func (s *storm) compare(l *ledger) (wrong []string) {
	if err := s.n.publisher.Sync(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	shown, _, _ := s.n.board.VIPs(board.Query{Limit: 1000})
	made := 0
	for _, c := range s.clients {
		made += len(c.vips)
	}
	if len(shown) < made+2 || len(shown) > made+3 {
		wrong = append(wrong, fmt.Sprintf("it has %d VIPs, and clients made %d", len(shown), made))
	}
	for _, v := range shown {
		now, err := s.n.Fresh(s.t.Context(), []string{v.GetName()})
		if err != nil || len(now) != 1 {
			wrong = append(wrong, fmt.Sprint(v.GetName(), " is gone ", err))
			continue
		}
		if got, want := essence(v), essence(now[0]); got != want {
			wrong = append(wrong, got+" is "+want)
		}
		if advertised := v.GetState() == "advertised"; l.has(v.GetPrefix()) != advertised && v.GetState() != "undecided" {
			wrong = append(wrong, fmt.Sprint(v.GetName(), " is ", v.GetState(), ", not so at the speaker"))
		}
	}
	return wrong
}

func essence(v *vipdv1.Vip) string {
	return fmt.Sprint(v.GetName(), " ", v.GetPrefix(), " ", v.GetOwner(), v.GetVersion(), " ", v.GetRule(), " ", v.GetReason(), " ", v.GetRoute(), v.GetOverride())
}

// A stop in the middle of all that loses nothing that was answered, and leaves
// nothing behind.
func TestStopInAStorm(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l := newLedger()
	o := stormy(t, l)
	signals := make(chan os.Signal, 4)
	o.Signals = signals
	n, _, kill := lives(t, o)
	s := begin(t, n, rand.Uint64())
	eventually(t, "something happened", func() bool { return s.changes.Load() > 300 || t.Failed() })
	signals <- syscall.SIGTERM
	eventually(t, "it leaves", func() bool { return n.stopping.Load() != nil })
	kill()
	s.end()
	if len(l.paths) > 0 {
		t.Errorf("%d routes are left", len(l.paths))
	}
	known, err := state.Load(o.Config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	vips, words := map[string]string{}, map[string]string{} // that were answered
	for _, c := range s.clients {
		maps.Copy(vips, c.vips)
		maps.Copy(words, c.overrides)
	}
	keptVIPs, keptWords := map[string]string{}, map[string]string{}
	for _, v := range known.VIPs {
		spec, err := decodeSpec(v.Spec)
		if err != nil {
			t.Fatal(err)
		}
		keptVIPs[spec["name"].(string)] = spec["prefix"].(string)
	}
	for _, o := range known.Overrides {
		keptWords[o.VIP] = o.Word
	}
	if !maps.Equal(keptVIPs, vips) {
		t.Errorf("kept are\n%v, answered were\n%v", keptVIPs, vips)
	}
	if !maps.Equal(keptWords, words) {
		t.Errorf("kept are\n%v, answered were\n%v", keptWords, words)
	}
	n, _, kill = lives(t, o)
	if problems := n.nodeMessage().GetProblems(); len(problems) > 0 {
		t.Errorf("left out: %q", problems)
	}
	kill()
}
