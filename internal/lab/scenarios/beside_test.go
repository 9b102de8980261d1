package scenarios

import (
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// Who moves to vipd does it node by node: for a while one node has vipd and the
// other still ExaBGP with its health checks. The router shares the traffic
// between both, each answers for its own backend, and neither hears of the other.
func TestBesideExaBGP(t *testing.T) {
	t.Parallel()
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Nodes: 2, NoVipd: true})
	ours, theirs := rack.Nodes[0], rack.Nodes[1]
	ours.StartSpeaker()
	ours.StartVipd()
	theirs.StartExaBGP()
	rack.Within(soon, "both nodes attract traffic", func() error { return chosen(rack, ours, theirs) })
	rack.Within(soon, "vipd says so once", func() error { return rack.Heard(ours, time.Time{}, 2, 0) })

	died := time.Now()
	theirs.Backends[0].Kill()
	rack.Within(soon, "only vipd's node attracts traffic", func() error { return chosen(rack, ours) })
	theirs.Backends[0].Again()
	rack.Within(soon, "both nodes attract traffic", func() error { return chosen(rack, ours, theirs) })
	if err := rack.Heard(ours, died, 0, 0); err != nil {
		t.Error(err)
	}

	died = time.Now()
	ours.Backends[0].Kill()
	rack.Within(soon, "only ExaBGP's node attracts traffic", func() error { return chosen(rack, theirs) })
	ours.Backends[0].Again()
	rack.Within(soon, "both nodes attract traffic", func() error { return chosen(rack, ours, theirs) })
	rack.Within(soon, "vipd has said each once", func() error { return rack.Heard(ours, died, 2, 2) })
	if err := rack.Heard(theirs, died, 0, 0); err != nil {
		t.Error(err)
	}
}
