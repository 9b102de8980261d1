package daemon

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/definitions"
	"github.com/fiberlb/vipd/internal/state"
)

// change carries out what plan comes to. plan is called in the daemon's
// goroutine; what its VIPs mean is found out in the caller's, and plan is called
// again then: somebody else may have been faster. at is where each VIP stands in
// the request.
func (d *daemon) change(ctx context.Context, by control.Actor, plan func() (definitions.Change, error), at map[string]string) (definitions.Change, error) {
	var under *config.Config // that ready is of
	var ready map[string]fitted
	for {
		var c definitions.Change
		var now *config.Config
		done := false
		err := d.do(ctx, func(ctx context.Context) (err error) {
			if c, err = plan(); err != nil {
				return refusal(err)
			}
			now, done = d.cfg, len(c.Put) == 0 || under == d.cfg && covers(ready, c.Put)
			if !done {
				return nil
			}
			return d.redefine(ctx, by, c, ready)
		})
		if err != nil || done {
			return c, err
		}
		if ready, err = d.prepared(ctx, now, c.Put, at); err != nil {
			return c, err
		}
		under = now
	}
}

func covers(ready map[string]fitted, put []definitions.VIP) bool {
	return !slices.ContainsFunc(put, func(v definitions.VIP) bool { return !bytes.Equal(ready[v.Name].spec, v.Spec) })
}

// prepared is what VIPs of a request mean, all of them or an error that says what is
// wrong with each.
func (d *daemon) prepared(ctx context.Context, cfg *config.Config, put []definitions.VIP, at map[string]string) (map[string]fitted, error) {
	type fits struct {
		vips     map[string]fitted
		problems []config.Problem
	}
	all, err := reading(ctx, d.fitting, func() fits {
		vips, problems := d.fit(cfg, put)
		return fits{vips, problems}
	})
	if err != nil {
		return nil, err
	}
	if len(all.problems) > 0 {
		return nil, invalid(all.problems, put, at)
	}
	return all.vips, nil
}

// invalid turns the problems of VIPs into those of the request.
func invalid(problems []config.Problem, put []definitions.VIP, at map[string]string) error {
	var out control.Invalid
	for _, p := range problems {
		field := p.Path
		if i := indexOf(p.Path); i < len(put) {
			field = at[put[i].Name] + strings.TrimPrefix(p.Path, placeOf(i))
		}
		out = append(out, control.Violation{Field: field, Text: p.Text})
	}
	return out
}

// redefine keeps a change and puts it in force, in this order: what is refused
// has changed nothing, and what was answered is kept. It costs what changes, but
// for the one file where all is kept.
func (d *daemon) redefine(ctx context.Context, by control.Actor, c definitions.Change, ready map[string]fitted) error {
	if c.Empty() {
		return nil
	}
	overrides, dropped := d.overridesWithout(c.Remove)
	if err := d.keepVIPs(ctx, c, overrides); err != nil {
		return err
	}
	d.words.made.Apply(c)
	d.words.overrides = overrides
	var gone, back []string
	for _, name := range c.Remove {
		if d.words.unfit[name] == "" { // else the loop has none, or the file's
			gone = append(gone, name)
		}
		delete(d.words.unfit, name)
	}
	vips, put := make([]config.VIP, 0, len(c.Put)), make([]healthloop.VIP, 0, len(c.Put))
	for _, v := range c.Put {
		if d.words.unfit[v.Name] != "" {
			back = append(back, v.Name)
		}
		delete(d.words.unfit, v.Name)
		vips, put = append(vips, ready[v.Name].vip), append(put, ready[v.Name].loop)
	}
	d.sink.stageSome(vips, gone)
	err := d.loop.Put(ctx, put, gone)
	d.sink.commit()
	for _, name := range back {
		err = cmp.Or(err, d.reinstateOne(ctx, name))
	}
	d.showChange(c)
	d.noteDefinitions(by, c)
	d.noteDropped(by, dropped)
	return err
}

// reinstateOne puts the operator's word in force on a VIP that was left out.
func (d *daemon) reinstateOne(ctx context.Context, name string) error {
	o, ok := d.words.overrides[name]
	if !ok {
		return nil
	}
	return d.loop.SetOverride(ctx, name, overrideOf(o, state.ReadClock()))
}

// showChange has the board show also what no room tells of: versions, prefixes
// and addresses.
func (d *daemon) showChange(c definitions.Change) {
	for _, v := range c.Put {
		d.publisher.VIP(v.Name)
	}
	for _, name := range c.Remove {
		d.publisher.VIP(name)
	}
	d.tellLeftOut()
}

// keepVIPs saves the definitions as they are after c, and the overrides.
func (d *daemon) keepVIPs(ctx context.Context, c definitions.Change, overrides map[string]state.Override) error {
	drop := make(map[string]bool, len(c.Put)+len(c.Remove))
	for _, name := range c.Remove {
		drop[name] = true
	}
	for _, v := range c.Put {
		drop[v.Name] = true
	}
	all := slices.DeleteFunc(d.words.made.All(), func(v definitions.VIP) bool { return drop[v.Name] })
	all = append(all, c.Put...)
	slices.SortFunc(all, func(a, b definitions.VIP) int { return cmp.Compare(a.Name, b.Name) })
	kept := make([]state.VIP, 0, len(all))
	for _, v := range all {
		kept = append(kept, state.VIP{Owner: v.Owner, Version: v.Version, Spec: v.Spec})
	}
	generations := d.words.made.Generations()
	generations[c.Owner] = c.Generation
	owners := make([]state.Owner, 0, len(generations))
	for name, generation := range generations {
		owners = append(owners, state.Owner{Name: name, Generation: generation})
	}
	slices.SortFunc(owners, func(a, b state.Owner) int { return cmp.Compare(a.Name, b.Name) })
	list := sorted(overrides)
	return d.keep(ctx, func(s *state.State) { s.VIPs, s.Owners, s.Overrides = kept, owners, list })
}

// noteDefinitions tells of a change: of each VIP when they are few.
func (d *daemon) noteDefinitions(by control.Actor, c definitions.Change) {
	const few = 100
	d.Log.Info("vips redefined", zap.String("owner", c.Owner), zap.String("by", string(by)),
		zap.Int("added", c.Added), zap.Int("changed", c.Changed), zap.Int("removed", len(c.Remove)))
	if len(c.Put)+len(c.Remove) > few {
		d.note(&vipdv1.Event{Kind: kindDefinition, Subject: "owner " + c.Owner, To: "replaced", By: string(by),
			Reason: fmt.Sprintf("%d added, %d changed, %d removed", c.Added, c.Changed, len(c.Remove))})
		return
	}
	for _, v := range c.Put {
		d.note(&vipdv1.Event{Kind: kindDefinition, Subject: v.Name, To: "defined", By: string(by),
			Reason: fmt.Sprintf("prefix %s, owner %s, version %d", v.Prefix, c.Owner, v.Version)})
	}
	for _, name := range c.Remove {
		d.note(&vipdv1.Event{Kind: kindDefinition, Subject: name, To: "removed", By: string(by), Reason: "by owner " + c.Owner})
	}
}
