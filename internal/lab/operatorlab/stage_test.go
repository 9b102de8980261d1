package operatorlab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// A stage is a rack with one node, whose vipd keeps what it is told.
type stage struct {
	*lab.Rack
	n1  *lab.Node
	frr *lab.FRR
}

// newStage is a stage on which all VIPs of the configuration are announced. With
// BFD vipd gives gobgpd the router as a neighbor, and watches it.
func newStage(l *lab.Lab, o lab.RackOptions) *stage {
	l.Helper()
	o.Nodes = 1
	if !strings.Contains(o.Vipd, "drain:") {
		o.Vipd += "\ndrain: {grace_period: 0s}" // nothing is in flight
	}
	if o.BFD.Mult == 0 {
		o.Vipd += "\nstate_dir: state"
	}
	rack := lab.NewRack(l, o)
	s := &stage{rack, rack.Nodes[0], rack.Router.(*lab.FRR)}
	vips := []string{"web4", "web6"}
	for i := range o.VIPs {
		vips = append(vips, fmt.Sprintf("v%d", i+1))
	}
	s.agree("all VIPs are announced", vips...)
	return s
}

func usualBFD() lab.Timers { return lab.Timers{Interval: 200 * time.Millisecond, Mult: 5} }

// answers waits until a vipd that was started again is reached by vipctl. It is
// not ready by then, nor is a drained one ever.
func (s *stage) answers() {
	s.Helper()
	s.Within(soon, "vipd answers", func() error {
		if said := s.n1.Vipd.Ctl("vips"); said.Code != done {
			return errors.New(said.String())
		}
		return nil
	})
}

// agree waits until exactly these VIPs are advertised, by vipctl and by the
// router, and every number of vipctl's fits.
func (s *stage) agree(what string, vips ...string) {
	s.Helper()
	s.Within(soon, what, func() error { return s.agreed(vips) })
}

func (s *stage) agreed(vips []string) error {
	var want []netip.Prefix
	var names []string
	list := tells(s, s.n1.Vipd, &vipdv1.ListVipsResponse{}, "vips")
	for _, v := range list.GetVips() {
		if !v.GetRoute().GetConfirmed() || v.GetRoute().GetInstalled() != (v.GetState() == "advertised") {
			return fmt.Errorf("%s is %s, but the speaker does not show that: %v", v.GetName(), v.GetState(), v.GetRoute())
		}
		if v.GetState() == "advertised" {
			names, want = append(names, v.GetName()), append(want, netip.MustParsePrefix(v.GetPrefix()))
		}
	}
	slices.Sort(vips)
	if !slices.Equal(names, vips) {
		return fmt.Errorf("vipctl tells that %v are advertised, not %v", names, vips)
	}
	slices.SortFunc(want, netip.Prefix.Compare)
	got, err := s.frr.Prefixes()
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("the router has %v, not %v (%w)", got, want, err)
	}
	status := tells(s, s.n1.Vipd, &vipdv1.Status{}, "status")
	counts, speaker := status.GetCounts(), status.GetNode().GetSpeaker()
	if n := uint32(len(want)); counts.GetAdvertised() != n || speaker.GetRoutesInstalled() != n || speaker.GetRoutesWanted() != n {
		return fmt.Errorf("the status counts %v and %v, not %d", counts, speaker, n)
	}
	return nil
}

// explained waits until vipctl explain tells a cause of a VIP, and with each of
// these words in its text.
func (s *stage) explained(vip, cause string, words ...string) *vipdv1.Explanation {
	s.Helper()
	s.told(words, "explain", vip)
	var e *vipdv1.Explanation
	s.Within(soon, vip+" is explained by "+cause, func() error {
		if e = tells(s, s.n1.Vipd, &vipdv1.Explanation{}, "explain", vip); e.GetCause() != cause {
			return errors.New(e.GetCause() + ": " + e.GetSummary())
		}
		return nil
	})
	return e
}

// told waits until vipctl tells each of these words.
func (s *stage) told(words []string, args ...string) {
	s.Helper()
	var said lab.Said
	s.Within(soon, "vipctl says all that it should", func() error {
		said = s.n1.Vipd.Ctl(args...)
		return lacks(said, done, words...)
	})
	s.Log(said)
}

// heard waits until the network has heard exactly so much from the node since a
// time.
func (s *stage) heard(since time.Time, announced, withdrawn int) {
	s.Helper()
	s.Within(soon, "the network hears what changed", func() error { return s.Heard(s.n1, since, announced, withdrawn) })
}
