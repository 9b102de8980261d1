package control

import (
	"context"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// actorOf is called behind admit, which lets nobody in whom it does not know.
func actorOf(ctx context.Context) Actor {
	who, _ := callerOf(ctx)
	return who.actor
}

func (v service) SetOverride(ctx context.Context, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error) {
	return v.node().SetOverride(ctx, actorOf(ctx), r)
}

func (v service) Undrain(ctx context.Context, _ *vipdv1.UndrainRequest) (*vipdv1.Node, error) {
	return v.node().Undrain(ctx, actorOf(ctx))
}

func (v service) UpsertVip(ctx context.Context, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error) {
	return v.node().UpsertVip(ctx, actorOf(ctx), r)
}

func (v service) DeleteVip(ctx context.Context, r *vipdv1.DeleteVipRequest) (*vipdv1.DeleteVipResponse, error) {
	return &vipdv1.DeleteVipResponse{}, v.node().DeleteVip(ctx, actorOf(ctx), r)
}

func (v service) ReplaceVips(ctx context.Context, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error) {
	return v.node().ReplaceVips(ctx, actorOf(ctx), r)
}

func (v service) AddBfdSession(ctx context.Context, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error) {
	return v.node().AddBfdSession(ctx, actorOf(ctx), r)
}

func (v service) RemoveBfdSession(ctx context.Context, r *vipdv1.RemoveBfdSessionRequest) (*vipdv1.RemoveBfdSessionResponse, error) {
	return &vipdv1.RemoveBfdSessionResponse{}, v.node().RemoveBfdSession(ctx, actorOf(ctx), r)
}

func (v service) Reload(ctx context.Context, _ *vipdv1.ReloadRequest) (*vipdv1.ReloadResponse, error) {
	warnings, err := v.node().Reload(ctx, actorOf(ctx))
	return &vipdv1.ReloadResponse{Warnings: warnings}, err
}

func (v service) CheckConfig(ctx context.Context, r *vipdv1.CheckConfigRequest) (*vipdv1.CheckConfigResponse, error) {
	return v.node().CheckConfig(ctx, r.FileName, r.Content)
}
