package scenarios

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A node announces its healthy capacity. The router gives one with half of its
// backends half the share of the others in its kernel, and the whole again when
// they are back.
func TestLinkBandwidth(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers() {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			rack := lab.NewRack(lab.New(t), lab.RackOptions{Speaker: speaker, Backends: 2,
				VIP: "link_bandwidth: {per_weight: 10G, settle: 1s}"})
			n1 := rack.Nodes[0]
			rack.Within(soon, "equal shares", func() error { return shares(rack, 2, 2, 2) })
			rack.Within(soon, "n1 says so once", func() error { return rack.Heard(n1, time.Time{}, 2, 0) })
			n1.Backends[0].Kill()
			rack.Within(soon, "n1 has half a share", func() error { return shares(rack, 1, 2, 2) })
			n1.Backends[0].Again()
			rack.Within(soon, "equal shares again", func() error { return shares(rack, 2, 2, 2) })
			rack.Within(soon, "each is said once", func() error { return rack.Heard(n1, time.Time{}, 6, 0) })
		})
	}
}

// A backend flaps, and each time is up for less than the settle time. The router
// hears of the capacity that is lost at once, and not of the one that comes and
// goes.
//
// The bound: a higher capacity is announced only when for a settle time there was
// none lower, so at most once in a settle time; and a lower one is news only when
// a higher one was announced before it. So flaps cost one UPDATE for a VIP, and
// two more for each settle time that they take, however many they are.
func TestLinkBandwidthOfAFlappingBackend(t *testing.T) {
	t.Parallel()
	const settle, flaps = 8 * time.Second, 10
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Backends: 2, VIP: "link_bandwidth: {per_weight: 10G, settle: 8s}"})
	n1 := rack.Nodes[0]
	rack.Within(soon, "equal shares", func() error { return shares(rack, 2, 2, 2) })
	rack.Within(soon, "n1 says so once", func() error { return rack.Heard(n1, time.Time{}, 2, 0) })

	began := time.Now()
	for range flaps {
		n1.Backends[0].Kill()
		rack.Within(soon, "the backend is down", func() error { return n1.Healthy(1) })
		n1.Backends[0].Again()
		rack.Within(soon, "the backend is up", func() error { return n1.Healthy(2) })
	}
	said, took := rack.Collector.Heard(began).From(n1.Addresses()...), time.Since(began)
	t.Logf("%d flaps in %s: %d UPDATEs for two VIPs", flaps, took.Round(time.Millisecond), said.Announcements())
	if bound := 2 * (1 + 2*int(took/settle)); said.Announcements() < 2 || said.Announcements() > bound {
		t.Errorf("%d announcements, not at least 2 and at most %d", said.Announcements(), bound)
	}
	if err := shares(rack, 1, 2, 2); err != nil && took < settle {
		t.Error(err)
	}
	rack.Within(soon, "equal shares again", func() error { return shares(rack, 2, 2, 2) })
	if more := rack.Collector.Heard(began).From(n1.Addresses()...).Announcements() - said.Announcements(); more > 2 || said.Withdrawals() > 0 {
		t.Errorf("%d announcements for the end of it, and %d withdrawals", more, said.Withdrawals())
	}
}

// shares returns an error unless the next hops' weights in the router's kernel
// are in these proportions, for both VIPs. FRR scales weights to a sum of 100
// or so, and rounds.
func shares(rack *lab.Rack, want ...int) error {
	for _, p := range []netip.Prefix{rack.VIP4, rack.VIP6} {
		hops, err := rack.Tor.Hops(p)
		if err != nil {
			return err
		}
		if len(hops) != len(want) {
			return fmt.Errorf("%s goes via %v", p, hops)
		}
		for i := range hops {
			if off := hops[i].Weight*want[0] - hops[0].Weight*want[i]; off < -2*want[0] || off > 2*want[0] {
				return fmt.Errorf("%s goes via %v, not in proportions %v", p, hops, want)
			}
		}
	}
	return nil
}
