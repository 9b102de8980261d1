package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const oneOfEachSession = `
bgp:
  speaker: embedded
  local_as: 65001
  router_id: 10.0.0.1
  neighbors:
    - {address: 10.0.0.254, remote_as: 65000, local_address: 10.0.0.1, bfd: fast, bfd_hold_up: 2s}
    - {address: 10.9.0.1, remote_as: 65002, multihop_ttl: 3, bfd: slow, on_bfd_down: withdraw, bfd_strict: true, bfd_hold_up: 1s, bfd_hold_up_max: 8s}
    - {address: 10.9.0.2, remote_as: 65001, bfd: slow, bfd_multihop: true, on_bfd_down: none}
    - {address: 10.0.0.253, remote_as: 65000}
    - {address: "fe80::1%eth1", remote_as: 65000, bfd: fast}
bfd:
  profiles: {fast: {tx: 100ms, rx: 150ms}, slow: {passive: true}}
  sessions:
    - {peer: 10.0.0.254, local: 10.0.0.1, profile: fast}
    - {peer: "fe80::1", interface: eth1, profile: fast}
    - {peer: 10.0.0.252, interface: eth0, profile: slow}
checks:
  alive: {kind: bfd, profile: fast, multihop: true}
  web: {kind: tcp, bfd: alive}
  plain: {kind: tcp}
vips:
  - name: a
    prefix: 192.0.2.1
    check: web
    backends:
      - {address: "10.1.0.1:80"}
      - {address: "10.1.0.1:81", check: alive}
      - {address: "10.1.0.2:80", check: plain}
      - {address: "[2001:db8::3]:80", check: alive}
`

func TestSessionsOfAllWhoWantThemEachOnce(t *testing.T) {
	c := parse(t, oneOfEachSession, Options{})
	var have []string
	for _, s := range c.BFD.Sessions {
		have = append(have, strings.TrimSpace(fmt.Sprintf("%s %s %s %t %s", s.Peer, s.Local, s.Interface, s.Multihop, s.Profile.Name)))
	}
	want := []string{
		"10.0.0.252 invalid IP eth0 false slow",
		"10.0.0.254 10.0.0.1  false fast",
		"10.1.0.1 invalid IP  true fast",
		"10.9.0.1 invalid IP  true slow",
		"10.9.0.2 invalid IP  true slow",
		"2001:db8::3 invalid IP  true fast",
		"fe80::1%eth1 invalid IP eth1 false fast",
	}
	if !slices.Equal(have, want) {
		t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestNeighborsAndBackendsKnowTheirSession(t *testing.T) {
	c := parse(t, oneOfEachSession, Options{})
	n := c.BGP.Neighbors
	if n[3].BFD != nil {
		t.Error("a neighbor without bfd has a session")
	}
	for i, want := range []NeighborBFD{
		{BFDKey{Peer: n[0].Address, Local: n[0].LocalAddress}, OnBFDDownDisable, 2 * time.Second, 2 * time.Second, false, 30 * time.Second},
		{BFDKey{Peer: n[1].Address, Multihop: true}, OnBFDDownWithdraw, time.Second, 8 * time.Second, true, 30 * time.Second},
		{BFDKey{Peer: n[2].Address, Multihop: true}, OnBFDDownNone, 0, 0, false, 30 * time.Second},
	} {
		if *n[i].BFD != want {
			t.Errorf("neighbor %d: have %+v, want %+v", i, *n[i].BFD, want)
		}
	}
	for i, want := range []string{"10.1.0.1", "10.1.0.1", "", "2001:db8::3"} {
		peer, _ := netip.ParseAddr(want)
		if have := c.VIPs[0].Backends[i].BFD; have.Peer != peer || peer.IsValid() && !have.Multihop {
			t.Errorf("backend %d: have %+v, want %s", i, have, want)
		}
	}
}

func TestPassivePartnerOfUnsolicitedSessions(t *testing.T) {
	c := parse(t, "bfd: {profiles: {p: {}}, unsolicited: {profile: p, allow: [10.0.0.0/8]}}", Options{})
	if u := c.BFD.Unsolicited; u == nil || !u.Profile.Passive || u.MaxSessions != 16 {
		t.Errorf("have %+v", u)
	}
}

func TestSecretsOfBFDAreInNoText(t *testing.T) {
	disk := files{"key": "hush\n"}
	c := parse(t, "bfd: {profiles: {p: {auth: {type: sha1, key_id: 1, key_file: key}}}, sessions: [{peer: 10.0.0.1, profile: p}]}", Options{ReadFile: disk.read})
	keys := c.BFD.Sessions[0].Profile.Auth.Keys
	if string(keys[0].Secret) != "hush" {
		t.Errorf("secret %q", string(keys[0].Secret))
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x", "%#v"} {
		if text := fmt.Sprintf(verb, keys); strings.Contains(text, "hush") || strings.Contains(text, "104") || strings.Contains(text, "0x68") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
}
