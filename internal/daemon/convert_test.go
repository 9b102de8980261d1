package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
)

// FuzzAcceptedConfigRuns holds config and the rooms together: what the one
// accepts, with a place for each mistake, the others must not refuse.
func FuzzAcceptedConfigRuns(f *testing.F) {
	for _, seed := range []string{
		"vips: [{name: a, prefix: 192.0.2.1, check: w, backends: [{address: '127.0.0.1:80'}]}]\nchecks: {w: {kind: http, path: /x%20y, headers: {Accept: 'a/b'}}}",
		"vips: [{name: a, prefix: 192.0.2.1, check: w, backends: [{address: '[::1]:80'}]}]\nchecks: {w: {kind: http, path: /%zz}}",
		"vips: [{name: a, prefix: 192.0.2.1, check: w, backends: [{address: 'web.example:80'}]}]\nchecks: {w: {kind: https, host: 'a b', headers: {Trailer: x}}}",
		"vips: [{name: a, prefix: 192.0.2.1, check: w, backends: [{address: '127.0.0.1:80'}]}]\nchecks: {w: {kind: http, headers: {X-A: \"a\\x01b\"}, port: 8080}}",
		"vips: [{name: a, prefix: 192.0.2.1, check: w, link_bandwidth: true, min_healthy: 50%, degraded: [{below: 80%, med: 1}], backends: [{address: '127.0.0.1:80', weight: 0}, {address: '127.0.0.1:81'}]}]\nchecks: {w: {kind: tcp, send: a, expect: 'b.*', watch: true}}",
		"bgp: {speaker: embedded, local_as: 65001, router_id: 10.0.0.1, neighbors: [{address: 10.0.0.2, remote_as: 65000, export: {deny: [192.0.2.0/24], med: 5}}]}",
		"bfd: {profiles: {a: {auth: {type: frr-hmac-sha1, key_id: 1, key_file: x}}, b: {common_intervals: true}}, unsolicited: {profile: a, allow: [10.0.0.0/8]}, sessions: [{peer: 10.0.0.1, profile: a}, {peer: 'fe80::1%e', profile: b}, {peer: '2001:db8::1', profile: b, multihop: true}]}",
		"vips: [{name: a, prefix: 192.0.2.1, check: w, backends: [{address: '127.0.0.1:80'}]}]\nchecks: {w: {kind: tcp, bfd: l}, l: {kind: bfd, profile: p, multihop: true}}\nbfd: {listen: [127.0.0.1], profiles: {p: {min_ttl: 1, tx: 10ms, rx: 60s}}}",
	} {
		f.Add([]byte(seed))
	}
	pool, live := check.NewPool(), newLiveness(zap.NewNop())
	engine, err := bfdengine.New(bfdengine.Options{})
	if err != nil {
		f.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	secret := func(string) ([]byte, error) { return []byte("secret"), nil }
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, _ := config.Parse("fuzz.yaml", data, config.Options{Hostname: "n", ReadFile: secret})
		if cfg == nil {
			return
		}
		vips, err := vipsOf(cfg, pool, live)
		if err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		if len(vips) != len(cfg.VIPs) {
			t.Fatalf("%d VIPs of %d", len(vips), len(cfg.VIPs))
		}
		for _, spec := range specsOf(cfg) {
			if err := engine.Add(over, spec); !errors.Is(err, context.Canceled) {
				t.Fatalf("accepted, but: %v", err)
			}
		}
		if _, err := bfdengine.New(bfdOptions(cfg.BFD)); err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		managementOf(cfg.BGP)
		if err := Describe(new(bytes.Buffer), cfg); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFamiliesOfNeighbors(t *testing.T) {
	for _, c := range []struct {
		rule      string
		addresses []string
		want      string // of the first neighbor
	}{
		{"one session carries both families", []string{"10.0.0.2"}, "true true"},
		{"also beside others of its kind", []string{"10.0.0.2", "10.0.0.3"}, "true true"},
		{"with a session for each family, IPv4 is on IPv4", []string{"10.0.0.2", "fd00::2"}, "true false"},
		{"and IPv6 on IPv6", []string{"fd00::2", "10.0.0.2"}, "false true"},
	} {
		b := config.BGP{Manage: true}
		for _, a := range c.addresses {
			b.Neighbors = append(b.Neighbors, config.Neighbor{Address: netip.MustParseAddr(a)})
		}
		n := managementOf(b).Neighbors[0]
		if have := fmt.Sprint(n.IPv4, n.IPv6); have != c.want {
			t.Errorf("%s: have %s, want %s", c.rule, have, c.want)
		}
	}
}
