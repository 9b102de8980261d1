package daemon

import (
	"context"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/web"
)

// sources lets the web room read snapshots of the others.
func (d *daemon) sources() web.Sources {
	return web.Sources{
		Status: d.status, Alive: d.alive, Ready: d.ready, Timings: d.timings,
		Board: d.board, Fresh: node{d}.Fresh, Sessions: node{d}.Sessions,
	}
}

func (d *daemon) status(ctx context.Context) (web.Status, error) {
	loop, err := d.loop.Snapshot(ctx)
	if err != nil {
		return web.Status{}, err
	}
	s := web.Status{
		Draining: d.drainShown() != nil, Reload: *d.reload.Load(), ProbesSkipped: loop.Skipped, Hooks: d.hooks.stats(),
	}
	if d.api != nil {
		watchers, refused := d.api.Stats()
		s.API = &web.API{Watchers: watchers, Refused: refused}
	}
	if d.memory.keeps() {
		s.State = &web.State{Saves: d.memory.saves.Load(), Failures: d.memory.failures.Load()}
	}
	if s.BFD = d.live.status(ctx); s.BFD != nil {
		u := d.uplinks.counted()
		s.BFD.UplinksAlive, s.BFD.UplinksLost = u.Up, u.Total-u.Up
	}
	advertised := map[string]bool{}
	if d.rec != nil {
		speaker := d.rec.Status()
		s.Speaker = speakerStatus(speaker)
		advertised = d.advertised(speaker)
	}
	for _, v := range loop.VIPs {
		s.VIPs = append(s.VIPs, vipStatus(v, advertised[v.Name]))
	}
	return s, nil
}

// advertised tells for which VIPs the speaker showed a route of ours.
func (d *daemon) advertised(s bgpclient.Status) map[string]bool {
	shown := make(map[netip.Prefix]bool, len(s.Routes))
	for _, r := range s.Routes {
		shown[r.Prefix] = r.Installed
	}
	out := make(map[string]bool, len(shown))
	for name, prefix := range d.sink.prefixes() {
		out[name] = shown[prefix]
	}
	return out
}

func vipStatus(v healthloop.VIPStatus, advertised bool) web.VIP {
	out := web.VIP{
		Name:         v.Name,
		State:        v.Intent.State.String(),
		Override:     overrideWord(v.Override),
		HeldDown:     v.Intent.Rule == healthloop.RuleHoldDown,
		Advertised:   advertised,
		ToAdvertised: v.Transitions[healthloop.Advertised],
		ToWithdrawn:  v.Transitions[healthloop.Withdrawn],
		Healthy:      v.Tally.Healthy,
		Unknown:      v.Tally.Unknown,
		Unhealthy:    v.Tally.Total - v.Tally.Healthy - v.Tally.Unknown,
		Backends:     make([]web.Backend, 0, len(v.Backends)),
	}
	for _, b := range v.Backends {
		failures := make(map[string]uint64, len(b.Failures))
		for reason, n := range b.Failures {
			failures[string(reason)] = n
		}
		out.Backends = append(out.Backends, web.Backend{Name: b.Name, Up: b.Health == healthloop.Up, Failures: failures})
	}
	return out
}

// overrideWord is empty where the checks decide.
func overrideWord(o healthloop.Override) string {
	return map[healthloop.Word]string{healthloop.ForceAdvertise: "advertise", healthloop.ForceWithdraw: "withdraw"}[o.Word]
}

func speakerStatus(s bgpclient.Status) *web.Speaker {
	out := &web.Speaker{
		Up: s.Link.Connected, Wanted: s.Wanted, Installed: s.Installed, Foreign: s.Foreign, Drift: s.Drift,
	}
	held := map[netip.Addr]bool{}
	for _, h := range s.Holds {
		held[h.Address] = h.Ours || h.Withhold
	}
	for _, n := range s.Neighbors {
		out.Neighbors = append(out.Neighbors, web.Neighbor{
			Address: n.Address, State: int(n.State), Held: held[n.Address], Sent: messages(n.Sent), Received: messages(n.Received),
		})
	}
	return out
}

func messages(m bgpclient.MessageCounts) web.Messages {
	return web.Messages{Open: m.Open, Update: m.Update, Notification: m.Notification, Keepalive: m.Keepalive, Refresh: m.Refresh}
}
