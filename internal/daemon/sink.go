package daemon

import (
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/definitions"
)

// atOnce is how many VIPs are put in force at a time, so that nobody who decides
// or announces something else waits for longer than some milliseconds.
const atOnce = 256

// An announcer takes what the speaker's table should hold: a
// *bgpclient.Reconciler, or nobody when bgp.enabled is false.
type announcer interface {
	Set(bgpclient.Route)
	Keep(netip.Prefix)
	Withdraw(netip.Prefix)
	Forget(netip.Prefix)
}

// A sink joins the health loop to the speaker: an intent for a VIP becomes what
// is wanted for its prefix.
//
// mu guards its fields: the loop brings intents while a reload or a request
// brings new prefixes and attributes for them, and both end in the same table.
// The loop waits for it, so it is not held for many VIPs at a time, but where all
// of them change at once.
type sink struct {
	to   announcer
	log  *zap.Logger
	note func(*vipdv1.Event)
	// whose tells of a VIP that was made over the API; it is called by who stages.
	whose func(name string) definitions.VIP

	mu     sync.Mutex
	vips   map[string]*announced
	holder map[netip.Prefix]string // which VIP of the configuration in force has it
	// former is what holder was of prefixes that may go with the change that is
	// under way. staged are the VIPs that wait for its end.
	former map[netip.Prefix]string
	staged []*announced
}

// announced is a VIP with the decision in force.
type announced struct {
	vip    config.VIP
	made   definitions.VIP // zero: it is of the configuration file
	intent healthloop.Intent
	// decided is the last intent that was not Undecided, for this prefix: what
	// stays until there is another. Of state Undecided while there was none.
	decided healthloop.Intent
	staged  bool // waits for the end of the change that is under way
	moved   bool // the prefix changes with it
}

func newSink(to announcer, log *zap.Logger, note func(*vipdv1.Event), whose func(string) definitions.VIP) *sink {
	return &sink{to: to, log: log, note: note, whose: whose, vips: map[string]*announced{}, holder: map[netip.Prefix]string{}}
}

// stage takes new prefixes and attributes of all VIPs. They act with commit: a
// decision that was made for what a VIP was before must not announce what it is
// now. VIPs that are not in vips any more stay until the loop says that they are
// removed.
func (s *sink) stage(vips []config.VIP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.former = s.holder
	s.holder = make(map[netip.Prefix]string, len(vips))
	for _, v := range vips {
		s.put(v)
	}
}

// stageSome does so for some, and for some that go. The others hear nothing of
// it: their intents act as ever.
func (s *sink) stageSome(vips []config.VIP, gone []string) {
	inTurns(&s.mu, vips, s.put)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range gone {
		if a, ok := s.vips[name]; ok {
			s.leave(a)
		}
	}
}

// inTurns calls f for each while mu is held, and lets others have it in between.
func inTurns[T any](mu *sync.Mutex, all []T, f func(T)) {
	for some := range slices.Chunk(all, atOnce) {
		mu.Lock()
		for _, one := range some {
			f(one)
		}
		mu.Unlock()
	}
}

// leave gives up a VIP's prefix, unless another one has it by now. mu is held.
func (s *sink) leave(a *announced) {
	if s.holder[a.vip.Prefix] != a.vip.Name {
		return
	}
	delete(s.holder, a.vip.Prefix)
	if s.former == nil {
		s.former = map[netip.Prefix]string{}
	}
	s.former[a.vip.Prefix] = a.vip.Name
}

// put stages one VIP. mu is held.
func (s *sink) put(v config.VIP) {
	a, ok := s.vips[v.Name]
	if !ok {
		a = &announced{intent: healthloop.Intent{Level: -1}}
		s.vips[v.Name] = a
	}
	if a.moved = a.vip.Prefix != v.Prefix; a.moved && ok {
		s.leave(a)
	}
	s.holder[v.Prefix] = v.Name
	if !reflect.DeepEqual(a.vip.Degraded, v.Degraded) {
		a.decided.Level = -1 // its index means something else now
	}
	a.vip, a.made, a.staged = v, s.whose(v.Name), true
	s.staged = append(s.staged, a)
}

// commit puts what was staged in force, once the loop has decided anew.
func (s *sink) commit() {
	s.mu.Lock()
	former, staged := s.former, s.staged
	s.former, s.staged = nil, nil
	s.mu.Unlock()
	inTurns(&s.mu, staged, s.act)
	s.mu.Lock()
	defer s.mu.Unlock()
	for prefix, name := range former {
		// Held by another now, or its VIP is about to be removed by the loop.
		if _, held := s.holder[prefix]; held {
			continue
		}
		if a, there := s.vips[name]; !there || a.vip.Prefix != prefix {
			s.to.Forget(prefix)
		}
	}
}

// act ends the wait of a staged VIP. mu is held.
func (s *sink) act(a *announced) {
	if a.moved && a.intent.State == healthloop.Undecided {
		a.decided = healthloop.Intent{}
	}
	a.moved, a.staged = false, false
	s.want(a)
}

// Intent is called by the health loop.
func (s *sink) Intent(name string, i healthloop.Intent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.vips[name]
	if !ok {
		return
	}
	was := a.intent
	a.intent = i
	if i.State != healthloop.Undecided {
		a.decided = i
	}
	if !a.staged { // else commit acts on it
		s.want(a)
	}
	level := zap.DebugLevel // the same decision for another reason
	if was.State != i.State || was.Level != i.Level || was.GracefulShutdown != i.GracefulShutdown {
		level = zap.InfoLevel
	}
	if level == zap.InfoLevel || was.Rule != i.Rule {
		s.note(vipEvent(name, a.vip.Prefix, was, i))
	}
	s.log.Log(level, "vip "+i.State.String(), zap.String("vip", name),
		zap.Stringer("prefix", a.vip.Prefix), zap.String("reason", i.Reason))
}

// Removed is called by the health loop.
func (s *sink) Removed(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.vips[name]
	if !ok {
		return
	}
	delete(s.vips, name)
	if _, held := s.holder[a.vip.Prefix]; !held {
		s.to.Forget(a.vip.Prefix)
	}
	delete(s.former, a.vip.Prefix)
	s.log.Info("vip removed", zap.String("vip", name), zap.Stringer("prefix", a.vip.Prefix))
}

// want hands over what a VIP's decision means. mu is held.
func (s *sink) want(a *announced) {
	if s.holder[a.vip.Prefix] != a.vip.Name {
		return // its prefix went to another VIP; the loop will remove it
	}
	// Undecided is no news: what was decided before stays, and is repaired if
	// the speaker loses it. Only a former life's route can't be known.
	switch a.decided.State {
	case healthloop.Advertised:
		s.to.Set(routeFor(a.vip, a.decided))
	case healthloop.Withdrawn:
		s.to.Withdraw(a.vip.Prefix)
	case healthloop.Undecided:
		s.to.Keep(a.vip.Prefix)
	}
}

// prefixes tells the prefix of every VIP of the configuration in force.
func (s *sink) prefixes() map[string]netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]netip.Prefix, len(s.vips))
	for name, a := range s.vips {
		out[name] = a.vip.Prefix
	}
	return out
}

// known tells what a VIP is, and the decision that its route is made of.
func (s *sink) known(name string) (announced, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.vips[name]; ok {
		return *a, true
	}
	return announced{}, false
}

// name tells whose a prefix is.
func (s *sink) name(prefix netip.Prefix) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.holder[prefix]
	return name, ok
}

// nobody announces nothing.
type nobody struct{}

func (nobody) Set(bgpclient.Route)   {}
func (nobody) Keep(netip.Prefix)     {}
func (nobody) Withdraw(netip.Prefix) {}
func (nobody) Forget(netip.Prefix)   {}
