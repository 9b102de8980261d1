package lab

import (
	"net/netip"
)

// A Router is a rack's router, seen through its BGP daemon.
type Router interface {
	// Established returns an error that names the peers without a session.
	Established() error
	// Paths are the router's paths to a prefix, in the order of the peers.
	Paths(netip.Prefix) ([]Path, error)
	// Restart kills all daemons and starts them anew, as after a crash of the
	// router's control plane.
	Restart()
}

// A Path is one way to a prefix in the router's BGP table.
type Path struct {
	Peer        netip.Addr
	LocalPref   int
	Communities []string // "65535:0"
	Best        bool     // the best, or as good
	Stale       bool     // kept over a graceful restart of the peer
}
