package bfdengine

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

const (
	// "The source port number SHOULD be unique among all BFD sessions on the
	// system" (RFC 5881 §4): there are no more sessions than source ports.
	maxSessions = 1<<16 - packet.MinSourcePort
)

// A table finds sessions: by discriminator at the cost of an array's index, by
// peer for the first packets of a session, and by key for those who ask.
type table struct {
	// The low bits of a discriminator are the index here, mixed with mask; the
	// others are random: it "SHOULD be set to a random (but still unique) value
	// to improve security" (RFC 5880 §6.8.1).
	slots []*entry
	free  []int // slots
	mask  uint32
	peers map[peerKey]*entry // the first of a chain through entry.same
	ports [maxSessions]bool
	rand  *rand.Rand
}

// A peerKey is a peer's address without its zone: packets come without.
type peerKey struct {
	addr           netip.Addr
	multihop, echo bool
}

func (k Key) peerKey() peerKey { return peerKey{k.Peer.WithZone(""), k.Multihop, k.Echo} }

func newTable(r *rand.Rand) table {
	return table{rand: r, mask: r.Uint32N(maxSessions), peers: map[peerKey]*entry{}}
}

func (t *table) len() int { return len(t.slots) - len(t.free) }

// add gives e its place, discriminator and source port. It reports false when
// there are as many sessions as there can be.
func (t *table) add(e *entry) bool {
	switch n := len(t.free); {
	case n > 0:
		e.slot, t.free = t.free[n-1], t.free[:n-1]
	case len(t.slots) == maxSessions:
		return false
	default:
		e.slot, t.slots = len(t.slots), append(t.slots, nil)
	}
	t.slots[e.slot] = e
	for e.discr = 0; e.discr == 0; {
		e.discr = t.rand.Uint32()&^(maxSessions-1) | (uint32(e.slot) ^ t.mask)
	}
	e.port = t.takePort()
	k := e.spec.peerKey()
	e.same, t.peers[k] = t.peers[k], e
	return true
}

// takePort gives one that no other session sends from (RFC 5881 §4). There are as many
// as sessions may be.
func (t *table) takePort() uint16 {
	p := t.rand.IntN(maxSessions)
	for t.ports[p] {
		p = (p + 1) % maxSessions
	}
	t.ports[p] = true
	return uint16(packet.MinSourcePort + p)
}

// rebind gives e another source port, when its own is somebody else's.
func (t *table) rebind(e *entry) {
	old := e.port
	if t.len() < maxSessions {
		e.port = t.takePort()
		t.ports[old-packet.MinSourcePort] = false
	}
}

func (t *table) remove(e *entry) {
	t.slots[e.slot] = nil
	t.free = append(t.free, e.slot)
	t.ports[e.port-packet.MinSourcePort] = false
	k := e.spec.peerKey()
	if t.peers[k] == e {
		if t.peers[k] = e.same; e.same == nil {
			delete(t.peers, k)
		}
		return
	}
	for p := t.peers[k]; p != nil; p = p.same {
		if p.same == e {
			p.same = e.same
			return
		}
	}
}

// discriminator finds the session that has discr, or nil.
func (t *table) discriminator(discr uint32) *entry {
	slot := int(discr&(maxSessions-1) ^ t.mask)
	if slot >= len(t.slots) || t.slots[slot] == nil || t.slots[slot].discr != discr {
		return nil
	}
	return t.slots[slot]
}

// key finds the session of a normal key, or nil.
func (t *table) key(k Key) *entry {
	for e := t.peers[k.peerKey()]; e != nil; e = e.same {
		if e.spec.Key == k {
			return e
		}
	}
	return nil
}

// randomUint32 is for what an attacker must not guess.
func randomUint32() uint32 {
	var b [4]byte
	crand.Read(b[:]) // never fails: it would rather end the program
	return binary.NativeEndian.Uint32(b[:])
}

// newRand makes a source that can't be guessed from what it gave: discriminators
// and jitter come from it.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:])
	return rand.New(rand.NewChaCha8(seed))
}
