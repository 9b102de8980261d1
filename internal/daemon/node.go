package daemon

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/view"
)

// A node is the daemon as the control API sees it.
type node struct{ *daemon }

// GetVip tells all that is known of a VIP.
func (n node) GetVip(ctx context.Context, vip string) (*vipdv1.Vip, error) {
	name, err := n.resolve(vip)
	if err != nil {
		return nil, err
	}
	v, err := n.whole(ctx, name)
	if err != nil {
		return nil, err
	}
	v.Sent = n.sent(ctx, name)
	return v, nil
}

// Explain says why a VIP is announced or not.
func (n node) Explain(ctx context.Context, vip string) (*vipdv1.Explanation, error) {
	v, err := n.GetVip(ctx, vip)
	if err != nil {
		return nil, err
	}
	return view.Explain(view.ExplainInputs{VIP: v, Node: n.nodeMessage(), Neighbors: n.neighborMessages(), Sent: v.GetSent()}), nil
}

// whole is one VIP with all but what neighbors are sent.
func (n node) whole(ctx context.Context, name string) (*vipdv1.Vip, error) {
	all, err := n.Fresh(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, control.Refuse(control.NotFound, "vip %s: is gone", name)
	}
	v := all[0]
	if known, _ := n.sink.known(name); known.made.Spec != nil {
		v.Spec, err = shownSpec(known.made.Spec)
	}
	return v, err
}

// sent asks the speaker what each neighbor gets. What can't be asked is left
// out: the speaker's problem tells why.
func (n node) sent(ctx context.Context, name string) []*vipdv1.Sent {
	known, ok := n.sink.known(name)
	if !ok || n.rec == nil {
		return nil
	}
	sent, err := n.rec.Sent(ctx, known.vip.Prefix)
	if err != nil {
		n.Log.Debug("what neighbors are sent is not known", zap.String("vip", name), zap.Error(err))
	}
	return view.SentTo(sent, view.Carriers(n.neighborMessages(), known.vip.Prefix))
}

// Fresh returns VIPs with the figures of their last probes.
func (n node) Fresh(ctx context.Context, names []string) ([]*vipdv1.Vip, error) {
	all, err := n.loop.Look(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([]*vipdv1.Vip, 0, len(all))
	for _, status := range all {
		if v := n.vipMessage(status); v != nil {
			view.Fresh(v, status)
			out = append(out, v)
		}
	}
	return out, nil
}

// Sessions returns the BFD sessions with their transitions.
func (n node) Sessions(ctx context.Context) ([]*vipdv1.BfdSession, error) {
	return n.sessionMessages(ctx, true), nil
}

// SetOverride puts an operator's word on a VIP.
func (n node) SetOverride(ctx context.Context, by control.Actor, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error) {
	var name string
	err := n.do(ctx, func(ctx context.Context) (err error) {
		if name, err = n.resolve(r.GetVip()); err != nil {
			return err
		}
		return n.setOverride(ctx, by, name, r)
	})
	if err != nil {
		return nil, err
	}
	return n.shown(ctx, name, r.GetWait())
}

// shown is a VIP after a change: with wait, once the speaker shows it.
func (n node) shown(ctx context.Context, name string, wait bool) (*vipdv1.Vip, error) {
	if err := n.publisher.Sync(ctx); err != nil {
		return nil, err
	}
	if wait && n.rec != nil {
		if known, ok := n.sink.known(name); ok {
			patient, cancel := beforeDeadline(ctx)
			defer cancel()
			if err := n.rec.Shown(patient, known.vip.Prefix); err != nil {
				return nil, control.Refuse(control.Unconfirmed, "vip %s: is decided and kept, but the speaker did not show it in time: %v", name, err)
			}
			if err := n.publisher.Sync(ctx); err != nil {
				return nil, err
			}
		}
	}
	return n.whole(ctx, name)
}

// beforeDeadline ends a little before ctx, so that there is time to say why.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	at, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, at.Add(-min(time.Until(at)/4, 200*time.Millisecond)), errors.New("the call's time is over"))
}

// Drain takes this node out of service.
func (n node) Drain(ctx context.Context, by control.Actor, r *vipdv1.DrainRequest, tell func(*vipdv1.DrainProgress) error) error {
	var since time.Time
	err := n.do(ctx, func(ctx context.Context) error {
		err := n.drainNode(ctx, by, r)
		if err == nil {
			since = n.words.drain.Since
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := n.publisher.Sync(ctx); err != nil {
		return err
	}
	if r.GetWait() {
		return n.followDrain(ctx, since, tell)
	}
	p, _ := n.drainer.Progress()
	return tell(n.progressMessage(p))
}

// Undrain puts it back.
func (n node) Undrain(ctx context.Context, by control.Actor) (*vipdv1.Node, error) {
	if err := n.do(ctx, func(ctx context.Context) error { return n.undrain(ctx, by, "") }); err != nil {
		return nil, err
	}
	return n.nodeMessage(), n.publisher.Sync(ctx)
}

// UpsertVip makes or changes a VIP.
func (n node) UpsertVip(ctx context.Context, by control.Actor, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error) {
	if err := n.upsert(ctx, by, r); err != nil {
		return nil, err
	}
	return n.shown(ctx, r.GetVip().GetName(), r.GetWait())
}

// DeleteVip removes one.
func (n node) DeleteVip(ctx context.Context, by control.Actor, r *vipdv1.DeleteVipRequest) error {
	was, err := n.deleteVIP(ctx, by, r)
	if err != nil {
		return err
	}
	if err := n.publisher.Sync(ctx); err != nil || !r.GetWait() || n.rec == nil || !was.Prefix.IsValid() {
		return err
	}
	patient, cancel := beforeDeadline(ctx)
	defer cancel()
	if err := n.rec.Shown(patient, was.Prefix); err != nil {
		return control.Refuse(control.Unconfirmed, "vip %s: is removed here, but the speaker did not show it in time: %v", was.Name, err)
	}
	return nil
}

// ReplaceVips makes these an owner's.
func (n node) ReplaceVips(ctx context.Context, by control.Actor, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error) {
	c, err := n.replaceVIPs(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return &vipdv1.ReplaceVipsResponse{
		Added: uint32(c.Added), Changed: uint32(c.Changed), Removed: uint32(len(c.Remove)), Unchanged: uint32(c.Unchanged), Generation: c.Generation,
	}, n.publisher.Sync(ctx)
}

// AddBfdSession makes a BFD session.
func (n node) AddBfdSession(ctx context.Context, by control.Actor, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error) {
	var id string
	err := n.do(ctx, func(ctx context.Context) (err error) {
		id, err = n.addSession(ctx, by, r)
		return err
	})
	if err == nil {
		err = n.publisher.Sync(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range n.sessionMessages(ctx, false) {
		if s.GetId() == id {
			return s, nil
		}
	}
	// The engine takes it in a moment.
	return &vipdv1.BfdSession{Id: id, Peer: r.GetPeer(), Local: r.GetLocal(), Interface: r.GetInterface(), Multihop: r.GetMultihop(), Owner: ownerOf(r.GetOwner()), State: "down"}, nil
}

// RemoveBfdSession ends one.
func (n node) RemoveBfdSession(ctx context.Context, by control.Actor, r *vipdv1.RemoveBfdSessionRequest) error {
	if err := n.do(ctx, func(ctx context.Context) error { return n.removeSession(ctx, by, r.GetId()) }); err != nil {
		return err
	}
	return n.publisher.Sync(ctx)
}

// Reload reads the configuration anew.
func (n node) Reload(ctx context.Context, by control.Actor) (warnings []string, err error) {
	warnings, err = n.reloadConfig(ctx, by)
	var stopping *control.Refusal
	if errors.As(err, &stopping) {
		return warnings, err
	}
	if err != nil {
		return warnings, control.Refuse(control.Precondition, "the old configuration stays in force: %v", err)
	}
	return warnings, n.publisher.Sync(ctx)
}

// CheckConfig tells what this vipd would make of a file.
func (n node) CheckConfig(ctx context.Context, fileName string, content []byte) (*vipdv1.CheckConfigResponse, error) {
	if n.Parse == nil {
		return nil, control.Refuse(control.Unavailable, "started without a way to check")
	}
	return reading(ctx, n.fitting, func() *vipdv1.CheckConfigResponse { return n.checked(fileName, content) })
}

func (n node) checked(fileName string, content []byte) *vipdv1.CheckConfigResponse {
	cfg, problems, err := n.Parse(fileName, content)
	out := &vipdv1.CheckConfigResponse{Ok: cfg != nil && err == nil}
	if err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	for _, p := range problems {
		out.Problems = append(out.Problems, p.String())
	}
	if cfg == nil {
		return out
	}
	var text bytes.Buffer
	if err := Describe(&text, cfg); err != nil {
		out.Ok, out.Problems = false, append(out.Problems, err.Error())
	}
	out.Description = text.String()
	return out
}

var _ control.Node = node{}
