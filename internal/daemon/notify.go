package daemon

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// How old the beats of the loops may be before they count as stuck. The
// reconciler may be in an RPC on many routes.
const (
	loopBeat      = 5 * time.Second
	reconcileBeat = 45 * time.Second
	bfdBeat       = 3 * bfdLook
)

// notify tells the service manager when this node is ready, and then that its
// loops make progress: a ping that came from a timer alone would keep a stuck
// daemon alive.
func (d *daemon) notify(ctx context.Context) error {
	if d.rec != nil && d.rec.Synced(ctx) != nil {
		return nil // ctx ended first
	}
	d.Notify("READY=1\nSTATUS=serving")
	d.begun.Store(true)
	if d.Watchdog <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(d.Watchdog / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if d.alive() == nil {
				d.Notify("WATCHDOG=1")
			}
		}
	}
}

// alive is nil while the loops go round.
func (d *daemon) alive() error {
	if age := time.Since(d.loop.Beat()); age > loopBeat {
		return fmt.Errorf("the health loop has stood for %s", age.Round(time.Second))
	}
	if err := d.live.alive(); err != nil {
		return err
	}
	if d.rec == nil {
		return nil
	}
	if age := time.Since(d.rec.Beat()); age > reconcileBeat {
		return fmt.Errorf("the reconciler has stood for %s", age.Round(time.Second))
	}
	return nil
}

// ready is nil once the speaker's table was compared, and until a drain.
func (d *daemon) ready() error {
	if why := d.leaving.Load(); why != nil {
		return fmt.Errorf("draining: %s", *why)
	}
	if p, _ := d.drainer.Progress(); p.Phase != "" {
		return fmt.Errorf("drained by %s", p.Order.By)
	}
	if d.rec == nil {
		return nil
	}
	return d.rec.Ready()
}

// reloading is the message of a service of type notify-reload, which wants the
// time on the clock that systemd uses (sd_notify(3)).
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}
