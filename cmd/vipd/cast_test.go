package main

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// A cast is who takes part in a story, besides vipd.
type cast struct {
	speakers []string // the story is told once with each
	own      bool     // gobgpd has a configuration file of its own
	routers  int      // 0: 1
	asn      uint32   // of the routers; 0: routerAS
	password string   // of the sessions
}

// each tells a story with every speaker.
func each(t *testing.T, story func(w *world)) {
	t.Helper()
	cast{speakers: append(gobgptest.Versions(), embedded)}.play(t, story)
}

// eachGobgpd tells one that the embedded speaker has no part in.
func eachGobgpd(t *testing.T, story func(w *world)) {
	t.Helper()
	cast{speakers: gobgptest.Versions()}.play(t, story)
}

// play tells the story. A GoBGP server that starts writes variables of its
// package, which the others read when routes come. So all routers of all tests
// start one after the other, before t.Parallel lets any story begin.
func (c cast) play(t *testing.T, story func(w *world)) {
	t.Helper()
	worlds := map[string]*world{}
	for _, speaker := range c.speakers {
		w := &world{speaker: speaker, password: c.password, routerAS: cmp.Or(c.asn, routerAS), node: loopback(t.Name()+speaker, 100)}
		for i := range cmp.Or(c.routers, 1) {
			w.routers = append(w.routers, newRouter(t, w.routerAS, loopback(t.Name()+speaker, byte(1+i))))
		}
		w.router = w.routers[0]
		worlds[speaker] = w
	}
	t.Parallel()
	for _, speaker := range c.speakers {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			w := worlds[speaker]
			w.open(t)
			switch {
			case speaker == embedded:
			case c.own:
				w.gobgpd = gobgptest.Start(t, speaker, "-f", w.gobgpdConfig())
			default:
				w.gobgpd = gobgptest.Start(t, speaker)
			}
			story(w)
		})
	}
}

func newRouter(t *testing.T, asn uint32, address netip.Addr) *gobgptest.Router {
	t.Helper()
	r, err := gobgptest.StartRouter(t.Context(), gobgptest.RouterOptions{ASN: asn, Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// open makes what is left to make but the speaker.
func (w *world) open(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	w.T, w.ctx, w.dir, w.tmp = t, ctx, t.TempDir(), shortDir(t)
	for _, r := range w.routers {
		if err := r.Accept(ctx, gobgptest.Peer{Address: w.node, ASN: nodeAS, Password: w.password}); err != nil {
			t.Fatal(err)
		}
	}
	port, err := gobgptest.FreePort(w.node)
	if err != nil {
		t.Fatal(err)
	}
	w.listen = netip.AddrPortFrom(w.node, port).String()
}

// loopback makes an address of the loopback network for a name, so that tests
// that run at once are apart, those of another process too: BFD's ports are
// always the same.
func loopback(name string, last byte) netip.Addr {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, name, os.Getpid())
	sum := h.Sum(nil)
	return netip.AddrFrom4([4]byte{127, 1 + sum[2]%250, sum[3], last})
}

// gobgpdConfig writes a configuration for a gobgpd that vipd does not manage.
func (w *world) gobgpdConfig() string {
	w.Helper()
	file := filepath.Join(w.dir, "gobgpd.toml")
	if err := os.WriteFile(file, []byte(w.gobgpdTOML()), 0o600); err != nil {
		w.Fatal(err)
	}
	return file
}

func (w *world) gobgpdTOML() string {
	return fmt.Sprintf(`
[global.config]
as = %d
router-id = "%s"
port = -1
[[neighbors]]
[neighbors.config]
neighbor-address = "%s"
peer-as = %d
[neighbors.transport.config]
remote-port = %d
local-address = "%s"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
`, nodeAS, w.node, w.router.Address, routerAS, w.router.Port, w.node)
}
