package daemon

import (
	"net/netip"
	"slices"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/internal/config"
)

// bfdOptions makes what only a start can put in force.
func bfdOptions(b config.BFD) bfdengine.Options {
	o := bfdengine.Options{Listen: b.Listen, Scheduling: bfdengine.Scheduling{
		Realtime: b.Scheduling.RealtimePriority, LockMemory: b.Scheduling.LockMemory, CPUs: b.Scheduling.CPUs,
	}}
	if len(b.Listen) == 2 && slices.Contains(b.Listen, netip.IPv4Unspecified()) && slices.Contains(b.Listen, netip.IPv6Unspecified()) {
		o.Listen = nil // the engine's own way to say so, on a host without IPv6 too
	}
	if u := b.Unsolicited; u != nil {
		o.Unsolicited = bfdengine.Unsolicited{Prefixes: u.Allow, Interfaces: u.Interfaces, Max: u.MaxSessions, Params: paramsOf(u.Profile, false)}
	}
	return o
}

// hasEcho reports whether any session has to do with echo packets.
func hasEcho(b config.BFD) bool {
	return slices.ContainsFunc(b.Sessions, func(s config.BFDSession) bool { return s.Profile.Echo || s.Profile.EchoRX > 0 }) ||
		b.Unsolicited != nil && b.Unsolicited.Profile.EchoRX > 0
}

func sessionKey(k config.BFDKey) bfdengine.Key {
	return bfdengine.Key{Peer: k.Peer, Local: k.Local, Interface: k.Interface, Multihop: k.Multihop, Echo: k.Echo}
}

// specsOf makes the engine's sessions of the configuration's.
func specsOf(cfg *config.Config) map[bfdengine.Key]bfdengine.Spec {
	specs := make(map[bfdengine.Key]bfdengine.Spec, len(cfg.BFD.Sessions))
	for _, s := range cfg.BFD.Sessions {
		key := sessionKey(s.BFDKey)
		specs[key] = bfdengine.Spec{Key: key, Params: paramsOf(s.Profile, s.Multihop)}
	}
	// BFD with a neighbor goes on while a gobgpd beside us restarts: then its
	// failure means the path's, even to a router that waits for the restart
	// (RFC 5882 §4.3.1). An embedded speaker ends with its BFD.
	for _, n := range cfg.BGP.Neighbors {
		if n.BFD != nil && cfg.BGP.Speaker == config.SpeakerGoBGP {
			spec := specs[sessionKey(n.BFD.BFDKey)]
			spec.ControlPlaneIndependent = true
			specs[spec.Key] = spec
		}
	}
	return specs
}

func paramsOf(p config.BFDProfile, multihop bool) bfdengine.Params {
	params := bfdengine.Params{
		DesiredMinTx: p.TX, RequiredMinRx: p.RX, DetectMult: p.Multiplier,
		Passive: p.Passive, CommonIntervals: p.CommonIntervals, Auth: authOf(p.Auth),
	}
	params.EchoSource, params.RequiredMinEchoRx = p.EchoSource, p.EchoRX
	if multihop {
		params.MinTTL = p.MinTTL
	}
	return params
}

func authOf(a *config.BFDAuth) bfdengine.Auth {
	if a == nil {
		return bfdengine.Auth{}
	}
	types := map[string]packet.AuthType{
		"simple": packet.SimplePassword, "md5": packet.KeyedMD5, "meticulous-md5": packet.MeticulousMD5,
		"sha1": packet.KeyedSHA1, "meticulous-sha1": packet.MeticulousSHA1,
		"frr-hmac-sha1": packet.FRRHMACSHA1, "frr-hmac-meticulous-sha1": packet.FRRHMACMeticulousSHA1,
	}
	auth := bfdengine.Auth{Type: types[a.Type]}
	for _, k := range a.Keys {
		auth.Keys = append(auth.Keys, packet.Key{
			ID: k.ID, Secret: []byte(k.Secret),
			AcceptFrom: k.AcceptFrom, AcceptUntil: k.AcceptUntil, SendFrom: k.SendFrom, SendUntil: k.SendUntil,
		})
	}
	return auth
}
