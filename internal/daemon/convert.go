package daemon

import (
	"fmt"
	"slices"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
)

// vipsOf makes the loop's VIPs of the configuration's.
func vipsOf(cfg *config.Config, pool *check.Pool, live *liveness) ([]healthloop.VIP, error) {
	probers := newProbers(pool, live)
	out := make([]healthloop.VIP, 0, len(cfg.VIPs))
	for _, v := range cfg.VIPs {
		vip, err := probers.vip(v, cfg.BFD.UplinksKeep)
		if err != nil {
			return nil, fmt.Errorf("vip %s: %w", v.Name, err)
		}
		out = append(out, vip)
	}
	return out, nil
}

func policyOf(v config.VIP, keepUplinks bool) healthloop.Policy {
	p := healthloop.Policy{
		MinHealthy:    healthloop.Threshold(v.MinHealthy),
		HoldDown:      v.HoldDown,
		LinkBandwidth: healthloop.LinkBandwidth(v.LinkBandwidth),
	}
	if keepUplinks {
		p.OnUplinksDown = healthloop.UplinksKeep
	}
	for _, d := range v.Degraded {
		p.Degraded = append(p.Degraded, healthloop.Level{Below: healthloop.Threshold(d.Below)})
	}
	return p
}

// managementOf makes what a managed speaker is given, nil for hands off.
func managementOf(b config.BGP) *bgpclient.Management {
	if !b.Manage {
		return nil
	}
	m := &bgpclient.Management{Global: bgpclient.Global{
		ASN: b.LocalAS, RouterID: b.RouterID, ListenPort: b.ListenPort, ListenAddresses: b.ListenAddresses,
		UnicastOnly: b.Speaker == config.SpeakerEmbedded,
	}}
	// With a session for each family, one that carried both would have the
	// router count this node twice.
	mixed := slices.ContainsFunc(b.Neighbors, func(n config.Neighbor) bool { return n.Address.Is4() != b.Neighbors[0].Address.Is4() })
	for _, n := range b.Neighbors {
		m.Neighbors = append(m.Neighbors, bgpclient.Neighbor{
			Address: n.Address, ASN: n.RemoteAS, Description: n.Description, Port: n.Port,
			LocalAddress: n.LocalAddress, Password: n.Password, HoldTime: n.HoldTime,
			MultihopTTL: n.MultihopTTL, AddPathsSendMax: n.AddPathsSendMax, Passive: n.Passive,
			GracefulRestart: n.GracefulRestart, IPv4: !mixed || n.Address.Is4(), IPv6: !mixed || n.Address.Is6(),
		})
		m.Export = append(m.Export, exportOf(n)...)
	}
	return m
}

// exportOf makes the rules of one neighbor: what is denied, what is not
// allowed, and then what is changed in the rest.
func exportOf(n config.Neighbor) []bgpclient.ExportRule {
	var rules []bgpclient.ExportRule
	e := n.Export
	if len(e.Deny) > 0 {
		rules = append(rules, bgpclient.ExportRule{Neighbor: n.Address, Prefixes: e.Deny, Reject: true})
	}
	if len(e.Allow) > 0 {
		rules = append(rules, bgpclient.ExportRule{Neighbor: n.Address, Prefixes: e.Allow, Invert: true, Reject: true})
	}
	change := bgpclient.ExportRule{
		Neighbor: n.Address, Communities: communities(e.Communities),
		LargeCommunities: largeCommunities(e.LargeCommunities), MED: e.MED, Prepend: e.ASPathPrepend,
	}
	if len(e.Communities)+len(e.LargeCommunities) > 0 || e.MED != nil || e.ASPathPrepend > 0 {
		rules = append(rules, change)
	}
	return rules
}
