package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const oneVIP = `
bgp: {communities: ["1:1", no-export], med: 1, local_pref: 1, next_hop: 10.0.0.1}
checks: {web: {kind: tcp}}
vips:
  - name: web
    prefix: 192.0.2.1
    check: web
    announce: {communities: ["1:2", "1:1"], large_communities: ["1:1:1"], med: 2, as_path_prepend: 2}
    degraded:
      - {below: "80%", communities: [blackhole], as_path_prepend: 0, next_hop: 10.0.0.9}
      - {below: "60%", med: 0}
    backends: [{address: "10.0.0.1:80"}]
`

// Lists are joined, each value once; the others replace. A level lies over the
// VIP's attributes, which lie over those of bgp.
func TestAttributesAreMerged(t *testing.T) {
	v := parse(t, oneVIP, Options{}).VIPs[0]
	n := func(n uint32) *uint32 { return &n }
	vip := Announce{
		Communities: []uint32{1<<16 | 1, 0xFFFFFF01, 1<<16 | 2}, LargeCommunities: [][3]uint32{{1, 1, 1}},
		MED: n(2), LocalPref: n(1), ASPathPrepend: 2, NextHop4: netip.MustParseAddr("10.0.0.1"),
	}
	low, high := vip, vip
	low.MED = n(0)
	high.Communities, high.ASPathPrepend = append(high.Communities[:3:3], 0xFFFF029A), 0
	high.NextHop4 = netip.MustParseAddr("10.0.0.9")
	if !reflect.DeepEqual(v.Announce, vip) {
		t.Errorf("VIP: got %+v\nwant %+v", v.Announce, vip)
	}
	want := []Degraded{{Threshold{Percent: 60}, low}, {Threshold{Percent: 80}, high}}
	if !reflect.DeepEqual(v.Degraded, want) {
		t.Errorf("levels, lowest first: got %+v\nwant %+v", v.Degraded, want)
	}
}

func TestLinkBandwidthIsInBytes(t *testing.T) {
	for text, want := range map[string]LinkBandwidth{
		"false":                           {},
		"true":                            {125e6, 10 * time.Second},
		"{}":                              {125e6, 10 * time.Second},
		"{per_weight: 8k, settle: 1s}":    {1000, time.Second},
		"{per_weight: 16}":                {2, 10 * time.Second},
		"{per_weight: 1.6T, settle: 0s}":  {2e11, 0},
		"{per_weight: 1000T, settle: 1h}": {125e12, time.Hour},
	} {
		text := strings.Replace(oneVIP, "    announce:", "    link_bandwidth: "+text+"\n    announce:", 1)
		if got := parse(t, text, Options{}).VIPs[0].LinkBandwidth; got != want {
			t.Errorf("%s: %+v, not %+v", text, got, want)
		}
	}
}

func TestBackendsTakeTheCheckOfTheVIP(t *testing.T) {
	c := parse(t, `
checks: {web: {kind: https, port: 8080}, db: {kind: tcp, send: "PING\r\n\0", expect: PONG}}
vips:
  - name: a
    prefix: 2001:db8::1
    check: web
    min_healthy: 2
    backends: [{address: "10.0.0.1:80"}, {address: "[2001:db8::2]:80", name: two, check: db}, {address: "x:80", weight: 0}]
`, Options{})
	b := c.VIPs[0].Backends
	if b[0].Name != "10.0.0.1:80" || b[0].Weight != 1 || b[0].Check.Name != "web" || b[0].Check.TLS == nil || b[0].Check.Port != 8080 {
		t.Errorf("got %+v", b[0])
	}
	if b[1].Name != "two" || b[1].Check.Kind != "tcp" || string(b[1].Check.Send) != "PING\r\n\x00" || !b[1].Check.Expect.MatchString("+PONG") {
		t.Errorf("got %+v", b[1])
	}
	if b[2].Weight != 0 {
		t.Errorf("got %+v", b[2])
	}
	if s := b[0].Check.ExpectStatus; len(s) != 1 || s[0] != (StatusRange{200, 299}) {
		t.Errorf("statuses %v", s)
	}
}

func TestNextHopOfAFamilyWithoutNeighbor(t *testing.T) {
	const text = `
bgp: {manage: true, local_as: 1, router_id: 1.1.1.1, BGP neighbors: [{address: NEIGHBOR, remote_as: 2}]}
checks: {web: {kind: tcp}}
vips: [{name: a, prefix: PREFIX, check: web, announce: {next_hop: "VIP"}, backends: [{address: "10.0.0.1:80"}]}]
`
	for _, tt := range []struct {
		name, neighbor, prefix, bgp, vip string
		problems                         int
	}{
		{"same family", "10.0.0.1", "192.0.2.1", "", "", 0},
		{"other family", "10.0.0.1", "2001:db8::1", "", "", 1},
		{"other family, the VIP has one", "10.0.0.1", "2001:db8::1", "", "2001:db8::2", 0},
		{"other family, bgp has one", "10.0.0.1", "2001:db8::1", "next_hop_ipv6: 2001:db8::2,", "", 0},
		{"other family, bgp has one of the wrong", "10.0.0.1", "2001:db8::1", "next_hop: 10.0.0.2,", "", 1},
		{"IPv4 over IPv6", "2001:db8::9", "192.0.2.1", "", "", 1},
		{"IPv4 over IPv6, bgp has one", "2001:db8::9", "192.0.2.1", "next_hop: 10.0.0.2,", "", 0},
		{"other family, bgp says the default", "10.0.0.1", "2001:db8::1", "next_hop_ipv6: '',", "", 1},
		{"other family, bgp has a wrong one: told once", "10.0.0.1", "2001:db8::1", "next_hop_ipv6: none,", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			full := strings.NewReplacer("NEIGHBOR", tt.neighbor, "PREFIX", tt.prefix, "BGP", tt.bgp, "VIP", tt.vip).Replace(text)
			c, problems := Parse("vipd.yaml", []byte(full), Options{Hostname: "h"})
			if len(problems) != tt.problems || (c == nil) != (tt.problems > 0) {
				t.Errorf("accepted: %t\n%s", c != nil, lines(problems))
			}
		})
	}
}

func TestHostPortIsTakenApartStrictly(t *testing.T) {
	for text, want := range map[string]bool{
		"a:1": true, "a.b.example.:65535": true, "1.2.3.4:0": true, "[::1]:80": true, "[fe80::1%eth0]:80": true, "a_b:80": true,
		"": false, ":80": false, "a": false, "a:": false, "a:65536": false, "a:-1": false, "a:+1": false, "::1:80": false,
		"[1.2.3.4]:80": false, "[::1:80": false, "::1]:80": false, "a b:80": false, "a..b:80": false, "1.2.3:80": false,
		"a-:80": false, strings.Repeat("a", 64) + ":80": false, strings.Repeat("a.", 127) + ":80": true, strings.Repeat("a.", 128) + ":80": false,
	} {
		if _, _, ok := splitHostPort(text); ok != want {
			t.Errorf("%q: %t", text, ok)
		}
	}
}

func TestParentUndoesJoinAndItem(t *testing.T) {
	for _, path := range []string{"a", "a.b", `a."b.c"`, `a."b\"[0].c"`, `"".x`} {
		for child, want := range map[string]string{join(path, "k"): path, join(path, `q".[`): path, item(path, 3): path} {
			if got := parent(child); got != want {
				t.Errorf("parent(%s) = %s", child, got)
			}
		}
	}
	if parent("a") != "" {
		t.Error("a has a parent")
	}
}
