package daemon

import (
	"net/netip"
	"reflect"
	"sync"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
)

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
// mu guards its fields: the loop brings intents while a reload brings new
// prefixes and attributes for them, and both end in the same table.
type sink struct {
	to  announcer
	log *zap.Logger

	mu     sync.Mutex
	vips   map[string]*announced
	holder map[netip.Prefix]string // which VIP of the configuration in force has it
	former map[netip.Prefix]string // holder before a reload that is under way; else nil
}

// announced is a VIP with the decision in force.
type announced struct {
	vip    config.VIP
	intent healthloop.Intent
	// decided is the last intent that was not Undecided, for this prefix: what
	// stays until there is another. Of state Undecided while there was none.
	decided healthloop.Intent
	moved   bool // the prefix changed with the reload that is under way
}

func newSink(to announcer, log *zap.Logger) *sink {
	return &sink{to: to, log: log, vips: map[string]*announced{}, holder: map[netip.Prefix]string{}}
}

// stage takes new prefixes and attributes. They act with commit: a decision that
// was made for what a VIP was before must not announce what it is now. VIPs that
// are not in vips any more stay until the loop says that they are removed.
func (s *sink) stage(vips []config.VIP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.former = s.holder
	s.holder = make(map[netip.Prefix]string, len(vips))
	for _, v := range vips {
		s.holder[v.Prefix] = v.Name
		a, ok := s.vips[v.Name]
		if !ok {
			a = &announced{intent: healthloop.Intent{Level: -1}}
			s.vips[v.Name] = a
		}
		a.moved = a.vip.Prefix != v.Prefix
		if !reflect.DeepEqual(a.vip.Degraded, v.Degraded) {
			a.decided.Level = -1 // its index means something else now
		}
		a.vip = v
	}
}

// commit puts what was staged in force, once the loop has decided anew.
func (s *sink) commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	former := s.former
	s.former = nil
	for _, a := range s.vips {
		if a.moved && a.intent.State == healthloop.Undecided {
			a.decided = healthloop.Intent{}
		}
		a.moved = false
		s.want(a)
	}
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

// Intent is called by the health loop.
func (s *sink) Intent(name string, i healthloop.Intent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.vips[name]
	if !ok {
		return
	}
	level := zap.DebugLevel // the same decision for another reason
	if a.intent.State != i.State || a.intent.Level != i.Level || a.intent.GracefulShutdown != i.GracefulShutdown {
		level = zap.InfoLevel
	}
	a.intent = i
	if i.State != healthloop.Undecided {
		a.decided = i
	}
	if s.former == nil {
		s.want(a)
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

// nobody announces nothing.
type nobody struct{}

func (nobody) Set(bgpclient.Route)   {}
func (nobody) Keep(netip.Prefix)     {}
func (nobody) Withdraw(netip.Prefix) {}
func (nobody) Forget(netip.Prefix)   {}
