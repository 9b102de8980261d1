package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/internal/config"
)

const withSessions = `
bgp:
  %s
  local_as: 65001
  router_id: 10.0.0.1
  neighbors: [{address: 10.0.0.254, remote_as: 65000, bfd: a}, {address: 10.0.0.253, remote_as: 65000}]
bfd:
  profiles: {a: {min_ttl: 250, tx: 100ms}}
  sessions: [{peer: 10.0.0.252, profile: a}, {peer: 10.9.0.1, profile: a, multihop: true}]
state_dir: state
`

// The C bit says that BFD does not share fate with the control plane (RFC 5880
// §4.1): it does with a speaker in the same process.
func TestOnlySessionsBesideASpeakerOfItsOwnAreIndependent(t *testing.T) {
	for speaker, want := range map[string]bool{"manage: true": true, "speaker: embedded": false} {
		specs := specsOf(parse(t, fmt.Sprintf(withSessions, speaker)))
		for peer, independent := range map[string]bool{"10.0.0.254": want, "10.0.0.252": false} {
			spec, ok := specs[bfdengine.Key{Peer: netip.MustParseAddr(peer)}]
			if !ok || spec.ControlPlaneIndependent != independent {
				t.Errorf("%s: %s: have %+v", speaker, peer, spec)
			}
		}
	}
}

func TestMinimumTTLIsForMultihopOnly(t *testing.T) {
	specs := specsOf(parse(t, fmt.Sprintf(withSessions, "manage: true")))
	if s := specs[bfdengine.Key{Peer: netip.MustParseAddr("10.9.0.1"), Multihop: true}]; s.MinTTL != 250 {
		t.Errorf("multihop: %d", s.MinTTL)
	}
	if s := specs[bfdengine.Key{Peer: netip.MustParseAddr("10.0.0.252")}]; s.MinTTL != 0 || s.DesiredMinTx != 100*time.Millisecond {
		t.Errorf("single hop: %+v", s)
	}
}

func TestEchoIsAsTheProfileSays(t *testing.T) {
	specs := specsOf(parse(t, `
bgp:
  manage: true
  local_as: 65001
  router_id: 10.0.0.1
  neighbors: [{address: 10.0.0.254, remote_as: 65000, bfd: dumb}]
bfd:
  profiles: {dumb: {echo: true, tx: 100ms, echo_source: 10.9.9.9}, loop: {echo_rx: 50ms}}
  sessions: [{peer: 10.0.0.252, profile: loop}]
checks: {host: {kind: bfd, profile: dumb}}
vips: [{name: v, prefix: 192.0.2.1, check: host, backends: [{address: "10.0.0.7:80"}]}]
state_dir: state
`))
	for _, peer := range []string{"10.0.0.254", "10.0.0.7"} {
		s, ok := specs[bfdengine.Key{Peer: netip.MustParseAddr(peer), Echo: true}]
		if !ok || s.DesiredMinTx != 100*time.Millisecond || s.EchoSource != netip.MustParseAddr("10.9.9.9") || s.RequiredMinEchoRx != 0 {
			t.Errorf("%s: %+v", peer, s)
		}
	}
	if s := specs[bfdengine.Key{Peer: netip.MustParseAddr("10.0.0.252")}]; s.RequiredMinEchoRx != 50*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func TestEveryAuthenticationOfTheConfigurationIsOneOfTheEngine(t *testing.T) {
	seen := map[packet.AuthType]bool{}
	for _, name := range []string{"simple", "md5", "meticulous-md5", "sha1", "meticulous-sha1", "frr-hmac-sha1", "frr-hmac-meticulous-sha1"} {
		a := authOf(&config.BFDAuth{Type: name, Keys: []config.BFDAuthKey{{ID: 3, Secret: "secret"}}})
		if _, err := packet.NewAuth(a.Type, a.Keys, 1); err != nil || seen[a.Type] {
			t.Errorf("%s: %v, twice %t", name, err, seen[a.Type])
		}
		seen[a.Type] = true
	}
}
