package bfdengine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// T74.
func TestSendErrorsAreCountedAndChangeNoState(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOBUFS, unix.EPERM, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ECONNREFUSED, unix.EXFULL} {
		t.Run(errno.Error(), func(t *testing.T) {
			r := newRig(t, Options{})
			e := r.want(hundred("192.0.2.2"))
			r.up(e)
			l := e.link.(*fakeLink)
			l.errno = errno
			r.pass(200 * time.Millisecond)
			r.wantState(e, packet.Up)
			if e.link != l || len(r.take()) > 0 {
				t.Error("this does not ask for another socket")
			}
			s := e.snapshot()
			stats := r.stats.stats()
			name := errno.Error()
			if errno == unix.EXFULL {
				name = "other"
			}
			if s.Problem != errno.Error() || s.Unsent < 2 || s.Unsent > 3 || stats.SendErrors[name] != s.Unsent || len(stats.SendErrors) != 1 {
				t.Errorf("%q, %d unsent, counted %v", s.Problem, s.Unsent, stats.SendErrors)
			}
			l.errno = 0
			r.pass(100 * time.Millisecond)
			if s := e.snapshot(); s.Problem != "" || len(r.take()) == 0 {
				t.Errorf("after it is over: %q", s.Problem)
			}
		})
	}
}

// T51, its alarm: sessions that fail for want of a key must not fail silently.
func TestWhatCanNotBeSignedIsAProblem(t *testing.T) {
	r := newRig(t, Options{})
	spec := hundred("192.0.2.2")
	key := packet.Key{ID: 1, Secret: []byte("secret"), SendUntil: r.clock.Add(-time.Hour)}
	spec.Auth = Auth{Type: packet.KeyedSHA1, Keys: []packet.Key{key}}
	e := r.want(spec)
	r.pass(2 * time.Second)
	if s := e.snapshot(); s.Problem != errUnsigned.Error() || s.Unsent == 0 || r.stats.Unsigned != s.Unsent || len(r.take()) > 0 {
		t.Errorf("%q, %d unsent, %d unsigned", s.Problem, s.Unsent, r.stats.Unsigned)
	}
	key.SendUntil = time.Time{}
	spec.Auth.Keys = []packet.Key{key}
	next := e.spec
	next.Auth = spec.Auth
	if err := r.update(next); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Second)
	if s := e.snapshot(); s.Problem != "" || len(r.sent) == 0 {
		t.Errorf("with a key again: %q", s.Problem)
	}
}

// An address that goes and comes back, as that of a bond does: the session goes on
// from the same port, and trying costs little meanwhile.
func TestALostSocketIsOpenedAgainFromTheSamePort(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EADDRNOTAVAIL, unix.EINVAL, unix.ENODEV} {
		t.Run(errno.Error(), func(t *testing.T) {
			r := newRig(t, Options{})
			e := r.want(hundred("192.0.2.2"))
			r.up(e)
			port, tries := e.port, 0
			r.refuse = func(sock.Path) error { tries++; return errno }
			e.link.(*fakeLink).errno = errno
			for range 100 {
				r.receiveAll(r.from(e, packet.Up))
				r.pass(100 * time.Millisecond)
				r.repair(r.clock)
			}
			r.wantState(e, packet.Up)
			if e.link != nil || tries < 4 || tries > 12 {
				t.Errorf("%d tries in 10 s", tries)
			}
			r.refuse = func(sock.Path) error { return nil }
			for range 20 {
				r.receiveAll(r.from(e, packet.Up))
				r.pass(100 * time.Millisecond)
				r.repair(r.clock)
			}
			if e.link == nil || e.link.(*fakeLink).path.SourcePort != port || len(r.take()) < 5 || e.snapshot().Problem != "" {
				t.Errorf("not sending again: %+v", e.snapshot())
			}
		})
	}
}

// Or a socket that was connected too early would keep a session down for good.
func TestTheRouteIsLookedUpAnewWhileASessionIsDown(t *testing.T) {
	r := newRig(t, Options{})
	e := r.want(hundred("192.0.2.2"))
	l := e.link.(*fakeLink)
	r.pass(10 * time.Second)
	if n := len(r.take()); l.refreshed != n || n == 0 {
		t.Errorf("%d packets, %d times", n, l.refreshed)
	}
	r.up(e)
	l.refreshed = 0
	r.pass(299 * time.Millisecond)
	if l.refreshed > 0 {
		t.Error("looked up while it is up")
	}
}

func TestASourcePortThatIsTakenIsAnotherOne(t *testing.T) {
	r := newRig(t, Options{})
	var tried []uint16
	r.refuse = func(p sock.Path) error {
		if tried = append(tried, p.SourcePort); len(tried) < 3 {
			return fmt.Errorf("bind: %w", unix.EADDRINUSE)
		}
		return nil
	}
	e := r.want(hundred("192.0.2.2"))
	slices.Sort(tried)
	if e.link == nil || len(slices.Compact(tried)) != 3 {
		t.Errorf("tried %v", tried)
	}
	n := 0
	for _, taken := range r.table.ports {
		if taken {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d ports are held for one session", n)
	}
}

// A session may wait for its interface, as at boot.
func TestAMissingInterfaceIsWaitedFor(t *testing.T) {
	r := newRig(t, Options{})
	r.refuse = func(p sock.Path) error { return fmt.Errorf("interface %s: %w", p.Interface, unix.ENODEV) }
	s := hundred("192.0.2.2")
	s.Interface, s.Passive = "eth0", true
	e := r.want(s)
	if got := e.snapshot().Problem; got != "interface eth0: no such device" {
		t.Errorf("problem: %s", got)
	}
	p := r.from(e, packet.Down)
	p.Interface = 0
	r.receiveAll(p)
	r.wantState(e, packet.Down)
	r.refuse = func(sock.Path) error { return nil }
	r.pass(time.Second)
	r.repair(r.clock)
	r.receiveAll(r.from(e, packet.Down))
	r.wantState(e, packet.Init)
}
