package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/healthloop"
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
	spec, err := decodeSpec(v.Spec)
	name, _ := spec["name"].(string)
	text, _ := spec["prefix"].(string)
	prefix, wrong := parsePrefix(text)
	if err = cmp.Or(err, wrong); err != nil || name == "" {
		d.Log.Error("what is kept of a vip can't be read, it is left out", zap.String("owner", v.Owner), zap.ByteString("spec", v.Spec), zap.Error(err))
		return
	}
	d.words.made.Load(definitions.VIP{Name: name, Prefix: prefix, Owner: v.Owner, Version: v.Version, Spec: v.Spec})
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

// A fitted definition is what it means under a configuration.
type fitted struct {
	spec  json.RawMessage // that this is of
	vip   config.VIP
	loop  healthloop.VIP // to be given to the loop once
	wrong string         // why it means nothing there; then the rest is zero
}

// fit makes definitions into what they mean under cfg. The problems have paths
// with the place in all. It is the kept form that is made, so that the next life
// makes the same of it.
func (d *daemon) fit(cfg *config.Config, all []definitions.VIP) (map[string]fitted, []config.Problem) {
	out := make(map[string]fitted, len(all))
	if len(all) == 0 {
		return out, nil
	}
	specs := make([]config.Spec, 0, len(all))
	for _, v := range all {
		spec, err := decodeSpec(v.Spec)
		if err != nil {
			spec = config.Spec{} // it was read before
		}
		specs = append(specs, spec)
	}
	vips, problems := cfg.Make(specs)
	wrong := make(map[int]string, len(problems))
	for _, p := range problems {
		if i := indexOf(p.Path); wrong[i] == "" {
			wrong[i] = strings.TrimPrefix(p.Path, placeOf(i)+".") + ": " + p.Text
		}
	}
	probers := newProbers(d.pool, d.live)
	for i, v := range all {
		f := fitted{spec: v.Spec, wrong: wrong[i]}
		if f.wrong == "" {
			loop, err := probers.vip(vips[i], cfg.BFD.UplinksKeep)
			f.vip, f.loop = vips[i], loop
			if err != nil {
				f = fitted{spec: v.Spec, wrong: err.Error()}
				problems = append(problems, config.Problem{Path: placeOf(i), Text: f.wrong})
			}
		}
		out[v.Name] = f
	}
	return out, problems
}

func placeOf(i int) string { return fmt.Sprintf("vips[%d]", i) }

// indexOf is which of the specs a problem is about.
func indexOf(path string) int {
	var i int
	if n, _ := fmt.Sscanf(path, "vips[%d]", &i); n != 1 {
		return math.MaxInt
	}
	return i
}

// define reads a request's VIP as far as it must be to know whose it is.
func define(owner string, v *vipdv1.VipSpec, at string) (definitions.VIP, error) {
	raw, err := encodeSpec(specOf(v))
	if err != nil {
		return definitions.VIP{}, control.Invalid{{Field: at, Text: err.Error()}}
	}
	prefix, err := parsePrefix(v.GetPrefix())
	if err != nil {
		return definitions.VIP{}, control.Invalid{{Field: at + ".prefix", Text: fmt.Sprintf("is %q (write an address or prefix, as 192.0.2.10/32)", v.GetPrefix())}}
	}
	return definitions.VIP{Name: v.GetName(), Prefix: prefix, Owner: owner, Spec: raw}, nil
}

// upsert makes or changes one VIP.
func (d *daemon) upsert(ctx context.Context, by control.Actor, r *vipdv1.UpsertVipRequest) error {
	v, err := define(ownerOf(r.GetOwner()), r.GetVip(), "vip")
	if err != nil {
		return err
	}
	plan := func() (definitions.Change, error) { return d.words.made.Upsert(v, r.ExpectedVersion) }
	_, err = d.change(ctx, by, plan, map[string]string{v.Name: "vip"})
	return err
}

// replaceVIPs makes all VIPs of an owner those of the request.
func (d *daemon) replaceVIPs(ctx context.Context, by control.Actor, r *vipdv1.ReplaceVipsRequest) (definitions.Change, error) {
	all := make([]definitions.VIP, 0, len(r.GetVips()))
	at := make(map[string]string, len(r.GetVips()))
	var wrong control.Invalid
	for i, v := range r.GetVips() {
		one, err := define(r.GetOwner(), v, placeOf(i))
		var invalid control.Invalid
		if errors.As(err, &invalid) {
			wrong = append(wrong, invalid...)
			continue
		}
		all = append(all, one)
		at[one.Name] = placeOf(i)
	}
	if len(wrong) > 0 {
		return definitions.Change{}, wrong
	}
	plan := func() (definitions.Change, error) {
		return d.words.made.Replace(r.GetOwner(), all, r.ExpectedGeneration)
	}
	return d.change(ctx, by, plan, at)
}

// deleteVIP removes one, and tells what it was.
func (d *daemon) deleteVIP(ctx context.Context, by control.Actor, r *vipdv1.DeleteVipRequest) (was config.VIP, err error) {
	plan := func() (definitions.Change, error) {
		name, err := d.resolve(r.GetVip())
		if err != nil {
			name = r.GetVip() // one that is left out
		}
		known, _ := d.sink.known(name)
		was = known.vip
		return d.words.made.Delete(ownerOf(r.GetOwner()), name, r.ExpectedVersion)
	}
	_, err = d.change(ctx, by, plan, nil)
	return was, err
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
