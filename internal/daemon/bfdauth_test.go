package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

func TestSessionComesUpWithTheKeyOfItsFileOnly(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(6)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, _ := options(t, noBGP+fmt.Sprintf(`
bfd:
  listen: [%[1]s]
  profiles: {fast: {tx: 100ms, rx: 100ms, multiplier: 10, auth: {type: meticulous-sha1, key_id: 7, key_file: %[3]s}}}
  sessions: [{peer: %[2]s, local: %[1]s, profile: fast}]
`, here, there, file))
	up := awaited(&o, "bfd session Up")
	l := newLiveness(o.Log)
	if err := l.open(o.Config.BFD); err != nil {
		t.Fatal(err)
	}
	l.want(specsOf(o.Config))
	stop := alone(t, l)
	defer stop()

	params := calm
	params.Auth = bfdengine.Auth{Type: packet.MeticulousSHA1, Keys: []packet.Key{{ID: 7, Secret: []byte("Secret")}}}
	r := routerAt(t, there, here, params)
	defer r.stop()
	until(t, "a packet that is not authenticated", func() bool {
		s := l.status(t.Context())
		return len(s.Sessions) == 1 && s.Sessions[0].AuthFailures > 0 && s.Dropped["auth_bad_digest"] > 0 && s.Sessions[0].State == 1
	})
	params.Auth.Keys[0].Secret = []byte("secret")
	if err := r.Update(t.Context(), bfdengine.Spec{Key: r.key, Params: params}); err != nil {
		t.Fatal(err)
	}
	wait(t, "session", up)
}

func TestPeerMayAskForASession(t *testing.T) {
	defer goleak.VerifyNone(t)
	here, there := twoHosts(7)
	o, _ := options(t, noBGP+fmt.Sprintf(`
bfd:
  listen: [%s]
  profiles: {calm: {multiplier: 10}}
  unsolicited: {profile: calm, allow: [%s], interfaces: [lo]}
`, here, there))
	up := awaited(&o, "bfd session Up")
	l := newLiveness(o.Log)
	if err := l.open(o.Config.BFD); err != nil {
		t.Fatal(err)
	}
	stop := alone(t, l)
	defer stop()
	r := routerAt(t, there, here, calm)
	defer r.stop()
	wait(t, "session", up)
	if s := l.status(t.Context()).Sessions; len(s) != 1 || s[0].Peer != netip.MustParseAddr(there).String() || s[0].State != 3 {
		t.Errorf("have %+v", s)
	}
}
