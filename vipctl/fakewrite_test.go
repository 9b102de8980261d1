package vipctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (f *fake) SetOverride(_ context.Context, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := f.find(r.GetVip())
	if err != nil {
		return nil, err
	}
	v = proto.CloneOf(v)
	v.Since = ago(0)
	switch word := r.GetWord(); word {
	case "auto":
		v.Override = nil
		decide(v)
	default:
		v.Override = &vipdv1.Override{Word: word, By: "uid 0 (root)", Reason: r.GetReason(), Since: ago(0)}
		if r.GetTtl() != nil {
			v.Override.Until = ago(-r.GetTtl().AsDuration())
		}
		v.State = map[string]string{"advertise": "advertised", "withdraw": "withdrawn"}[word]
		v.Rule = "override_" + word
		v.Reason = v.State + ": override by uid 0 (root)"
		if r.GetReason() != "" {
			v.Reason += ": " + r.GetReason()
		}
	}
	want := v.State == "advertised"
	v.Route = &vipdv1.Route{Wanted: want, Installed: want, Confirmed: true}
	if f.unseen || !r.GetWait() {
		v.Route.Installed, v.Route.Confirmed = !want, false
	}
	f.putLocked(v)
	if f.unseen && r.GetWait() {
		return nil, status.Errorf(codes.DeadlineExceeded, "vip %s: is decided and kept, but the speaker did not show it in time", v.GetName())
	}
	return v, nil
}

// decide is what the checks say.
func decide(v *vipdv1.Vip) {
	t := v.GetTally()
	v.State, v.Rule = "withdrawn", "checks"
	if t.GetHealthy() > 0 {
		v.State = "advertised"
	}
	v.Reason = fmt.Sprintf("%s: %d of %d backends healthy (minimum %s)", v.State, t.GetHealthy(), t.GetTotal(), v.GetMinHealthy())
}

func (f *fake) Drain(r *vipdv1.DrainRequest, s grpc.ServerStreamingServer[vipdv1.DrainProgress]) error {
	f.mu.Lock()
	f.asked = append(f.asked, proto.Clone(r))
	progress := f.progress
	f.mu.Unlock()
	if !r.GetWait() {
		progress = progress[:1]
	}
	for i, p := range progress {
		if i > 0 && f.between != nil {
			select {
			case <-f.between:
			case <-s.Context().Done():
				return status.FromContextError(s.Context().Err()).Err()
			}
		}
		if p.GetDrain() != nil && r.GetReason() != "" {
			p.Drain.Reason = r.GetReason()
		}
		if err := s.Send(p); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Undrain(context.Context, *vipdv1.UndrainRequest) (*vipdv1.Node, error) {
	return f.node, nil
}

func (f *fake) UpsertVip(_ context.Context, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owner := r.GetOwner()
	if owner == "" {
		owner = "api"
	}
	spec := r.GetVip()
	v := &vipdv1.Vip{Name: spec.GetName(), Prefix: spec.GetPrefix(), Owner: owner, Version: 1, MinHealthy: "1", Since: ago(0), Spec: spec}
	if old, err := f.find(spec.GetName()); err == nil {
		if r.ExpectedVersion != nil && r.GetExpectedVersion() != old.GetVersion() {
			return nil, status.Errorf(codes.Aborted, "vip %s: its version is %d, not %d", spec.GetName(), old.GetVersion(), r.GetExpectedVersion())
		}
		v.Version = old.GetVersion() + 1
	}
	if spec.GetMinHealthy() != "" {
		v.MinHealthy = spec.GetMinHealthy()
	}
	n := uint32(len(spec.GetBackends()))
	v.Tally = &vipdv1.Tally{Unknown: n, Total: n, TotalWeight: n}
	v.State, v.Rule = "undecided", "undecided"
	v.Reason = fmt.Sprintf("undecided: 0 of %d backends healthy, %d unknown (minimum %s)", n, n, v.MinHealthy)
	v.Route = &vipdv1.Route{Confirmed: true}
	f.putLocked(v)
	return v, nil
}

func (f *fake) DeleteVip(_ context.Context, r *vipdv1.DeleteVipRequest) (*vipdv1.DeleteVipResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, err := f.find(r.GetVip())
	if err != nil {
		return nil, err
	}
	f.vips = slices.DeleteFunc(f.vips, func(x *vipdv1.Vip) bool { return x == v })
	f.tellLocked(&vipdv1.Change{At: ago(0), Object: &vipdv1.Change_VipRemoved{VipRemoved: v.GetName()}})
	return &vipdv1.DeleteVipResponse{}, nil
}

func (f *fake) ReplaceVips(_ context.Context, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error) {
	return &vipdv1.ReplaceVipsResponse{Added: uint32(len(r.GetVips())), Removed: 1, Generation: 4}, nil
}

func (f *fake) AddBfdSession(_ context.Context, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error) {
	return &vipdv1.BfdSession{Id: r.GetPeer(), Peer: r.GetPeer(), Multihop: r.GetMultihop(), State: "down", Owner: "api"}, nil
}

func (f *fake) RemoveBfdSession(context.Context, *vipdv1.RemoveBfdSessionRequest) (*vipdv1.RemoveBfdSessionResponse, error) {
	return &vipdv1.RemoveBfdSessionResponse{}, nil
}

func (f *fake) Reload(context.Context, *vipdv1.ReloadRequest) (*vipdv1.ReloadResponse, error) {
	return &vipdv1.ReloadResponse{Warnings: []string{"vipd.yaml:3:1: bgp.neighbors[0]: warning: no hold_time"}}, nil
}

func (f *fake) CheckConfig(_ context.Context, r *vipdv1.CheckConfigRequest) (*vipdv1.CheckConfigResponse, error) {
	if strings.Contains(string(r.GetContent()), "hold_downn") {
		return &vipdv1.CheckConfigResponse{Problems: []string{
			r.GetFileName() + `:4:5: vips[0].hold_downn: unknown key (did you mean "hold_down"?)`,
			r.GetFileName() + ":5:5: vips[0].backends: is missing (at least one backend)",
		}}, nil
	}
	return &vipdv1.CheckConfigResponse{Ok: true, Description: "vip web 192.0.2.10/32\n  1 backend, minimum 1\n"}, nil
}
