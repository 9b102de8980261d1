package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/definitions"
	"github.com/fiberlb/vipd/internal/state"
)

// defaultOwner is whose VIPs are that nobody claims.
const defaultOwner = "api"

func ownerOf(given string) string { return cmp.Or(given, defaultOwner) }

// recallVIP takes up a definition of a former life. Whether it still fits the
// configuration, fit tells.
func (d *daemon) recallVIP(v state.VIP) {
	var k keptSpec
	spec, err := decodeSpec(v.Spec)
	if err == nil {
		k.Name, _ = spec["name"].(string)
		k.Prefix, _ = spec["prefix"].(string)
	}
	prefix, err := parsePrefix(k.Prefix)
	if err != nil || k.Name == "" {
		d.Log.Error("what is kept of a vip can't be read, it is left out", zap.String("owner", v.Owner), zap.ByteString("spec", v.Spec), zap.Error(err))
		return
	}
	d.words.made.Load(definitions.VIP{Name: k.Name, Prefix: prefix, Owner: v.Owner, Version: v.Version, Spec: v.Spec})
}

// parsePrefix reads a prefix as the configuration does: a bare address is a
// host's.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// fit makes what was defined over the API into what it is under cfg; unfit says
// of each that can't be why not.
func (d *daemon) fit(cfg *config.Config) (vips map[string]config.VIP, unfit map[string]string) {
	all := d.words.made.All()
	vips, unfit = make(map[string]config.VIP, len(all)), map[string]string{}
	specs := make([]config.Spec, 0, len(all))
	for _, v := range all {
		spec, err := decodeSpec(v.Spec)
		if err != nil {
			spec = config.Spec{} // it was read before
		}
		specs = append(specs, spec)
	}
	made, problems := cfg.Make(specs)
	for _, p := range problems {
		if i := indexOf(p.Path); i < len(all) {
			unfit[all[i].Name] = p.Path + ": " + p.Text
		}
	}
	for i, v := range made {
		if _, bad := unfit[all[i].Name]; !bad {
			vips[v.Name] = v
		}
	}
	return vips, unfit
}

// indexOf is which of the specs a problem is about.
func indexOf(path string) int {
	var i int
	if n, _ := fmt.Sscanf(path, "vips[%d]", &i); n != 1 {
		return math.MaxInt
	}
	return i
}

// unfitTexts names what does not fit.
func unfitTexts(unfit map[string]string) []string {
	var all []string
	for name, why := range unfit {
		all = append(all, fmt.Sprintf("vip %s made over the API: %s", name, why))
	}
	slices.Sort(all)
	return all
}

// A definition is a request's VIP on its way to being one.
type definition struct {
	spec config.Spec
	vip  definitions.VIP
}

// define reads a request's VIP as far as it must be to know whose it is.
func define(owner string, v *vipdv1.VipSpec, at string) (definition, error) {
	spec := specOf(v)
	raw, err := encodeSpec(spec)
	if err != nil {
		return definition{}, control.Invalid{{Field: at, Text: err.Error()}}
	}
	prefix, err := parsePrefix(v.GetPrefix())
	if err != nil {
		return definition{}, control.Invalid{{Field: at + ".prefix", Text: fmt.Sprintf("is %q (write an address or prefix, as 192.0.2.10/32)", v.GetPrefix())}}
	}
	return definition{spec, definitions.VIP{Name: v.GetName(), Prefix: prefix, Owner: owner, Spec: raw}}, nil
}

// upsert makes or changes one VIP.
func (d *daemon) upsert(ctx context.Context, by control.Actor, r *vipdv1.UpsertVipRequest) error {
	def, err := define(ownerOf(r.GetOwner()), r.GetVip(), "vip")
	if err != nil {
		return err
	}
	change, err := d.words.made.Upsert(def.vip, r.ExpectedVersion)
	if err != nil {
		return refusal(err)
	}
	return d.redefine(ctx, by, change, map[string]wanted{def.vip.Name: {def.spec, "vip"}})
}

// replaceVIPs makes all VIPs of an owner those of the request.
func (d *daemon) replaceVIPs(ctx context.Context, by control.Actor, r *vipdv1.ReplaceVipsRequest) (definitions.Change, error) {
	all := make([]definitions.VIP, 0, len(r.GetVips()))
	specs := make(map[string]wanted, len(r.GetVips()))
	var wrong control.Invalid
	for i, v := range r.GetVips() {
		at := fmt.Sprintf("vips[%d]", i)
		def, err := define(r.GetOwner(), v, at)
		var invalid control.Invalid
		if errors.As(err, &invalid) {
			wrong = append(wrong, invalid...)
			continue
		}
		all = append(all, def.vip)
		specs[def.vip.Name] = wanted{def.spec, at}
	}
	if len(wrong) > 0 {
		return definitions.Change{}, wrong
	}
	change, err := d.words.made.Replace(r.GetOwner(), all, r.ExpectedGeneration)
	if err != nil {
		return change, refusal(err)
	}
	return change, d.redefine(ctx, by, change, specs)
}

// deleteVIP removes one.
func (d *daemon) deleteVIP(ctx context.Context, by control.Actor, name string, r *vipdv1.DeleteVipRequest) error {
	change, err := d.words.made.Delete(ownerOf(r.GetOwner()), name, r.ExpectedVersion)
	if err != nil {
		return refusal(err)
	}
	return d.redefine(ctx, by, change, nil)
}

func refusal(err error) error {
	var r *definitions.Refusal
	if !errors.As(err, &r) {
		return err
	}
	kind := control.Precondition
	switch {
	case r.Conflict:
		kind = control.Conflict
	case r.Missing:
		kind = control.NotFound
	}
	return control.Refuse(kind, "%s", r.Text)
}

// wanted is a spec with its place in the request.
type wanted struct {
	spec config.Spec
	at   string
}

// redefine checks a change, keeps it and puts it in force, in this order: what
// is refused has changed nothing.
func (d *daemon) redefine(ctx context.Context, by control.Actor, c definitions.Change, specs map[string]wanted) error {
	if c.Empty() {
		return nil
	}
	list := make([]config.Spec, 0, len(c.Put))
	for _, v := range c.Put {
		list = append(list, specs[v.Name].spec)
	}
	vips, problems := d.cfg.Make(list)
	if len(problems) > 0 {
		return invalid(problems, c.Put, specs)
	}
	put, err := d.loopVIPs(vips)
	if err != nil {
		return control.Invalid{{Field: "vips", Text: err.Error()}}
	}
	if err := d.keepVIPs(ctx, c); err != nil {
		return err
	}
	d.words.made.Apply(c)
	for _, name := range c.Remove {
		delete(d.words.vips, name)
		delete(d.words.unfit, name)
	}
	for _, v := range vips {
		d.words.vips[v.Name] = v
		delete(d.words.unfit, v.Name)
	}
	d.sink.stageSome(vips, c.Remove)
	err = d.loop.Put(ctx, put, c.Remove)
	d.sink.commit()
	d.noteDefinitions(by, c)
	d.forgetVIPs(ctx, func(name string) bool { return !slices.Contains(c.Remove, name) })
	return err
}

// invalid turns the problems of specs into those of the request.
func invalid(problems []config.Problem, put []definitions.VIP, specs map[string]wanted) error {
	var out control.Invalid
	for _, p := range problems {
		field := p.Path
		if i := indexOf(p.Path); i < len(put) {
			field = specs[put[i].Name].at + strings.TrimPrefix(p.Path, fmt.Sprintf("vips[%d]", i))
		}
		out = append(out, control.Violation{Field: field, Text: p.Text})
	}
	return out
}

// keepVIPs saves the definitions as they are after c.
func (d *daemon) keepVIPs(ctx context.Context, c definitions.Change) error {
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
	return d.keep(ctx, func(s *state.State) { s.VIPs, s.Owners = kept, owners })
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
