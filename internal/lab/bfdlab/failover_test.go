package bfdlab

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// quick timers are those of nodes and router where something fails.
func quick() lab.Timers { return lab.Timers{Interval: 100 * time.Millisecond, Mult: 3} }

// slack is what a busy machine may add to the detection time. docs/performance.md
// has what it is on an idle one.
const slack = 2 * time.Second

// A fault befalls a node or its link, such that only BFD can tell in time: BGP's
// hold time is 90 s, and no kernel sees anything.
type fault struct {
	name        string
	begin, mend func(*lab.Node)
	// after is what systemd does of a vipd that failed, by its watchdog and its
	// stop hook. BFD alone is not enough for long: the router is not strict, and
	// has a BGP session with the gobgpd that is left, without BFD, as soon as it
	// has ended the one that BFD failed.
	after func(*lab.Node)
}

func faults() []fault {
	nothing := func(*lab.Node) {}
	flush := func(n *lab.Node) { n.Vipd.Kill(); n.Vipd.Flush() }
	again := func(n *lab.Node) { n.Vipd.Again() }
	return []fault{
		{"vipd hangs", func(n *lab.Node) { n.Vipd.Freeze() }, again, flush},
		{"vipd crashes", func(n *lab.Node) { n.Vipd.Kill() }, again, flush},
		{"the node hangs",
			func(n *lab.Node) { n.Vipd.Freeze(); n.Gobgpd.Freeze() },
			func(n *lab.Node) { n.Gobgpd.Thaw(); n.Vipd.Thaw() }, nothing},
		{"the link is cut", func(n *lab.Node) { n.Link.Lose(100) }, func(n *lab.Node) { n.Link.Lose(0) }, nothing},
		{"the router hears nothing", func(n *lab.Node) { n.Link.B.Lose(100) }, func(n *lab.Node) { n.Link.B.Lose(0) }, nothing},
		{"the node hears nothing", func(n *lab.Node) { n.Link.A.Lose(100) }, func(n *lab.Node) { n.Link.A.Lose(0) }, nothing},
	}
}

// The router sends nothing to a node that fails, a detection time later. Once
// that is mended all is as before, with nobody's help.
func TestRouterLeavesANode(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rack := newRack(t, lab.RackOptions{Nodes: 2})
			n1, n2 := rack.Nodes[0], rack.Nodes[1]
			watch := rack.Tor.Watch("monitor")
			began := time.Now()
			f.begin(n1)
			struck := time.Now()
			for _, p := range rack.Both() {
				var gone time.Time
				rack.Within(soon, "the router leaves n1", func() (err error) {
					gone, err = watch.Changed(p, began)
					return err
				})
				t.Logf("%s: no route for %s %s after it began, the detection time is %s",
					f.name, p, gone.Sub(struck).Round(time.Millisecond), quick().Detection())
				if gone.Sub(struck) > quick().Detection()+slack {
					t.Error("that is late")
				}
			}
			f.after(n1)
			rack.Within(soon, "all goes via n2", func() error { return rack.Via(n2) })
			rack.For(5*time.Second, "it stays so", func() error { return rack.Via(n2) })
			f.mend(n1)
			rack.Within(time.Minute, "all is as before", func() error { return errors.Join(rack.Via(n1, n2), rack.BFDStands()) })
		})
	}
}

// newRack is a rack with BFD in which all attract traffic.
func newRack(t *testing.T, o lab.RackOptions) *lab.Rack {
	t.Helper()
	if o.BFD.Mult == 0 {
		o.BFD = quick()
	}
	rack := lab.NewRack(lab.New(t), o)
	rack.Within(time.Minute, "all nodes attract traffic", func() error { return errors.Join(rack.Via(rack.Nodes...), rack.BFDStands()) })
	for _, n := range rack.Nodes {
		rack.Within(soon, "the timers are agreed", func() error { return agreed(n, o.BFD) })
	}
	return rack
}

// agreed returns an error unless a node's sessions have these timers: each begins
// with slower ones.
func agreed(n *lab.Node, t lab.Timers) error {
	for _, peer := range []netip.Addr{n.Link.B.V4, n.Link.B.V6} {
		got := n.Vipd.Metric("vipd_bfd_session_detection_seconds", fmt.Sprintf("peer=%q", peer.String()))
		if got != t.Detection().Seconds() {
			return fmt.Errorf("the detection time with %s is %v s", peer, got)
		}
	}
	return nil
}

// held returns an error unless vipd keeps so many neighbors from being used.
func held(n *lab.Node, want float64) error {
	if got := n.Vipd.Metric("vipd_neighbor_held"); got != want {
		return fmt.Errorf("%v neighbors are held, not %v", got, want)
	}
	return nil
}
