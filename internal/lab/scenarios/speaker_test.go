package scenarios

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// gobgpd crashes and is started again. With graceful restart on both sides the
// router goes on as if nothing were, with many VIPs as with few: no withdrawal,
// and no route is gone from its kernel for any time.
func TestGobgpdCrashIsNotSeenWithGracefulRestart(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		for _, more := range []int{0, 1000} {
			t.Run(fmt.Sprintf("%s, %d VIPs", speaker, more+2), func(t *testing.T) {
				t.Parallel()
				rack := oneNode(t, lab.RackOptions{Speaker: speaker, VIPs: more, Restart: 60})
				n1 := rack.Nodes[0]
				watch := rack.Tor.Watch("monitor")

				crashed := time.Now()
				n1.Gobgpd.Kill()
				n1.Gobgpd.Again()
				rack.Within(time.Minute, "all is announced again", func() error { return rack.Heard(n1, crashed, more+2, 0) })
				t.Logf("the collector has all again after %s", time.Since(crashed).Round(time.Millisecond))
				rack.Within(time.Minute, "the router has nothing stale", func() error { return fresh(rack) })
				rack.For(3*time.Second, "nothing is withdrawn", func() error {
					if deleted := watch.Deleted(); len(deleted) > 0 {
						return fmt.Errorf("deleted in the router's kernel: %q", deleted[:min(len(deleted), 10)])
					}
					return rack.Heard(n1, crashed, more+2, 0)
				})
			})
		}
	}
}

// Without graceful restart the network sees the crash, but not for long, and
// nobody has to help.
func TestGobgpdCrashHealsItself(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		for _, more := range []int{0, 1000} {
			t.Run(fmt.Sprintf("%s, %d VIPs", speaker, more+2), func(t *testing.T) {
				t.Parallel()
				rack := oneNode(t, lab.RackOptions{Speaker: speaker, VIPs: more})
				n1 := rack.Nodes[0]

				crashed := time.Now()
				n1.Gobgpd.Kill()
				rack.Within(soon, "the router sees it", func() error { return rack.Via() })
				n1.Gobgpd.Again()
				rack.Within(time.Minute, "the router has the routes again", func() error { return has(rack, more) })
				t.Logf("the router has all again after %s", time.Since(crashed).Round(time.Millisecond))
				rack.Within(time.Minute, "the collector has them", func() error { return rack.Heard(n1, crashed, more+2, 0) })
			})
		}
	}
}

// oneNode is a rack of one node whose VIPs are all in the router's kernel, so
// that whatever happens to it is to be seen there.
func oneNode(t *testing.T, o lab.RackOptions) *lab.Rack {
	t.Helper()
	o.Nodes = 1
	if o.VIPs > 0 {
		o.Check = "kind: tcp, interval: 10s, rise: 1"
	}
	rack := lab.NewRack(lab.New(t), o)
	rack.Within(time.Minute, "the router has the routes", func() error { return has(rack, o.VIPs) })
	rack.Within(soon, "the collector has them", func() error { return rack.Heard(rack.Nodes[0], time.Time{}, o.VIPs+2, 0) })
	return rack
}

// has returns an error unless the router's kernel has the first VIPs, and so
// many more.
func has(rack *lab.Rack, more int) error {
	if n := rack.Tor.Routes("198.18.0.0/16"); n != more {
		return fmt.Errorf("%d of %d routes", n, more)
	}
	return rack.Via(rack.Nodes...)
}

// fresh returns an error if the router still waits for the end of a graceful
// restart.
func fresh(rack *lab.Rack) error {
	if err := rack.Established(); err != nil {
		return err
	}
	for _, p := range rack.Both() {
		paths, err := rack.Router.Paths(p)
		if err != nil {
			return err
		}
		if len(paths) != len(rack.Nodes) {
			return fmt.Errorf("%d paths to %s", len(paths), p)
		}
		for _, path := range paths {
			if path.Stale {
				return errors.New("a stale path")
			}
		}
	}
	return nil
}

// gobgpd hangs for ten seconds, in which the backends die. The network hears of
// it when gobgpd goes on.
func TestGobgpdFrozen(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Nodes: 2})
			n1, n2 := rack.Nodes[0], rack.Nodes[1]
			rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })

			frozen := time.Now()
			n1.Gobgpd.Freeze()
			n1.Backends[0].Kill()
			rack.For(10*time.Second, "n1 still attracts traffic", func() error { return rack.Via(n1, n2) })
			n1.Gobgpd.Thaw()
			rack.Within(soon, "n1 attracts no traffic", func() error { return rack.Via(n2) })
			n1.Backends[0].Again()
			rack.Within(soon, "n1 attracts traffic again", func() error { return rack.Via(n1, n2) })
			rack.Within(soon, "each is said once", func() error { return rack.Heard(n1, frozen, 2, 2) })
		})
	}
}

// gobgpd is upgraded from API v3 to v4 under a running vipd, and back.
func TestGobgpdReplaced(t *testing.T) {
	t.Parallel()
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: "3.37.0", Nodes: 2})
	n1, n2 := rack.Nodes[0], rack.Nodes[1]
	rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })
	for _, version := range []string{"4.8.0", "3.10", "4.8.0", "3.37.0"} {
		replaced := time.Now()
		n1.Gobgpd.Replace(version)
		rack.Within(soon, "n1 announces by "+version, func() error { return rack.Heard(n1, replaced, 2, 0) })
		rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })
	}
	if n1.Vipd.Exited() {
		t.Error("vipd has ended")
	}
}

// vipd is there first and waits for gobgpd, however long it takes.
func TestGobgpdStartsAfterVipd(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Nodes: 1, NoVipd: true})
			n1 := rack.Nodes[0]
			n1.StartVipd()
			rack.Within(soon, "vipd finds the backend up", func() error { return n1.Healthy(1) })
			rack.For(3*time.Second, "nothing is announced", func() error { return rack.Via() })
			n1.StartSpeaker()
			n1.Vipd.Ready()
			rack.Within(soon, "n1 attracts traffic", func() error { return rack.Via(n1) })
			rack.Within(soon, "each VIP is announced once", func() error { return rack.Heard(n1, time.Time{}, 2, 0) })
		})
	}
}
