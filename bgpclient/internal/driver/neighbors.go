package driver

import (
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// Timers of a neighbor as both APIs take them, in seconds.
type Timers struct {
	ConnectRetry, Hold, IdleHold uint64
	Restart, Deferral            uint32 // RFC 4724; Restart 0: off
}

// TimersOf fills in what is better short where addresses are served while a
// session is down; see AddNeighbor. A hold time of 0 is left to GoBGP.
func TimersOf(n bgpclient.Neighbor) Timers {
	t := Timers{ConnectRetry: 5, Hold: uint64(n.HoldTime / time.Second), IdleHold: 1}
	if n.ConnectRetry > 0 {
		t.ConnectRetry = uint64(n.ConnectRetry / time.Second)
	}
	if n.GracefulRestart > 0 {
		t.Restart, t.Deferral = uint32(n.GracefulRestart/time.Second), 5
	}
	return t
}

// Families lists the address families of a neighbor, always in the same order:
// GoBGP takes another order for a change, and resets the session.
func Families(n bgpclient.Neighbor) (afis []uint16) {
	if n.IPv4 {
		afis = append(afis, wire.AFIv4)
	}
	if n.IPv6 {
		afis = append(afis, wire.AFIv6)
	}
	return afis
}

// UnicastOnly lists IPv4 and IPv6 unicast as both APIs take the families of the
// speaker: as numbers of a list of GoBGP's own.
func UnicastOnly() []uint32 { return []uint32{0, 1} }
