package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/fiberlb/vipd/internal/config"
)

func TestWhatNeedsARestartIsNamed(t *testing.T) {
	base := func() *config.Config {
		return &config.Config{Node: "a", BGP: config.BGP{Enabled: true, Manage: true, Speaker: config.SpeakerGoBGP}}
	}
	for name, change := range map[string]func(*config.Config){
		"node":                 func(c *config.Config) { c.Node = "b" },
		"bgp.enabled":          func(c *config.Config) { c.BGP.Enabled = false },
		"bgp.speaker":          func(c *config.Config) { c.BGP.Speaker = config.SpeakerEmbedded },
		"bgp.gobgp_address":    func(c *config.Config) { c.BGP.Address = "x" },
		"bgp.gobgp_api":        func(c *config.Config) { c.BGP.API = config.APIv3 },
		"bgp.tls":              func(c *config.Config) { c.BGP.TLS = &config.TLS{} },
		"bgp.local_as":         func(c *config.Config) { c.BGP.LocalAS = 2 },
		"bgp.router_id":        func(c *config.Config) { c.BGP.RouterID = netip.MustParseAddr("10.0.0.2") },
		"bgp.listen_port":      func(c *config.Config) { c.BGP.ListenPort = 1179 },
		"bgp.listen_addresses": func(c *config.Config) { c.BGP.ListenAddresses = []netip.Addr{netip.IPv6Loopback()} },
		"http.listen":          func(c *config.Config) { c.HTTP.Listen = "x" },
		"log.format":           func(c *config.Config) { c.Log.Format = "console" },
		"":                     func(c *config.Config) { c.Log.Level, c.Drain.GracePeriod, c.BGP.Neighbors = "debug", 1, nil },
	} {
		changed := base()
		change(changed)
		if have := strings.Join(needRestart(base(), changed), " "); have != name {
			t.Errorf("have %q, want %q", have, name)
		}
	}
}
