// Package bfdlab proves what vipd promises of BFD, in a network in a box: with
// the BFD daemons of others, and through to the router that loses a node.
package bfdlab

import (
	"os"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

// peerCommand makes this test program the far side of many sessions.
const peerCommand = "be-the-neighbors"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		os.Exit(bfdpeer.Main(os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(lab.Main(m))
}

// soon is long for what should take milliseconds: a busy machine is no error.
const soon = 30 * time.Second
