// Package view turns what the rooms know into messages of the API, and explains
// them. It has no state and no clock, and decides nothing.
package view

import (
	"net/netip"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
)

// A Def is what a VIP is defined as, besides what the health loop knows.
type Def struct {
	Prefix    netip.Prefix
	Owner     string // empty: the configuration file
	Version   uint64
	Addresses map[string]string // of the backends, by name
}

// VIP shows a VIP without the figures of probes. The zero r is that the speaker
// is not asked for a route; attributes are those of the wanted one, for people.
func VIP(s healthloop.VIPStatus, d Def, r bgpclient.RouteStatus, attributes string) *vipdv1.Vip {
	i := s.Intent
	v := &vipdv1.Vip{
		Name: s.Name, Prefix: d.Prefix.String(), Owner: d.Owner, Version: d.Version,
		State: i.State.String(), Rule: string(i.Rule), Reason: i.Reason, Since: stamp(s.Since),
		Tally: &vipdv1.Tally{
			Healthy: uint32(s.Tally.Healthy), Unknown: uint32(s.Tally.Unknown), Total: uint32(s.Tally.Total),
			HealthyWeight: uint32(s.Tally.HealthyWeight), TotalWeight: uint32(s.Tally.TotalWeight),
		},
		MinHealthy: s.Policy.MinHealthy.String(),
		// The zero Intent has level 0, and is not degraded.
		Degraded:         i.State == healthloop.Advertised && i.Level >= 0,
		GracefulShutdown: i.GracefulShutdown,
		LinkBandwidth:    i.LinkBandwidth,
		Override:         override(s.Override),
		HoldUntil:        stamp(s.HoldUntil),
		Route:            route(r, attributes),
		Backends:         make([]*vipdv1.Backend, 0, len(s.Backends)),
	}
	for _, b := range s.Backends {
		v.Backends = append(v.Backends, backend(b, d.Addresses[b.Name]))
	}
	return v
}

func override(o healthloop.Override) *vipdv1.Override {
	if o.Word == healthloop.Auto {
		return nil
	}
	word := "advertise"
	if o.Word == healthloop.ForceWithdraw {
		word = "withdraw"
	}
	return &vipdv1.Override{Word: word, By: o.By, Reason: o.Reason, Since: stamp(o.Since), Until: stamp(o.Until)}
}

func route(r bgpclient.RouteStatus, attributes string) *vipdv1.Route {
	if !r.Prefix.IsValid() {
		return nil
	}
	return &vipdv1.Route{
		Wanted: r.Want.State == bgpclient.Present, Installed: r.Installed, Confirmed: r.Confirmed,
		Foreign: r.Foreign, Error: r.Err, Attributes: attributes,
	}
}

func backend(b healthloop.BackendStatus, address string) *vipdv1.Backend {
	out := &vipdv1.Backend{
		Name: b.Name, Address: address, Weight: uint32(b.Weight), Kind: b.Kind,
		Health: b.Health.String(), Since: stamp(b.Since),
	}
	if b.Err != nil {
		// A backend's words may be anything, and one message with other bytes than
		// UTF-8 would spoil the whole list.
		out.Error, out.Failure = strings.ToValidUTF8(b.Err.Error(), "�"), string(b.Reason)
	}
	return out
}

// Fresh adds the figures of the last probes to v, which must not be shared.
func Fresh(v *vipdv1.Vip, s healthloop.VIPStatus) {
	by := make(map[string]*healthloop.BackendStatus, len(s.Backends))
	for i := range s.Backends {
		by[s.Backends[i].Name] = &s.Backends[i]
	}
	for _, b := range v.GetBackends() {
		from := by[b.GetName()]
		if from == nil {
			continue
		}
		b.Probed, b.Latency = stamp(from.Probed), from.Took.Seconds()
		b.Latencies, b.Failures = nil, 0
		for _, took := range from.Recent {
			b.Latencies = append(b.Latencies, float32(took.Seconds()))
		}
		for _, n := range from.Failures {
			b.Failures += n
		}
	}
}

// stamp is t for a message; the zero time is unset.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// instant names a time in a sentence, as reasons do.
func instant(t *timestamppb.Timestamp) string { return t.AsTime().UTC().Format(time.RFC3339) }
