package scenarios

import (
	"fmt"
	"net/netip"
	"testing"

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
			n1.Backends[0].Kill()
			rack.Within(soon, "n1 has half a share", func() error { return shares(rack, 1, 2, 2) })
			n1.Backends[0].Again()
			rack.Within(soon, "equal shares again", func() error { return shares(rack, 2, 2, 2) })
		})
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
