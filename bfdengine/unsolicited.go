package bfdengine

import (
	"net/netip"
	"slices"
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// An unsolicited session that does not come up in this time is given up: "… (which
// is implementation specific but has to be at least equal to the local failure
// detection time)" (RFC 9468 §2).
const establishTime = 10 * time.Second

// Unsolicited says which peers may have a session with us for the asking (RFC
// 9468): single hop, passive on our side, and only for as long as it is up. The
// zero Unsolicited is off: the RFC wants that by default.
type Unsolicited struct {
	Prefixes   []netip.Prefix // of the peers that may; empty: none
	Interfaces []string       // on which they may; empty: on all
	Max        int            // of these sessions at a time; 0: 64
	Params     Params         // of these sessions
}

const defaultUnsolicited = 64

// unsolicited makes a session for a peer of which nothing is known, if it may
// have one.
func (w *worker) unsolicited(d *sock.Datagram, c *packet.Control) (*entry, packet.Reason) {
	u := &w.options.Unsolicited
	if w.stopping || len(u.Prefixes) == 0 {
		return nil, packet.NoSession
	}
	if !slices.ContainsFunc(u.Prefixes, func(p netip.Prefix) bool { return p.Contains(d.Peer) }) {
		return nil, packet.UnsolicitedRefused
	}
	// What can't be verified must not cost a session.
	w.firstAuth.Forget()
	if reason := w.firstAuth.Verify(d.Payload, *c, d.At); reason != packet.None {
		return nil, reason
	}
	if w.stats.Unsolicited >= u.Max {
		return nil, packet.UnsolicitedQuota
	}
	name, err := w.interfaceName(d.Interface)
	if err != nil || len(u.Interfaces) > 0 && !slices.Contains(u.Interfaces, name) {
		return nil, packet.UnsolicitedRefused
	}
	if !w.direct(d.Peer, d.Interface) {
		return nil, packet.UnsolicitedRefused
	}
	key, err := Key{Peer: d.Peer, Local: d.Local, Interface: name}.normal()
	if err != nil {
		return nil, packet.UnsolicitedRefused
	}
	params := u.Params
	params.Passive, params.MinTTL = true, 255
	e, err := w.create(Spec{Key: key, Params: params}, d.At)
	if err != nil {
		return nil, packet.UnsolicitedQuota
	}
	e.unsolicited = true
	e.leaveBy = d.At.Add(max(establishTime, time.Duration(params.DetectMult)*params.RequiredMinRx))
	w.stats.Unsolicited++
	return e, packet.None
}

// tableDirect reports whether a peer is in an interface's subnet, as RFC 9468 §2 wants
// it: by the kernel's tables it is reached there, and without a gateway. They are not
// told the interface: then they take whatever they don't know for a neighbor.
func (w *worker) tableDirect(peer netip.Addr, ifindex int) bool {
	if peer.Is6() && peer.IsLinkLocalUnicast() {
		return true // of every link
	}
	tables, err := w.tables()
	if err != nil {
		return false
	}
	out, gateway, errno := tables.Route(peer, netip.Addr{}, 0)
	return errno == 0 && out == ifindex && !gateway
}

// settleUnsolicited lets an unsolicited session go when it is down again: then
// "the passive side MUST stop sending BFD Control packets and SHOULD delete the
// BFD session created until BFD Control packets are initiated by the active side
// again" (RFC 9468 §2).
func (w *worker) settleUnsolicited(e *entry, to packet.State) {
	switch {
	case !e.unsolicited || e.life == gone:
	case to == packet.Up:
		e.leaveBy = zeroTime
	case to == packet.Down:
		w.dismiss(e)
	}
}
