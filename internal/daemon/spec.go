package daemon

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
)

// specOf is a request's VIP with the keys of the configuration file: the form
// that is checked, and kept.
func specOf(v *vipdv1.VipSpec) config.Spec {
	spec := config.Spec{"name": v.GetName(), "prefix": v.GetPrefix()}
	set := func(key string, value any, given bool) {
		if given {
			spec[key] = value
		}
	}
	set("min_healthy", v.GetMinHealthy(), v.GetMinHealthy() != "")
	set("check", v.GetCheck(), v.GetCheck() != "")
	set("hold_down", v.GetHoldDown().AsDuration().String(), v.GetHoldDown() != nil)
	set("announce", v.GetAnnounce().AsMap(), v.GetAnnounce() != nil)
	set("link_bandwidth", v.GetLinkBandwidth().AsInterface(), v.GetLinkBandwidth() != nil)
	var degraded, backends []any
	for _, d := range v.GetDegraded() {
		degraded = append(degraded, d.AsMap())
	}
	for _, b := range v.GetBackends() {
		backends = append(backends, backendSpec(b))
	}
	set("degraded", degraded, len(degraded) > 0)
	set("backends", backends, len(backends) > 0)
	checks := map[string]any{}
	for name, c := range v.GetChecks() {
		checks[name] = c.AsMap()
	}
	set("checks", checks, len(checks) > 0)
	return spec
}

func backendSpec(b *vipdv1.BackendSpec) map[string]any {
	out := map[string]any{"address": b.GetAddress()}
	if b.GetName() != "" {
		out["name"] = b.GetName()
	}
	if b.Weight != nil {
		out["weight"] = float64(b.GetWeight())
	}
	if b.GetCheck() != "" {
		out["check"] = b.GetCheck()
	}
	return out
}

// encodeSpec gives one form for equal specs: JSON sorts the keys of maps.
func encodeSpec(s config.Spec) (json.RawMessage, error) { return json.Marshal(s) }

func decodeSpec(raw json.RawMessage) (config.Spec, error) {
	var s config.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	return s, nil
}

// A keptSpec is the kept form of a VipSpec, to show it again.
type keptSpec struct {
	Name, Prefix, Check string
	MinHealthy          string                    `json:"min_healthy"`
	HoldDown            string                    `json:"hold_down"`
	Announce            map[string]any            `json:"announce"`
	Degraded            []map[string]any          `json:"degraded"`
	LinkBandwidth       any                       `json:"link_bandwidth"`
	Backends            []keptBackend             `json:"backends"`
	Checks              map[string]map[string]any `json:"checks"`
}

type keptBackend struct {
	Name, Address, Check string
	Weight               *uint32
}

// shownSpec is a kept spec as its owner gave it.
func shownSpec(raw json.RawMessage) (*vipdv1.VipSpec, error) {
	var k keptSpec
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, err
	}
	out := &vipdv1.VipSpec{Name: k.Name, Prefix: k.Prefix, MinHealthy: k.MinHealthy, Check: k.Check}
	if k.HoldDown != "" {
		d, err := time.ParseDuration(k.HoldDown)
		if err != nil {
			return nil, err
		}
		out.HoldDown = durationpb.New(d)
	}
	for _, b := range k.Backends {
		out.Backends = append(out.Backends, &vipdv1.BackendSpec{Name: b.Name, Address: b.Address, Check: b.Check, Weight: b.Weight})
	}
	return out, k.structs(out)
}

// structs fills in what has the shape of the configuration file.
func (k keptSpec) structs(out *vipdv1.VipSpec) (err error) {
	made := func(m map[string]any) *structpb.Struct {
		s, problem := structpb.NewStruct(m)
		if problem != nil && err == nil {
			err = fmt.Errorf("kept spec of vip %s: %w", k.Name, problem)
		}
		return s
	}
	if k.Announce != nil {
		out.Announce = made(k.Announce)
	}
	for _, d := range k.Degraded {
		out.Degraded = append(out.Degraded, made(d))
	}
	for name, c := range k.Checks {
		if out.Checks == nil {
			out.Checks = map[string]*structpb.Struct{}
		}
		out.Checks[name] = made(c)
	}
	if k.LinkBandwidth != nil {
		value, problem := structpb.NewValue(k.LinkBandwidth)
		if problem != nil {
			return problem
		}
		out.LinkBandwidth = value
	}
	return err
}
