// Package bfdpeer is the far side of a BFD daemon that is measured: many
// neighbors in one process, each with an address of its own, that note what they
// hear and when. It is no engine: it obeys RFC 5880 by bfdengine/session, is only
// as fast as it must be, and knows IPv4 and its own subnet only.
package bfdpeer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// Beside is an address in the neighbors' subnet that none of them has, for the
// daemon's host.
func Beside() netip.Prefix { return netip.MustParsePrefix("10.66.255.254/16") }

// Address of the i-th neighbor, from 0 to 65,000.
func Address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 66, byte((i + 1) >> 8), byte(i + 1)})
}

// Options of a run.
type Options struct {
	Daemon   netip.Addr // that is measured
	Sessions int
	Interval time.Duration // both ways
	Mult     uint8
}

// A neighbor is one session's far end.
type neighbor struct {
	session session.Session
	fd      int
	due     time.Time // when its session wants to be asked
	place   int       // in the queue
	heard
}

// A peer is all neighbors. It belongs to one goroutine.
type peer struct {
	Options
	receiver
	neighbors []neighbor
	byAddress map[[4]byte]*neighbor
	queue     queue
	muted     bool
	downs     int // daemons given up, or that gave up
	buffer    []byte
}

func newPeer(o Options) (*peer, error) {
	fd, err := listen()
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	now := time.Now()
	p := &peer{Options: o, neighbors: make([]neighbor, o.Sessions), byAddress: map[[4]byte]*neighbor{}}
	p.fd = fd
	random := rand.New(rand.NewPCG(1, uint64(o.Sessions)))
	for i := range p.neighbors {
		n := &p.neighbors[i]
		local := netip.AddrPortFrom(Address(i), uint16(packet.MinSourcePort+i%(1<<14)))
		if n.fd, err = dial(local, netip.AddrPortFrom(o.Daemon, packet.Port)); err != nil {
			return nil, err
		}
		n.session = session.New(uint32(i+1), session.Config{DesiredMinTx: o.Interval, RequiredMinRx: o.Interval, DetectMult: o.Mult}, random, now)
		p.byAddress[local.Addr().As4()] = n
		n.due, n.place = now, i
		p.queue = append(p.queue, n)
	}
	return p, nil
}

// runUntil plays all neighbors until a time, or about until done says so.
func (p *peer) runUntil(end time.Time, done func() bool) {
	for now := time.Now(); now.Before(end) && !done(); now = time.Now() {
		p.play(min(end.Sub(now), 50*time.Millisecond))
	}
}

// play plays all neighbors for a while.
func (p *peer) play(span time.Duration) {
	// Its wake-ups are what the thread is late by.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := time.Now().Add(span)
	for now := time.Now(); now.Before(end); now = time.Now() {
		for got := p.receive(); len(got) > 0; got = p.receive() {
			for i := range got {
				p.take(now, &got[i])
			}
		}
		n := p.queue.first()
		for ; !n.due.After(now); n = p.queue.first() {
			p.carry(now, n, n.session.Advance(now))
		}
		if end.Before(n.due) {
			p.wait(end)
		} else {
			p.wait(n.due)
		}
	}
}

func (p *peer) take(now time.Time, d *datagram) {
	n := p.byAddress[d.to]
	c, reason := packet.Parse(d.payload)
	if n == nil || reason != packet.None || d.ttl != 255 {
		return
	}
	n.note(d.at, c)
	p.carry(now, n, n.session.Receive(now, c))
}

// carry does what a session asks for.
func (p *peer) carry(now time.Time, n *neighbor, e session.Effects) {
	if e.Event.From == packet.Up && e.Event.To != packet.Up {
		p.downs++
	}
	if e.Final {
		p.send(n, n.session.Packet(true))
	}
	if e.Send {
		p.send(n, n.session.Packet(false))
	}
	p.queue.set(n, e.Next)
}

func (p *peer) send(n *neighbor, c packet.Control) {
	if p.muted {
		return
	}
	p.buffer = c.Append(p.buffer[:0])
	n.sent = time.Now()
	_, _ = unix.Write(n.fd, p.buffer) // what is not sent is a loss, and shows
}
