package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

// engineCommand makes this test program a BFD engine and nothing else.
const engineCommand = "be-the-engine"

// engine is bfdengine in a process of its own.
func engine(b *box, sessions int, t timers) []*lab.Process {
	return []*lab.Process{b.self(engineCommand, b.here().String(), strconv.Itoa(sessions), t.interval.String(), strconv.Itoa(t.mult))}
}

// vipd is all of vipd, with nothing to do but BFD.
func vipd(b *box, sessions int, t timers) []*lab.Process {
	return b.vipd("", sessions, t)
}

// realtimeVipd is vipd with what its worker's thread may be given.
func realtimeVipd(b *box, sessions int, t timers) []*lab.Process {
	return b.vipd("  scheduling: {realtime_priority: 51, lock_memory: true}\n", sessions, t)
}

func (b *box) vipd(scheduling string, sessions int, t timers) []*lab.Process {
	return []*lab.Process{b.node.Vipd("bgp: {enabled: false}\nbfd:\n" + scheduling + fmt.Sprintf("  profiles: {p: {tx: %s, rx: %s, multiplier: %d}}\n  sessions:\n", t.interval, t.interval, t.mult) +
		neighbors(sessions, func(a netip.Addr) string {
			return fmt.Sprintf("    - {peer: %s, local: %s, interface: tor, profile: p}\n", a, b.here())
		})).Process}
}

func runEngine(args []string) int {
	if err := beEngine(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func beEngine(args []string) error {
	local, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	sessions, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	interval, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	mult, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	e, err := bfdengine.New(bfdengine.Options{})
	if err != nil {
		return err
	}
	if err := e.Listen(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }() // ends with ctx
	for i := range sessions {
		err := e.Add(ctx, bfdengine.Spec{
			Key:    bfdengine.Key{Peer: bfdpeer.Address(i), Local: local, Interface: "tor"},
			Params: bfdengine.Params{DesiredMinTx: interval, RequiredMinRx: interval, DetectMult: uint8(mult)},
		})
		if err != nil {
			return err
		}
	}
	return <-ended
}

// floorCommand makes this test program answer every BFD packet at once as if all
// were well: the cost of the packets alone, without timers or a state machine.
const floorCommand = "be-the-floor"

func floor(b *box, sessions int, _ timers) []*lab.Process {
	return []*lab.Process{b.self(floorCommand, b.here().String(), strconv.Itoa(sessions))}
}

func runFloor(args []string) int {
	sessions, err := strconv.Atoi(args[1])
	if err == nil {
		err = bfdpeer.Reflect(netip.MustParseAddr(args[0]), sessions)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
