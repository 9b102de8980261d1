package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
)

// A bfdPeer is the other side of a session with vipd.
type bfdPeer struct {
	*bfdengine.Engine
	t       *testing.T
	address netip.Addr
	key     bfdengine.Key
	cancel  context.CancelFunc
	done    chan error
}

// bfdPeer makes one that runs, at an address of its own.
func (w *world) bfdPeer() *bfdPeer {
	a := w.node.As4()
	a[3] = 200
	return w.bfdPeerAt(netip.AddrFrom4(a))
}

// bfdPeerAt makes one that runs: that of a router, say.
func (w *world) bfdPeerAt(a netip.Addr) *bfdPeer {
	w.Helper()
	p := &bfdPeer{t: w.T, address: a, key: bfdengine.Key{Peer: w.node, Local: a}}
	p.start()
	w.Cleanup(p.kill)
	return p
}

func (p *bfdPeer) start() {
	p.t.Helper()
	// One that is killed says no goodbye.
	engine, err := bfdengine.New(bfdengine.Options{Listen: []netip.Addr{p.address}, Farewell: -1})
	if err == nil {
		err = engine.Listen()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }() // ends with kill
	p.Engine, p.cancel, p.done = engine, cancel, done
	spec := bfdengine.Spec{Key: p.key, Params: bfdengine.Params{DesiredMinTx: 50 * time.Millisecond, RequiredMinRx: 50 * time.Millisecond}}
	if err := engine.Add(p.t.Context(), spec); err != nil {
		p.t.Fatal(err)
	}
}

func (p *bfdPeer) kill() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	if err := <-p.done; err != nil {
		p.t.Error(err)
	}
	p.cancel = nil
}

// bfd is the section bfd, with one profile.
func (w *world) bfd(more string) string {
	return fmt.Sprintf("listen: [%s], profiles: {fast: {tx: 50ms, rx: 50ms}}%s", w.node, comma(more))
}

// bfdSession is an entry of bfd.sessions.
func (w *world) bfdSession(p *bfdPeer) string {
	return fmt.Sprintf("{peer: %s, local: %s, profile: fast}", p.address, w.node)
}
