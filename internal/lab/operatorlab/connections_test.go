package operatorlab

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// patience is for how long at most a drain waits for connections.
const patience = "2m30s"

// A node is drained while a client holds a connection to a VIP of it, which the
// router goes on to send there. The drain is not confirmed before the client is
// done, or the limit is reached; nor does a vipd stop that is told to.
func TestDrainWaitsForConnections(t *testing.T) {
	t.Parallel()
	for _, measure := range []string{"sockets", "conntrack"} {
		t.Run(measure, func(t *testing.T) {
			t.Parallel()
			s := newStage(lab.New(t), lab.RackOptions{Vipd: "drain: {grace_period: 0s, connections: " + measure + ", connections_limit: " + patience + "}"})
			s.KeepFlows()
			if measure == "conntrack" {
				s.n1.Track()
			}
			s.drainsToTheEnd(s.Web4(), measure)
			s.drainsToTheEnd(s.Web6(), measure)
			s.drainsToTheLimit(measure)
			s.stops(measure)
		})
	}
}

// drainsToTheEnd waits with a drain for the end of a connection.
func (s *stage) drainsToTheEnd(web netip.AddrPort, measure string) {
	s.Helper()
	v := s.n1.Vipd
	conn := s.Client.Dial(web)
	drain := v.Follow("drain-"+web.Addr().String(), "drain", "--wait", "--reason", "new kernel")
	drain.Says(soon, "withdrawn: 0 routes left, 1 connections left", 1)
	s.agree("nothing is announced")
	s.told([]string{"new kernel", "1 connections (" + measure + ")"}, "status")
	if drain.Exited() {
		s.Fatalf("it does not wait: %s", drain.Log())
	}
	if err := conn.Close(); err != nil {
		s.Error(err)
	}
	if code := drain.Wait(soon); code != done || !strings.Contains(drain.Log(), "drained: new kernel") {
		s.Fatalf("exit code %d: %s", code, drain.Log())
	}
	s.Log(drain.Log())
	says(s, does(s, v, "events", "--kind", "drain"), done, "no connections left ("+measure+")")
	does(s, v, "undrain")
	s.agree("all is announced", "web4", "web6")
}

// drainsToTheLimit does not wait for ever.
func (s *stage) drainsToTheLimit(measure string) {
	s.Helper()
	v := s.n1.Vipd
	v.Configure(strings.Replace(s.n1.Config, patience, "1s", 1))
	does(s, v, "reload")
	conn := s.Client.Dial(s.Web4())
	const left = "vipctl: not drained: 1 connections were left when drain.connections_limit was reached"
	documented(s, left)
	says(s, v.Ctl("drain", "--wait"), failed, left)
	says(s, does(s, v, "events", "--kind", "drain"), done, "1 connections ("+measure+") were left after 1s")
	if err := conn.Close(); err != nil {
		s.Error(err)
	}
	does(s, v, "undrain")
	s.agree("all is announced", "web4", "web6")
	v.Configure(s.n1.Config)
	does(s, v, "reload")
}

// stops waits with a stop likewise.
func (s *stage) stops(measure string) {
	s.Helper()
	v := s.n1.Vipd
	conn := s.Client.Dial(s.Web4())
	v.Signal(syscall.SIGTERM)
	s.told([]string{"1 connections (" + measure + "), vipd stops after it"}, "status")
	s.For(time.Second, "vipd waits", func() error {
		if v.Exited() {
			return errors.New(v.Log())
		}
		return nil
	})
	if err := conn.Close(); err != nil {
		s.Error(err)
	}
	if code := v.Wait(soon); code != 0 || !strings.Contains(v.Log(), "no connections left") {
		s.Errorf("vipd exits with %d", code)
	}
}
