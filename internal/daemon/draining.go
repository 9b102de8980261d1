package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/drain"
	"github.com/fiberlb/vipd/internal/flows"
	"github.com/fiberlb/vipd/internal/state"
)

// lookWithin is how long a drain waits at a time for the speaker to show no
// route, before it tells how far that is.
const lookWithin = 100 * time.Millisecond

// uncounted is the setting of drain.connections that waits for none.
const uncounted = "none"

// measure is what counts as a connection.
func (d *daemon) measure() string { return d.config.Load().Drain.Connections }

func (d *daemon) newDrainer() *drain.Runner {
	steps := drain.Steps{
		Prefer:    func(ctx context.Context, o drain.Order) error { return d.phase(ctx, healthloop.PreferOthers, o) },
		Withdraw:  func(ctx context.Context, o drain.Order) error { return d.phase(ctx, healthloop.Withdrawing, o) },
		Withdrawn: d.routesGone,
		Told:      d.drainTold,
		Over:      d.drainOver,
	}
	if d.measure() != uncounted {
		steps.Connections = d.connections
	}
	return drain.New(steps)
}

func (d *daemon) phase(ctx context.Context, p healthloop.DrainPhase, o drain.Order) error {
	if p == healthloop.Withdrawing {
		d.out.Store(true) // before it is
	}
	return d.loop.SetDrain(ctx, healthloop.Drain{Phase: p, By: o.By, Reason: o.Reason, Until: o.Until})
}

// routesGone waits a moment for the speaker to show no route of ours.
func (d *daemon) routesGone(ctx context.Context) (done bool, left int, err error) {
	if d.rec == nil {
		return true, 0, nil
	}
	short, cancel := context.WithTimeoutCause(ctx, lookWithin, errors.New("not yet"))
	defer cancel()
	err = d.rec.Settled(short)
	wanted, installed, _, _ := d.rec.Counts()
	// For a moment an advertisement may still be wanted that was decided before,
	// or a route of a former life be kept.
	return err == nil && wanted+installed == 0, installed, err
}

// connections counts those to the VIPs, by what drain.connections says.
func (d *daemon) connections(ctx context.Context) (int, error) {
	counter, err := flows.New(d.measure())
	if err != nil {
		return 0, err
	}
	var all []netip.Prefix
	for _, prefix := range d.sink.prefixes() {
		all = append(all, prefix)
	}
	return counter.Count(ctx, all)
}

// orderDrain begins the drain that is kept, and prefers others first for so long.
func (d *daemon) orderDrain(prefer time.Duration) {
	k := d.words.drain
	d.drainer.Set(&drain.Order{
		By: k.By, Reason: k.Reason, Since: k.Since, Until: endOf(k.End, state.ReadClock()), Prefer: prefer, Limit: d.cfg.Drain.ConnectionsLimit,
	})
}

// drainNode takes this node out of service until undrain.
func (d *daemon) drainNode(ctx context.Context, by control.Actor, r *vipdv1.DrainRequest) error {
	clock := state.ReadClock()
	next := &state.Drain{By: string(by), Reason: r.GetReason(), Since: clock.Now}
	if r.GetTtl() != nil {
		next.End = clock.In(r.GetTtl().AsDuration())
	}
	if err := d.keep(ctx, func(s *state.State) { s.Drain = next }); err != nil {
		return err
	}
	prefer, before := d.cfg.Drain.PreferOthers, d.service()
	if d.words.drain != nil {
		prefer = 0 // it is withdrawn already, or soon: no way back by another drain
	}
	d.words.drain = next
	d.Log.Warn("draining", zap.String("by", string(by)), zap.String("reason", next.Reason))
	d.note(&vipdv1.Event{Kind: kindDrain, Subject: d.cfg.Node, From: before, To: "draining", Reason: next.Reason, By: string(by)})
	d.orderDrain(prefer)
	return nil
}

// service is what events call the node's present state.
func (d *daemon) service() string {
	if d.words.drain != nil {
		return "draining"
	}
	return "serving"
}

// undrain puts it back.
func (d *daemon) undrain(ctx context.Context, by control.Actor, reason string) error {
	if d.words.drain == nil {
		return nil
	}
	if err := d.keep(ctx, func(s *state.State) { s.Drain = nil }); err != nil {
		return err
	}
	return d.endDrain(ctx, by, reason)
}

func (d *daemon) endDrain(ctx context.Context, by control.Actor, reason string) error {
	d.words.drain = nil
	d.drainer.Set(nil)
	d.out.Store(false)
	d.Log.Info("not draining any more", zap.String("by", string(by)))
	d.note(&vipdv1.Event{Kind: kindDrain, Subject: d.cfg.Node, From: "draining", To: "serving", Reason: reason, By: string(by)})
	return d.loop.SetDrain(ctx, healthloop.Drain{})
}

// drainOver ends a drain whose time is over. It ends even where that can't be
// saved: the next life sees for itself that it is over.
func (d *daemon) drainOver(ctx context.Context, o drain.Order) {
	err := d.do(ctx, func(context.Context) error {
		if d.words.drain == nil || !d.words.drain.Since.Equal(o.Since) {
			return nil // undrained, or drained anew, meanwhile
		}
		// Not o's context: that ends with the order.
		life, cancel := context.WithTimeout(context.Background(), hurryWithin)
		defer cancel()
		if err := d.memory.keep(life, func(s *state.State) { s.Drain = nil }); err != nil {
			d.Log.Warn("the end of a drain is not saved", zap.Error(err))
		}
		return d.endDrain(life, "vipd", "its time is over")
	})
	if err != nil && ctx.Err() == nil {
		d.Log.Error("a drain was not ended", zap.Error(err))
	}
}

// drainTold is called at each step.
func (d *daemon) drainTold(p drain.Progress) {
	if p.Done {
		d.note(&vipdv1.Event{Kind: kindDrain, Subject: d.config.Load().Node, From: "draining", To: "drained", Reason: outcomeText(p, d.measure()), By: p.Order.By})
	}
	d.publisher.Node()
}

func outcomeText(p drain.Progress, measure string) string {
	switch {
	case p.Outcome == drain.ConnectionsLeft:
		return fmt.Sprintf("all routes withdrawn; %d connections (%s) were left after %s", p.Connections, measure, p.Order.Limit)
	case measure != uncounted:
		return fmt.Sprintf("all routes withdrawn, no connections left (%s)", measure)
	}
	return "all routes withdrawn"
}

// drainShown is how far a drain is, for the API; nil: none.
func (d *daemon) drainShown() *vipdv1.Drain {
	if stop := d.stopping.Load(); stop != nil {
		return stop
	}
	p, _ := d.drainer.Progress()
	return drainMessage(p, d.measure())
}

func drainMessage(p drain.Progress, measure string) *vipdv1.Drain {
	if p.Phase == "" {
		return nil
	}
	out := &vipdv1.Drain{
		Phase: p.Phase, By: p.Order.By, Reason: p.Order.Reason, Since: stamp(p.Order.Since), Until: stamp(p.Order.Until), Connections: uint64(p.Connections),
	}
	// Before all is withdrawn nothing is counted: 0 would be no number.
	if measure != uncounted && (p.Phase == drain.Withdrawn || p.Phase == drain.Drained) {
		out.Measured = measure
	}
	return out
}

// progressMessage is how far a drain is, with the routes that are there now.
func (d *daemon) progressMessage(p drain.Progress) *vipdv1.DrainProgress {
	left := p.RoutesLeft
	if d.rec != nil && !p.Done {
		_, left, _, _ = d.rec.Counts()
	}
	return &vipdv1.DrainProgress{Drain: drainMessage(p, d.measure()), RoutesLeft: uint32(left), Done: p.Done, Outcome: p.Outcome}
}

// followDrain tells of a drain until it is done, or is not in force any more.
func (d *daemon) followDrain(ctx context.Context, since time.Time, tell func(*vipdv1.DrainProgress) error) error {
	for {
		p, changed := d.drainer.Progress()
		if p.Phase == "" || !p.Order.Since.Equal(since) {
			return tell(&vipdv1.DrainProgress{Outcome: drain.Ended})
		}
		if err := tell(d.progressMessage(p)); err != nil || p.Done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// waitConnections is the closed loop of a stop: it goes on serving while there
// are connections, at most for drain.connections_limit.
func (d *daemon) waitConnections(patient context.Context) {
	if d.measure() == uncounted || patient.Err() != nil {
		return
	}
	limit, cancel := context.WithTimeout(patient, d.cfg.Drain.ConnectionsLimit)
	defer cancel()
	for limit.Err() == nil {
		n, err := d.connections(limit)
		switch {
		case err != nil && limit.Err() == nil:
			d.Log.Error("connections can't be counted, not waiting for them", zap.Error(err))
			return
		case err == nil && n == 0:
			d.Log.Info("no connections left", zap.String("measured", d.measure()))
			return
		case err == nil:
			d.showConnections(n)
		}
		// The service manager's patience is not for connections that last.
		d.Notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=draining: %d connections left", (10 * time.Second).Microseconds(), n))
		pause(limit, time.Second)
	}
	d.Log.Warn("connections are left", zap.Duration("after", d.cfg.Drain.ConnectionsLimit))
}

// showStop tells how far a stop is, for who looks meanwhile.
func (d *daemon) showStop(phase, reason string) {
	d.stopping.Store(&vipdv1.Drain{Phase: phase, By: "vipd", Reason: reason, Since: stamp(time.Now()), Stopping: true})
	d.publisher.Node()
}

// showConnections adds to it how many connections it waits for.
func (d *daemon) showConnections(n int) {
	stop := proto.CloneOf(d.stopping.Load())
	stop.Connections, stop.Measured = uint64(n), d.measure()
	if !proto.Equal(stop, d.stopping.Swap(stop)) {
		d.publisher.Node()
	}
}
