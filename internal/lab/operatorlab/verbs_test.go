package operatorlab

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// Every verb of vipctl does at the router what it says.
func TestVerbs(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			s := newStage(lab.New(t), lab.RackOptions{Speaker: speaker, BFD: usualBFD()})
			v := s.n1.Vipd
			live := v.Follow("events", "events", "--follow", "-o", "json")
			watched := v.Follow("watched", "vips", "--watch")
			live.Says(soon, `"subject":"web4"`, 1)
			watched.Says(soon, "web4", 1)
			s.looking()
			s.overrides(live, watched)
			s.draining(live)
			s.defining()
			s.replacing()
			s.bfd()
			s.configuring(live)
		})
	}
}

// looking: verbs that show.
func (s *stage) looking() {
	s.Helper()
	v := s.n1.Vipd
	says(s, does(s, v, "status"), done, "web4", "web6", "advertised", s.n1.Link.B.V4.String())
	says(s, does(s, v, "vips"), done, "NAME", "web4", "192.0.2.10/32", "web6")
	says(s, does(s, v, "vips", "-o", "wide"), done, "web4")
	says(s, does(s, v, "backends"), done, "127.0.0.1:8081", "http", "up")
	says(s, does(s, v, "neighbors"), done, s.n1.Link.B.V4.String(), s.n1.Link.B.V6.String(), "established")
	says(s, does(s, v, "bfd"), done, s.n1.Link.B.V4.String(), "up")
	says(s, does(s, v, "events"), done, "web4", "advertised")
	says(s, does(s, v, "vip", "show", "web4"), done, "192.0.2.10/32", "the configuration file", "established")
	says(s, does(s, v, "version"), done, "vipctl", "vipd", s.n1.Name)
	if said := v.Ctl("completion", "bash"); said.Code != done || !strings.Contains(said.Out, "complete -o") {
		s.Error("no completion for bash") // it is long
	}
	for _, vip := range []string{"web4", s.VIP4.String(), s.VIP4.Addr().String(), "web6", s.VIP6.Addr().String()} {
		s.explained(vip, "announced", "announced to 2 of 2 neighbors")
	}
	says(s, v.Ctl("explain", "wbe4"), failed, `no vip is called "wbe4"`, "did you mean web4")
	says(s, v.Ctl("explain"), misused, "accepts 1 arg")
}

// overrides: the operator's word is above that of the checks.
func (s *stage) overrides(live, watched *lab.Process) {
	s.Helper()
	v := s.n1.Vipd
	began := time.Now()
	says(s, does(s, v, "withdraw", "web4", "--reason", "rack 4 moves", "--for", "1h"), done, "override by uid 0", "rack 4 moves", "the speaker shows no route")
	s.agree("one VIP is withdrawn", "web6")
	s.explained("web4", "override", "rack 4 moves", "vipctl auto web4")
	live.Says(soon, `"reason":"rack 4 moves"`, 1)
	watched.Says(soon, "rack 4 moves", 1)
	s.n1.Backends[0].Kill()
	s.agree("no VIP is advertised without a backend")
	s.explained("web6", "no_healthy_backend", "0 of 1 backends healthy", "connection refused", "vipctl backends")
	does(s, v, "advertise", "web6", "--reason", "trust me")
	s.agree("one VIP is advertised without a backend", "web6")
	does(s, v, "auto", "web6")
	s.agree("the checks decide again")
	s.n1.Backends[0].Again()
	s.agree("one VIP can be served again", "web6")
	does(s, v, "auto", "192.0.2.10")
	s.agree("both can", "web4", "web6")
	s.heard(began, 3, 3) // web4 once, web6 twice: each word and each turn of the backend is one UPDATE
	says(s, does(s, v, "withdraw", "web4", "--for", "300ms"), done)
	s.agree("a word with an end ends", "web4", "web6")
	says(s, does(s, v, "events", "--vip", "web4"), done, "its time is over")
}

// draining: all VIPs, confirmed.
func (s *stage) draining(live *lab.Process) {
	s.Helper()
	v := s.n1.Vipd
	says(s, does(s, v, "drain", "--wait", "--reason", "kernel update"), done, "drained: kernel update (by uid 0", "the speaker shows no route of this node")
	s.agree("a drained node announces nothing")
	s.explained("web4", "drain", "draining by uid 0", "kernel update", "vipctl undrain")
	says(s, does(s, v, "status"), done, "kernel update")
	live.Says(soon, `"reason":"kernel update"`, 1)
	does(s, v, "undrain")
	s.agree("an undrained node announces all", "web4", "web6")
}

// defining: VIPs made at run time, one by one.
func (s *stage) defining() {
	s.Helper()
	v := s.n1.Vipd
	says(s, does(s, v, "vip", "add", "extra", "198.51.100.7", "--check", "web", "--backend", "127.0.0.1:8081,name=one"), done, "extra 198.51.100.7/32", "owner api, version 1")
	s.agree("an added VIP is announced", "extra", "web4", "web6")
	says(s, v.Ctl("vip", "add", "extra", "198.51.100.8", "--check", "web", "--backend", "127.0.0.1:8081"), failed, "extra")
	says(s, v.Ctl("vip", "add", "clash", "192.0.2.10", "--check", "web", "--backend", "127.0.0.1:8081"), failed, "192.0.2.10/32 is that of web4")
	began := time.Now()
	does(s, v, "vip", "set", "extra", "--prefix", "198.51.100.9/32")
	s.heard(began, 1, 1)
	says(s, does(s, v, "vip", "show", "extra"), done, "198.51.100.9/32", "owner       api")
	says(s, v.Ctl("vip", "set", "extra", "--min-healthy", "2"), misused, "min_healthy")
	s.agree("a refused request changes nothing", "extra", "web4", "web6")
	says(s, v.Ctl("vip", "rm", "web4"), failed, "configuration")
	says(s, does(s, v, "vip", "rm", "extra"), done, "extra removed")
	s.agree("a removed VIP is withdrawn", "web4", "web6")
	s.heard(began, 1, 2)
}

// replacing: all VIPs of an owner.
func (s *stage) replacing() {
	s.Helper()
	v := s.n1.Vipd
	replace := func(n int) lab.Said {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, "- {name: c%d, prefix: 198.51.100.%d, check: web, backends: [{address: '127.0.0.1:8081'}]}\n", i, i)
		}
		if n == 0 {
			list.WriteString("[]")
		}
		return v.CtlAs(lab.User{}, list.String(), "vip", "replace", "--owner", "lbc", "--file", "-")
	}
	says(s, replace(3), done, "lbc: 3 added, 0 changed, 0 removed, 0 unchanged; generation 1")
	s.agree("an owner's VIPs are announced", "c0", "c1", "c2", "web4", "web6")
	began := time.Now()
	says(s, replace(3), done, "0 added, 0 changed, 0 removed, 3 unchanged")
	says(s, replace(2), done, "0 added, 0 changed, 1 removed, 2 unchanged")
	s.agree("what is not listed is gone", "c0", "c1", "web4", "web6")
	s.heard(began, 0, 1)
	says(s, v.Ctl("vip", "rm", "c0"), failed, "lbc")
	says(s, replace(0), done, "2 removed")
	s.agree("all of the owner's are gone", "web4", "web6")
}

// bfd: a session beside those of neighbors, seen at the other end.
func (s *stage) bfd() {
	s.Helper()
	v := s.n1.Vipd
	node, peer := s.n1.Link.A.V4, s.n1.Link.B.V4.Prev() // the collector's address, where only bfdd is new
	s.frr.Configure("bfd", fmt.Sprintf("peer %s local-address %s interface %s", node, peer, s.n1.Link.B.Iface), "profile node", "no shutdown")
	says(s, does(s, v, "bfd", "add", peer.String(), "--local", node.String(), "--interface", s.n1.Link.A.Iface, "--profile", "router"), done, "added")
	s.Within(soon, "the router's session is up", func() error { return s.frr.BFDFrom(peer, "up") })
	s.Within(soon, "vipd's is", func() error { return session(s, peer.String(), "up") })
	says(s, v.Ctl("bfd", "add", peer.String(), "--local", node.String(), "--interface", s.n1.Link.A.Iface, "--profile", "router"), failed, "is there already")
	says(s, v.Ctl("bfd", "add", "10.9.9.9", "--profile", "none"), misused, "none")
	says(s, v.Ctl("bfd", "rm", s.n1.Link.B.V4.String()), failed)
	says(s, does(s, v, "bfd", "rm", peer.String()), done, "removed")
	s.Within(soon, "the router's session is down", func() error { return s.frr.BFDFrom(peer, "down") })
	s.agree("nothing else happened", "web4", "web6")
}

// session returns an error unless vipctl tells that a session has a state.
func session(s *stage, peer, state string) error {
	list := tells(s, s.n1.Vipd, &vipdv1.ListBfdSessionsResponse{}, "bfd")
	for _, one := range list.GetBfdSessions() {
		if one.GetPeer() == peer && one.GetState() == state {
			return nil
		}
	}
	return errors.New(list.String())
}

// configuring: a file is looked at, and taken.
func (s *stage) configuring(live *lab.Process) {
	s.Helper()
	v, config := s.n1.Vipd, s.n1.Config
	more := config + "  - {name: more, prefix: 198.51.100.1, check: web, backends: [{address: '127.0.0.1:8081'}]}\n"
	bad := strings.Replace(config, "prefix:", "prefx:", 1)
	says(s, v.CtlAs(lab.User{}, more, "check", "-"), done, "more", "198.51.100.1/32")
	says(s, v.CtlAs(lab.User{}, bad, "check", "-"), misused, `unknown key (did you mean "prefix"?)`)
	s.agree("a check changes nothing", "web4", "web6")
	v.Configure(bad)
	says(s, v.Ctl("reload"), failed, "the old configuration stays in force", "prefx")
	s.agree("a bad file changes nothing", "web4", "web6")
	v.Configure(more)
	says(s, does(s, v, "reload"), done, "reloaded")
	s.agree("a good one is taken", "more", "web4", "web6")
	live.Says(soon, `"kind":"reload"`, 2)
	says(s, v.Ctl("check", "absent.yaml"), misused, "no such file")
	if code := v.Stop(soon); code != 0 {
		s.Errorf("vipd exits with %d", code)
	}
	says(s, v.Ctl("status"), unreachable, "vipd can't be reached", "start it: systemctl start vipd")
}
