package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// build makes the router and the backends.
func (s *stage) build(ctx context.Context) error {
	var err error
	if s.router, err = gobgptest.StartRouter(ctx, gobgptest.RouterOptions{ASN: routerAS}); err != nil {
		return err
	}
	s.say("router: GoBGP, AS %d, on %s port %d", routerAS, s.router.Address, s.router.Port)
	for _, name := range []string{"a", "b", "c"} {
		b, err := newBackend(name)
		if err != nil {
			return err
		}
		if err := b.start(); err != nil {
			return err
		}
		s.backends = append(s.backends, b)
		s.say("backend %s: web server on %s", name, b.address)
	}
	return nil
}

// start runs vipd until the router has the VIP.
func (s *stage) start(ctx context.Context) error {
	node := netip.MustParseAddr("127.0.0.2")
	if err := s.router.Accept(ctx, gobgptest.Peer{Address: node, ASN: nodeAS}); err != nil {
		return err
	}
	file, err := s.configure(node)
	if err != nil {
		return err
	}
	if s.vipd, err = startChild(ctx, s.Exe, file); err != nil {
		return err
	}
	s.say("vipd run, pid %d: AS %d with a speaker of its own, VIP %s", s.vipd.cmd.Process.Pid, nodeAS, s.vip)
	if err := s.decided(ctx, "3 of 3"); err != nil {
		return err
	}
	route, err := s.router.WaitRoute(ctx, s.vip, nil)
	if err != nil {
		return err
	}
	s.say("router: has %s, next hop %s, AS path %v", route.Prefix, route.NextHop, route.ASPath)
	s.note("%s appeared once its backends had answered twice", s.vip)
	return nil
}

// loseOne shows that a VIP that can be served stays.
func (s *stage) loseOne(ctx context.Context) error {
	before := len(s.router.Updates())
	s.backends[0].kill()
	s.say("backend a: killed")
	if err := s.decided(ctx, "2 of 3"); err != nil {
		return err
	}
	quiet, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	heard := func() bool { return len(s.router.Updates()) > before }
	if s.router.Wait(quiet, heard) == nil {
		return errors.New("the router was sent an UPDATE, though nothing changed for it")
	}
	s.say("router: heard nothing for a second, still has %s", s.vip)
	s.note("nothing when one of three backends was killed")
	return nil
}

// loseAll shows how fast one that can't be is gone.
func (s *stage) loseAll(ctx context.Context) error {
	s.backends[1].kill()
	killed := time.Now()
	s.backends[2].kill()
	s.say("backends b, c: killed")
	if err := s.router.WaitAbsent(ctx, s.vip); err != nil {
		return err
	}
	took, err := s.withdrawnAfter(killed)
	if err != nil {
		return err
	}
	if err := s.decided(ctx, "0 of 3"); err != nil {
		return err
	}
	s.say("router: %s withdrawn, %.1f ms after the last backend was killed", s.vip, took)
	s.note("the withdrawal %.1f ms after the last backend was killed", took)
	return nil
}

// withdrawnAfter is the time from t to the router's last withdrawal, in ms.
func (s *stage) withdrawnAfter(t time.Time) (float64, error) {
	for _, u := range slices.Backward(s.router.Updates()) {
		if slices.Contains(u.Withdrawn, s.vip) && u.At.After(t) {
			return float64(u.At.Sub(t).Microseconds()) / 1000, nil
		}
	}
	return 0, fmt.Errorf("%s is gone without a withdrawal", s.vip)
}

// recover shows that the VIP comes back by itself.
func (s *stage) recover(ctx context.Context) error {
	if err := s.backends[1].start(); err != nil {
		return err
	}
	began := time.Now()
	s.say("backend b: started")
	if err := s.decided(ctx, "1 of 3"); err != nil {
		return err
	}
	if _, err := s.router.WaitRoute(ctx, s.vip, nil); err != nil {
		return err
	}
	s.say("router: has %s again", s.vip)
	s.note("the VIP again %.1f s after a backend was back: two good answers, a second apart", time.Since(began).Seconds())
	return nil
}

// leave shows a drain: prefer others, withdraw, serve on, exit.
func (s *stage) leave(ctx context.Context) error {
	began := time.Now()
	if err := s.vipd.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	s.say("SIGTERM to pid %d", s.vipd.cmd.Process.Pid)
	_, err := s.router.WaitRoute(ctx, s.vip, func(r gobgptest.Route) bool {
		return slices.Contains(r.Communities, bgpclient.GracefulShutdown)
	})
	if err != nil {
		return err
	}
	s.say("router: %s now carries GRACEFUL_SHUTDOWN: prefer others", s.vip)
	if err := s.router.WaitAbsent(ctx, s.vip); err != nil {
		return err
	}
	if _, err := s.withdrawnAfter(began); err != nil {
		return err
	}
	withdrawn := time.Now()
	s.say("router: %s withdrawn; vipd still runs, so that what is under way can arrive", s.vip)
	code, err := s.vipd.exit(ctx)
	if err != nil {
		return err
	}
	grace := time.Since(withdrawn)
	s.say("vipd: exit code %d, %.1f s later", code, grace.Seconds())
	if code != 0 || grace < 900*time.Millisecond {
		return fmt.Errorf("exit code %d, %s after the withdrawal; want 0, and a second of grace", code, grace)
	}
	s.note("on SIGTERM: GRACEFUL_SHUTDOWN, the withdrawal, and vipd gone %.1f s later with exit code %d", grace.Seconds(), code)
	return nil
}

// decided waits for a decision with such a tally, and repeats its reason.
func (s *stage) decided(ctx context.Context, tally string) error {
	line, next, err := s.vipd.await(ctx, s.heard, func(l logLine) bool {
		return l.VIP == "web" && strings.Contains(l.Reason, ": "+tally+" ")
	})
	if err != nil {
		return fmt.Errorf("decision with %s backends: %w", tally, err)
	}
	s.heard = next
	s.say("vipd: %s", line.Reason)
	return nil
}
