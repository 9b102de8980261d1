package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func reaches(h *Host, to netip.AddrPort) error {
	return h.do(func() error {
		conn, err := net.DialTimeout("tcp", to.String(), 300*time.Millisecond)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func TestLinkIsCutAndMended(t *testing.T) {
	l := New(t)
	a, b := l.Host("left"), l.Host("right")
	link := l.Connect(a, b, 1)
	web := []netip.AddrPort{netip.AddrPortFrom(link.B.V4, 80), netip.AddrPortFrom(link.B.V6, 80)}
	b.Nginx("web", web...)
	for _, to := range web {
		l.Within(limit, "a reaches b", func() error { return reaches(a, to) })
		link.Lose(100)
		if reaches(a, to) == nil {
			t.Error("a reaches b over a link that loses all packets")
		}
		link.Lose(50) // TCP gets through
		l.Within(limit, "a reaches b over a bad link", func() error { return reaches(a, to) })
		link.Lose(0)
		l.Within(limit, "a reaches b again", func() error { return reaches(a, to) })
		link.Down()
		if reaches(a, to) == nil {
			t.Error("a reaches b over a link that is down")
		}
		link.Up()
		l.Within(limit, "a reaches b again", func() error { return reaches(a, to) })
	}
}

func TestSmallDiskIsOneHostsOwn(t *testing.T) {
	l := New(t)
	a, b := l.Host("a"), l.Host("b")
	write := func(h *Host, file string) error {
		_, err := h.output("", "dd", "if=/dev/zero", "of="+file, "bs=4k", "count=1")
		return err
	}
	disk := a.Disk(64 << 10)
	l.must(write(a, "first"))
	disk.Fill()
	if write(a, "second") == nil {
		t.Error("a wrote to its full disk")
	}
	l.must(write(b, "second"))
	disk.Free()
	l.must(write(a, "third"))
}

func TestNothingIsLeftBehind(t *testing.T) {
	var pid int
	var thread string
	t.Run("a host with a process", func(t *testing.T) {
		h := New(t).Host("a")
		p := h.Start("sleep", "sleep", "600")
		pid, thread = p.cmd.Process.Pid, h.net
		if _, err := os.Stat(thread); err != nil {
			t.Error(err)
		}
	})
	if pid == 0 {
		t.Skip("SKIPPED, NOT TESTED: no lab")
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	// The thread goes a moment after its goroutine.
	if err := poll(10*time.Second, func() error {
		if _, err := os.Stat(thread); err == nil {
			return errors.New("the namespace's thread is still there")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestOutageIsBetweenGoodAnswers(t *testing.T) {
	began := time.Unix(0, 0)
	at := func(ms int, err error) Request {
		return Request{Began: began.Add(time.Duration(ms) * time.Millisecond), Ended: began.Add(time.Duration(ms+1) * time.Millisecond), Err: err}
	}
	bad := errors.New("bad")
	for _, tt := range []struct {
		name string
		r    Result
		want time.Duration
	}{
		{"none", nil, 0},
		{"all good", Result{at(0, nil), at(50, nil)}, 0},
		{"one bad", Result{at(0, nil), at(10, bad), at(50, nil), at(90, nil)}, 50 * time.Millisecond},
		{"bad before the first good", Result{at(0, bad), at(10, nil), at(20, nil)}, 0},
		{"the longest of two", Result{at(0, nil), at(10, bad), at(20, nil), at(30, bad), at(90, nil)}, 70 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.Outage(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// FRR replaces an IPv6 route by taking it away first. That is no withdrawal, but
// one that stays away for longer is.
func TestARouteReplacedAtOnceIsNotDeleted(t *testing.T) {
	l := New(t)
	h := l.Host("router")
	w := h.Watch("monitor")
	vip, gone := "2001:db8:1::10", "2001:db8:1::11"
	for _, p := range []string{vip, gone} {
		h.Run("ip", "route", "add", p, "dev", "lo")
	}
	h.Run("ip", "-6", "-batch", h.write("batch", "route del "+vip+"\nroute add "+vip+" dev lo\nroute del "+gone+"\n"))
	l.Within(limit, "the other one is gone", func() error {
		if d := w.Deleted(); len(d) != 1 || !strings.Contains(d[0], gone) {
			return fmt.Errorf("%q", d)
		}
		return nil
	})
}
