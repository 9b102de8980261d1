package daemon

import (
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/healthloop"
)

// A neighbor without BFD may well be alive: only when all are known to be lost
// are the VIPs out of reach.
func TestNeighborsWithoutBFDCountAsAlive(t *testing.T) {
	cfg := parse(t, fmt.Sprintf(withSessions, "manage: true"))
	u := newUplinks(zap.NewNop(), []netip.Addr{netip.MustParseAddr("10.0.0.254")})
	u.configure(cfg.BGP.Neighbors)
	if have, want := u.counted(), (healthloop.Uplinks{Up: 1, Total: 2}); have != want {
		t.Errorf("have %+v, want %+v", have, want)
	}
	u.configure(cfg.BGP.Neighbors[1:])
	if have := u.counted(); have != (healthloop.Uplinks{}) {
		t.Errorf("nothing is watched, but %+v", have)
	}
}
