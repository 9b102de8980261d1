package daemon

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/definitions"
	"github.com/fiberlb/vipd/internal/drain"
	"github.com/fiberlb/vipd/internal/state"
)

// Words are what operators and controllers said, as it is kept and in force. The
// daemon's goroutine owns them.
type words struct {
	overrides map[string]state.Override // by VIP
	drain     *state.Drain
	made      *definitions.Set
	unfit     map[string]string // those of made that are left out, with why
	sessions  []madeSession
}

// A madeSession is a BFD session made over the API.
type madeSession struct {
	state.Session
	made  config.BFDSession // zero: it is left out
	wrong string            // why
}

// kept are sessions as they are kept.
func kept(sessions []madeSession) (out []state.Session) {
	for _, s := range sessions {
		out = append(out, s.Session)
	}
	return out
}

// recall takes up the words of a former life. Those that have ended since are
// not among them.
func (d *daemon) recall(known state.State) {
	clock := state.ReadClock()
	d.words = words{overrides: map[string]state.Override{}, unfit: map[string]string{}}
	d.words.made = definitions.New(func(name string) bool { return d.words.unfit[name] != "" })
	for _, o := range known.Overrides {
		if !over(o.End, clock) {
			d.words.overrides[o.VIP] = o
		}
	}
	if known.Drain != nil && !over(known.Drain.End, clock) {
		d.words.drain = known.Drain
	}
	for _, v := range known.VIPs {
		d.recallVIP(v)
	}
	for _, o := range known.Owners {
		d.words.made.LoadGeneration(o.Name, o.Generation)
	}
	for _, s := range known.Sessions {
		d.words.sessions = append(d.words.sessions, madeSession{Session: s})
	}
}

func over(e *state.End, c state.Clock) bool {
	if e == nil {
		return false
	}
	_, over := e.Left(c)
	return over
}

// endOf is when something ends, on the clock of this process; zero: never. It
// has a monotonic reading, so that nobody who sets the clock moves it.
func endOf(e *state.End, c state.Clock) time.Time {
	if e == nil {
		return time.Time{}
	}
	left, _ := e.Left(c)
	return time.Now().Add(left)
}

// enforce puts the words that were recalled in force, before anything runs.
func (d *daemon) enforce(ctx context.Context) error {
	clock := state.ReadClock()
	if k := d.words.drain; k != nil {
		d.Log.Warn("this node is drained still", zap.String("by", k.By), zap.String("reason", k.Reason))
		// At once: the runner comes later than the first decisions.
		if err := d.phase(ctx, healthloop.Withdrawing, drain.Order{By: k.By, Reason: k.Reason, Until: endOf(k.End, clock)}); err != nil {
			return err
		}
		d.orderDrain(0)
	}
	for name, o := range d.words.overrides {
		if _, ok := d.sink.known(name); !ok {
			if d.words.unfit[name] == "" { // else it waits for the VIP
				d.Log.Warn("override of a vip that is not there any more", zap.String("vip", name), zap.String("word", o.Word))
				delete(d.words.overrides, name)
			}
			continue
		}
		d.Log.Info("override of before is in force", zap.String("vip", name), zap.String("word", o.Word), zap.String("by", o.By), zap.String("reason", o.Reason))
		before := overrideOf(o, clock)
		before.Kept = true
		if err := d.loop.SetOverride(ctx, name, before); err != nil {
			return err
		}
	}
	d.rearm()
	d.keepLess()
	return nil
}

// keepLess saves the words without those that ended, or lost their VIP, while no
// vipd ran: a later life must not find them again. Nobody runs the memory yet.
func (d *daemon) keepLess() {
	known := d.memory.known
	if len(known.Overrides) == len(d.words.overrides) && (known.Drain == nil) == (d.words.drain == nil) {
		return
	}
	if err := d.memory.save(func(s *state.State) { s.Overrides, s.Drain = sorted(d.words.overrides), d.words.drain }); err != nil {
		d.Log.Warn("the end of an override or a drain is not saved", zap.Error(err))
	}
}

func overrideOf(o state.Override, c state.Clock) healthloop.Override {
	words := map[string]healthloop.Word{"advertise": healthloop.ForceAdvertise, "withdraw": healthloop.ForceWithdraw}
	return healthloop.Override{Word: words[o.Word], By: o.By, Reason: o.Reason, Since: o.Since, Until: endOf(o.End, c)}
}

// keep saves a change of what is remembered, or refuses it.
func (d *daemon) keep(ctx context.Context, change func(*state.State)) error {
	if err := d.memory.keep(ctx, change); err != nil {
		d.Log.Error("request refused", zap.Error(err))
		d.note(&vipdv1.Event{Kind: kindState, To: "not saved", Reason: err.Error()})
		return control.Refuse(control.Exhausted, "the request could not be kept: %v (nothing was changed)", err)
	}
	return nil
}

// sorted are overrides as they are kept.
func sorted(overrides map[string]state.Override) []state.Override {
	return slices.SortedFunc(maps.Values(overrides), func(a, b state.Override) int { return cmp.Compare(a.VIP, b.VIP) })
}

// keepOverrides saves next as the overrides, and takes them over.
func (d *daemon) keepOverrides(ctx context.Context, next map[string]state.Override) error {
	list := sorted(next)
	if err := d.keep(ctx, func(s *state.State) { s.Overrides = list }); err != nil {
		return err
	}
	d.words.overrides = next
	return nil
}

// setOverride puts the operator's word on a VIP, or takes it away.
func (d *daemon) setOverride(ctx context.Context, by control.Actor, name string, r *vipdv1.SetOverrideRequest) error {
	old, there := d.words.overrides[name]
	next := maps.Clone(d.words.overrides)
	clock := state.ReadClock()
	if r.GetWord() == "auto" {
		if !there {
			return nil
		}
		delete(next, name)
	} else {
		o := state.Override{VIP: name, Word: r.GetWord(), By: string(by), Reason: r.GetReason(), Since: clock.Now}
		if r.GetTtl() != nil {
			o.End = clock.In(r.GetTtl().AsDuration())
		}
		next[name] = o
	}
	if err := d.keepOverrides(ctx, next); err != nil {
		return err
	}
	d.note(&vipdv1.Event{Kind: kindOverride, Subject: name, From: wordOf(old, there), To: r.GetWord(), Reason: r.GetReason(), By: string(by)})
	if err := d.loop.SetOverride(ctx, name, overrideOf(next[name], clock)); err != nil {
		return err
	}
	d.rearm()
	return nil
}

func wordOf(o state.Override, there bool) string {
	if !there {
		return "auto"
	}
	return o.Word
}

// rearm sets when the next override ends.
func (d *daemon) rearm() {
	clock := state.ReadClock()
	next := time.Duration(-1)
	for _, o := range d.words.overrides {
		if o.End == nil {
			continue
		}
		if left, _ := o.End.Left(clock); next < 0 || left < next {
			next = left
		}
	}
	d.expiry.Stop()
	if next >= 0 {
		d.expiry.Reset(next)
	}
}

// expire forgets overrides that have ended. The loop saw to their end itself.
func (d *daemon) expire(ctx context.Context) {
	clock := state.ReadClock()
	next := maps.Clone(d.words.overrides)
	for name, o := range d.words.overrides {
		if over(o.End, clock) {
			delete(next, name)
			d.Log.Info("override ended", zap.String("vip", name), zap.String("word", o.Word))
			d.note(&vipdv1.Event{Kind: kindOverride, Subject: name, From: o.Word, To: "auto", Reason: "its time is over", By: o.By})
			if d.words.unfit[name] != "" {
				continue
			}
			if err := d.loop.SetOverride(ctx, name, healthloop.Override{}); err != nil {
				d.Log.Error("override not ended", zap.String("vip", name), zap.Error(err))
			}
		}
	}
	// Were it not saved, it would be found to have ended by the next life too.
	d.words.overrides = next
	list := sorted(next)
	if err := d.memory.keep(ctx, func(s *state.State) { s.Overrides = list }); err != nil {
		d.Log.Warn("the end of an override is not saved", zap.Error(err))
	}
	d.rearm()
}

// overridesWithout are the overrides once the definitions of these names are
// removed, and those that go with them. What the file has is not removed.
func (d *daemon) overridesWithout(names []string) (next map[string]state.Override, dropped []state.Override) {
	next = d.words.overrides
	for _, name := range names {
		o, ok := d.words.overrides[name]
		_, there := d.sink.known(name)
		if !ok || there && d.words.unfit[name] != "" {
			continue
		}
		if len(dropped) == 0 {
			next = maps.Clone(next)
		}
		delete(next, name)
		dropped = append(dropped, o)
	}
	return next, dropped
}

// dropOverrides drops those of VIPs that a reload took away. Should that not be
// saved, the next life drops them.
func (d *daemon) dropOverrides(ctx context.Context, by control.Actor) {
	var gone []string
	for name := range d.words.overrides {
		if _, ok := d.sink.known(name); !ok && d.words.unfit[name] == "" {
			gone = append(gone, name)
		}
	}
	next, dropped := d.overridesWithout(gone)
	if len(dropped) == 0 {
		return
	}
	if err := d.keepOverrides(ctx, next); err != nil {
		d.words.overrides = next
	}
	d.noteDropped(by, dropped)
}

// noteDropped tells of overrides that went with their VIPs.
func (d *daemon) noteDropped(by control.Actor, dropped []state.Override) {
	for _, o := range dropped {
		d.Log.Warn("override gone with its vip", zap.String("vip", o.VIP), zap.String("word", o.Word), zap.String("by", string(by)))
		d.note(&vipdv1.Event{Kind: kindOverride, Subject: o.VIP, From: o.Word, To: "auto", Reason: "the vip was removed", By: string(by)})
	}
	if len(dropped) > 0 {
		d.rearm()
	}
}

// resolve finds a VIP by its name, prefix or address.
func (d *daemon) resolve(vip string) (name string, err error) {
	if _, ok := d.sink.known(vip); ok {
		return vip, nil
	}
	if left := d.left.Load(); left != nil && left.vips[vip] != "" {
		return "", control.Refuse(control.Precondition, "vip %s: was made over the API, and is left out: %s", vip, left.vips[vip])
	}
	prefix, err := netip.ParsePrefix(vip)
	if err != nil {
		address, err := netip.ParseAddr(vip)
		if err != nil {
			return "", control.Refuse(control.NotFound, "no vip is called %q (vipctl vips lists them)", vip)
		}
		prefix = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
	}
	if name, ok := d.sink.name(prefix.Masked()); ok {
		return name, nil
	}
	return "", control.Refuse(control.NotFound, "no vip has the prefix %s (vipctl vips lists them)", prefix.Masked())
}
