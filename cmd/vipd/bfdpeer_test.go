package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// Sessions are patient: many tests share few cores, and a false alarm would be
// another story.
const (
	bfdInterval   = 200 * time.Millisecond
	bfdMultiplier = 8
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
	spec := bfdengine.Spec{Key: p.key, Params: bfdengine.Params{DesiredMinTx: bfdInterval, RequiredMinRx: bfdInterval, DetectMult: bfdMultiplier}}
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
func (w *world) bfd(more string) string { return w.bfdAt(bfdInterval, more) }

// bfdAt is that with other intervals.
func (w *world) bfdAt(interval time.Duration, more string) string {
	return fmt.Sprintf("listen: [%s], profiles: {fast: {tx: %[2]s, rx: %[2]s, multiplier: %d}}%s", w.node, interval, bfdMultiplier, comma(more))
}

// wantSteady fails the test if the peer's session left Up since it came up.
func (p *bfdPeer) wantSteady() {
	p.t.Helper()
	if s, _ := p.Session(p.key); s.State != packet.Up || s.Ups != 1 || s.Downs != 0 {
		p.t.Errorf("the peer's session is %s, was up %d times, failed %d times", s.State, s.Ups, s.Downs)
	}
}

// bfdSession is an entry of bfd.sessions.
func (w *world) bfdSession(p *bfdPeer) string {
	return fmt.Sprintf("{peer: %s, local: %s, profile: fast}", p.address, w.node)
}
