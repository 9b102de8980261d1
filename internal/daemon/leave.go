package daemon

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/drain"
)

const (
	// withdrawWithin bounds the wait for a speaker that does not answer.
	withdrawWithin = 5 * time.Second
	// hurryWithin bounds it after a second signal.
	hurryWithin = time.Second
)

// leave makes the network prefer others, withdraws, confirms that at the
// speaker, and keeps serving for the grace period. A second signal skips the
// waits, not the withdrawal. After a failure of a room there is nothing to wait
// for, but still something to withdraw.
func (d *daemon) leave(c cause) error {
	close(d.gone)
	d.leaving.Store(&c.reason)
	d.drainer.Set(nil)
	d.note(&vipdv1.Event{Kind: kindDrain, Subject: d.cfg.Node, From: d.service(), To: "stopping", Reason: c.reason})
	d.Notify("STOPPING=1\nSTATUS=draining: " + c.reason)
	patient, hurry := context.WithCancel(context.Background())
	defer hurry()
	if c.err != nil {
		hurry()
	}
	go d.second(patient, hurry)

	settings := d.cfg.Drain
	// A node that an operator drained is out: to prefer others would announce it
	// again.
	if settings.PreferOthers > 0 && patient.Err() == nil && !d.out.Load() {
		d.showStop(drain.PreferOthers, c.reason)
		if err := d.drain(healthloop.PreferOthers, c.reason); err == nil {
			d.Log.Info("announced with GRACEFUL_SHUTDOWN", zap.Duration("for", settings.PreferOthers))
			pause(patient, settings.PreferOthers)
		}
	}
	d.showStop(drain.Withdrawing, c.reason)
	if err := d.drain(healthloop.Withdrawing, c.reason); err != nil {
		d.withdrawAll()
	}
	err := d.withdrawn(patient)
	if err == nil {
		d.Log.Info("all routes withdrawn", zap.Duration("grace_period", settings.GracePeriod))
		d.showStop(drain.Withdrawn, c.reason)
		pause(patient, settings.GracePeriod)
		d.waitConnections(patient)
	} else {
		err = fmt.Errorf("routes may still be announced%s: %w", d.hint(), err)
	}
	if !d.memory.keeps() {
		d.release()
	}
	return err
}

// release enables what BFD had us disable, when there is no memory of it: the
// next life could not.
func (d *daemon) release() {
	if d.rec == nil || d.speaker != nil {
		return
	}
	d.uplinks.letGo()
	ctx, cancel := context.WithTimeout(context.Background(), hurryWithin)
	defer cancel()
	if err := enabled(ctx, d.rec); err != nil {
		d.Log.Error("state_dir would have the next vipd enable them", zap.Error(err))
	}
}

// second ends the waits on a second signal. It ends with patient.
func (d *daemon) second(patient context.Context, hurry context.CancelFunc) {
	for {
		select {
		case <-patient.Done():
			return
		case sig := <-d.Signals:
			if sig != syscall.SIGHUP {
				d.Log.Warn("second signal: not waiting any longer", zap.Stringer("signal", sig))
				hurry()
			}
		}
	}
}

// drain tells the loop, which decides. A loop that does not take it is past
// deciding.
func (d *daemon) drain(phase healthloop.DrainPhase, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), hurryWithin)
	defer cancel()
	err := d.loop.SetDrain(ctx, healthloop.Drain{Phase: phase, Reason: reason})
	if err != nil {
		d.Log.Error("the health loop does not take the drain", zap.Error(err))
	}
	return err
}

// withdrawAll is the drain of a daemon whose loop is of no help.
func (d *daemon) withdrawAll() {
	for _, prefix := range d.sink.prefixes() {
		d.sink.to.Withdraw(prefix)
	}
}

// hint is what to do about routes that are left at a speaker.
func (d *daemon) hint() string {
	if d.speaker != nil {
		return "" // it ends with vipd
	}
	return " (vipd flush withdraws them once the speaker is back)"
}

// withdrawn waits until the speaker shows no route of ours.
func (d *daemon) withdrawn(patient context.Context) error {
	if d.rec == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), withdrawWithin, fmt.Errorf("not confirmed within %s", withdrawWithin))
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	stop := context.AfterFunc(patient, func() {
		time.AfterFunc(hurryWithin, func() { cut(fmt.Errorf("not confirmed within %s", hurryWithin)) })
	})
	defer stop()
	return d.rec.Settled(ctx)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
