package daemon

import (
	"bytes"
	"testing"

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
	} {
		f.Add([]byte(seed))
	}
	pool := check.NewPool()
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, _ := config.Parse("fuzz.yaml", data, config.Options{Hostname: "n"})
		if cfg == nil {
			return
		}
		vips, err := vipsOf(cfg, pool)
		if err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		if len(vips) != len(cfg.VIPs) {
			t.Fatalf("%d VIPs of %d", len(vips), len(cfg.VIPs))
		}
		managementOf(cfg.BGP)
		if err := Describe(new(bytes.Buffer), cfg); err != nil {
			t.Fatal(err)
		}
	})
}
