package operatorlab

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A node is drained, all of its programs are replaced, gobgpd by another version,
// and it is put back, as docs/operations.md tells. It comes up drained. Clients
// notice none of it.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Nodes: 2, Speaker: "3.37.0", Vipd: "state_dir: state\ndrain: {prefer_others: 1s, grace_period: 0s}"})
	rack.KeepFlows()
	n1, n2 := rack.Nodes[0], rack.Nodes[1]
	rack.Within(soon, "both nodes attract traffic", func() error { return rack.Via(n1, n2) })
	load := rack.Client.Load(200, rack.Web4())
	rack.Within(soon, "clients are served", func() error { return served(load, n1, n2) })

	drain := n1.Vipd.Ctl("drain", "--wait", "--reason", "upgrade")
	says(t, drain, done, "prefer_others: 2 routes left", "drained: upgrade", "the speaker shows no route of this node")
	documented(t, drain.Out)
	rack.Within(soon, "the other node attracts all", func() error { return rack.Via(n2) })
	drained := time.Now()
	rack.Within(soon, "nobody asks n1 any more", func() error { return served(load, n2) })
	if code := n1.Vipd.Stop(soon); code != 0 {
		t.Errorf("vipd exits with %d", code)
	}
	n1.Web.Stop(soon)
	n1.Gobgpd.Replace("4.8.0")
	n1.Web.Again()
	n1.Listens(rack.Web4().String())
	n1.Vipd.Again()
	rack.Within(soon, "vipd is there, and drained", func() error { return lacks(n1.Vipd.Ctl("status"), done, "drained: upgrade", "(v4), connected") })
	rack.Within(soon, "all BGP sessions stand", rack.Established)
	rack.For(time.Second, "n1 attracts nothing", func() error {
		return errors.Join(rack.Via(n2), rack.Heard(n1, drained, 0, 0))
	})
	says(t, n1.Vipd.Ctl("undrain"), done, "n1 does not drain: the checks decide")
	rack.Within(soon, "both nodes attract traffic again", func() error { return rack.Via(n1, n2) })
	rack.Within(soon, "clients are served by both", func() error { return served(load, n1, n2) })
	result := load.Stop()
	t.Log(result)
	if len(result.Failed()) > 0 {
		t.Error("clients noticed")
	}
}

// served returns an error unless exactly these nodes answered the clients of the
// last moments.
func served(load *lab.Load, nodes ...*lab.Node) error {
	by := load.SoFar(time.Now().Add(-500 * time.Millisecond)).By()
	want := map[string]bool{}
	for _, n := range nodes {
		want[n.Name] = true
		if by[n.Name] < 5 {
			return fmt.Errorf("answers are by %v", by)
		}
	}
	for name := range by {
		if !want[name] {
			return fmt.Errorf("answers are by %v", by)
		}
	}
	return nil
}

// vipd and gobgpd are replaced without a drain: vipd by one that takes over where
// the killed one was, gobgpd under graceful restart. Nothing is withdrawn, and
// words are in force all the time.
func TestUpgradeIsNotSeen(t *testing.T) {
	t.Parallel()
	s := newStage(lab.New(t), lab.RackOptions{Speaker: "3.37.0", Restart: 60})
	does(t, s.n1.Vipd, "vip", "add", "made", "198.51.100.1", "--check", "web", "--backend", "127.0.0.1:8081")
	does(t, s.n1.Vipd, "withdraw", "web6", "--reason", "not now")
	s.agree("words are in force", "made", "web4")
	watch := s.Tor.Watch("monitor")

	began := time.Now()
	s.n1.Vipd.Kill()
	s.n1.Vipd.Again()
	s.answers()
	s.agree("a new vipd takes over", "made", "web4")
	s.For(500*time.Millisecond, "the network hears nothing", func() error { return s.Heard(s.n1, began, 0, 0) })

	s.n1.Gobgpd.Replace("4.8.0")
	s.heard(began, 2, 0)
	s.Within(soon, "all BGP sessions stand", s.Established)
	s.agree("a new gobgpd takes over", "made", "web4")
	if deleted := watch.Deleted(); len(deleted) > 0 {
		t.Errorf("deleted in the router's kernel: %q", deleted)
	}
	s.explained("web6", "override", "not now")

	// By SIGTERM gobgpd says goodbye, and the router keeps nothing for who did.
	s.n1.Gobgpd.Stop(soon)
	s.Within(soon, "the router has dropped the routes", func() error { return s.Tor.Via(s.VIP4) })
	if s.n1.Vipd.Exited() {
		t.Error("vipd has ended")
	}
}
