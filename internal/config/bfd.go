package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// BFD is the engine with all its sessions.
type BFD struct {
	Listen      []netip.Addr
	UplinksKeep bool // VIPs stay announced while no uplink is alive
	Scheduling  BFDScheduling
	Unsolicited *BFDUnsolicited // nil: off
	Sessions    []BFDSession    // of bfd.sessions, neighbors and checks: each once, sorted
}

// BFDScheduling is how the engine's threads run.
type BFDScheduling struct {
	RealtimePriority int // 0: as any other thread
	LockMemory       bool
	CPUs             []int // empty: all
}

// BFDUnsolicited is for peers that begin by themselves (RFC 9468).
type BFDUnsolicited struct {
	Profile     BFDProfile
	Allow       []netip.Prefix
	Interfaces  []string // empty: all
	MaxSessions int
}

// A BFDKey is what tells a session from others. It is normal: a link-local peer
// has its interface in both places.
type BFDKey struct {
	Peer, Local netip.Addr // Local is invalid for the kernel's choice
	Interface   string
	Multihop    bool
	Echo        bool // the peer sends our own packets back (RFC 9747)
}

// bfdKey is the key of a session by a profile.
func (c *checker) bfdKey(peer, local netip.Addr, link string, multihop bool, profile string) BFDKey {
	if peer.Is6() && peer.IsLinkLocalUnicast() {
		link = cmp.Or(link, peer.Zone())
		if peer.Zone() == "" {
			peer = peer.WithZone(link)
		}
	}
	return BFDKey{peer, local.WithZone(""), link, multihop, c.profiles[profile].Echo}
}

// A BFDSession is a session with its parameters.
type BFDSession struct {
	BFDKey
	Profile BFDProfile
}

// NeighborBFD is how a neighbor follows its session.
type NeighborBFD struct {
	BFDKey
	OnDown      OnBFDDown
	HoldUp      time.Duration
	HoldUpMax   time.Duration // what repeated failures let HoldUp grow to
	Strict      bool
	StrictLimit time.Duration
}

// OnBFDDown is what a failed session does to its neighbor.
type OnBFDDown string

// The reactions to a failure of a neighbor's session.
const (
	OnBFDDownDisable  OnBFDDown = "disable"
	OnBFDDownWithdraw OnBFDDown = "withdraw"
	OnBFDDownNone     OnBFDDown = "none"
)

// bfdUse is who wants a session, and how.
type bfdUse struct {
	at      string // the setting that asks for it
	pos     Pos    // of it
	profile string
}

// session notes that a session is wanted at a place. Many may want the same
// one. Who is made later shares one that is there: it brings none along.
func (c *checker) session(at string, key BFDKey, profile string) {
	if !c.possible(at, key, profile) {
		return
	}
	use, there := c.sessions[key]
	switch {
	case there:
		c.oneProfile(at, key, profile, use)
	case c.beside != nil:
		c.errorf(at, "needs a BFD session with %s, which the configuration file lacks (list it in bfd.sessions there, or take a check without BFD)", key.Peer)
	default:
		c.sessions[key] = bfdUse{at, c.pos(at), profile}
	}
}

// possible tells whether a session could be there at all.
func (c *checker) possible(at string, key BFDKey, profile string) bool {
	return c.profileKnown(at, profile) && c.sessionKey(at, key) && c.echoKey(at, key, c.profiles[profile])
}

func (c *checker) oneProfile(at string, key BFDKey, profile string, use bfdUse) {
	if use.profile != profile {
		c.clashf(at, use.pos, "wants the session with %s by profile %q (one session has one profile), which is by %q", key.Peer, profile, use.profile)
	}
}

// sessionKey refuses sessions that could never exchange a packet.
func (c *checker) sessionKey(at string, k BFDKey) bool {
	wrong := ""
	switch {
	case !k.Peer.IsValid():
		return false // told already
	case k.Peer.IsUnspecified(), k.Peer.IsMulticast(), k.Peer == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		wrong = fmt.Sprintf("is for %s (write the other side's unicast address)", k.Peer)
	case k.Local.IsValid() && k.Local.Is4() != k.Peer.Is4():
		wrong = fmt.Sprintf("is from %s to %s, of another family (write addresses of one)", k.Local, k.Peer)
	case k.Local.IsValid() && (k.Local.IsUnspecified() || k.Local.IsMulticast()):
		wrong = fmt.Sprintf("is from %s (write an address of this node, or none for the kernel's choice)", k.Local)
	case k.Peer.Zone() != "" && !k.Peer.IsLinkLocalUnicast():
		wrong = fmt.Sprintf("is for %s, which needs no %%%s (write the interface by itself)", k.Peer, k.Peer.Zone())
	case k.Peer.Is6() && k.Peer.IsLinkLocalUnicast() && k.Interface == "":
		wrong = fmt.Sprintf("is for %s, which every link may have (write %s%%interface)", k.Peer, k.Peer)
	case k.Peer.Zone() != "" && k.Peer.Zone() != k.Interface:
		wrong = fmt.Sprintf("is for %s, but on interface %s (write one of them)", k.Peer, k.Interface)
	case k.Multihop && k.Peer.IsLinkLocalUnicast():
		wrong = fmt.Sprintf("is multihop, but %s is link-local (write multihop: false)", k.Peer)
	case !k.Echo && !c.heard(k):
		wrong = fmt.Sprintf("is with %s, but no address of bfd.listen hears its packets (add one there)", cmp.Or(k.Local, k.Peer))
	}
	if wrong != "" {
		c.errorf(at, "the session %s", wrong)
	}
	return wrong == ""
}

// heard tells whether what the peer sends arrives at a socket.
func (c *checker) heard(k BFDKey) bool {
	return c.refused["bfd.listen"] || slices.ContainsFunc(c.doc.BFD.Listen, func(l netip.Addr) bool {
		return !l.IsValid() || l.Is4() == k.Peer.Is4() && (l.IsUnspecified() || !k.Local.IsValid() || l == k.Local)
	})
}

// interfaceName is the kernel's rule, dev_valid_name.
func (c *checker) interfaceName(at, name string) {
	bad := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == ':' || r == 0x7f })
	if name != "" && (bad >= 0 || len(name) > 15 || name == "." || name == "..") {
		c.errorf(at, "is %s (write the name of an interface, as eth0)", shown(name))
	}
}

func (c *checker) profileKnown(at, name string) bool {
	if _, ok := c.profiles[name]; ok {
		return true
	}
	if name == "" {
		return false // told as missing, or none is wanted
	}
	c.errorf(at, "no profile in bfd.profiles is called %q%s", name, suggest(name, slices.Sorted(maps.Keys(c.profiles))))
	return false
}

// bfd comes last: by now all who want a session have said so.
func (c *checker) bfd() BFD {
	raw := &c.doc.BFD
	c.bfdListen(raw.Listen)
	for i, s := range raw.Sessions {
		at := item("bfd.sessions", i)
		c.interfaceName(join(at, "interface"), s.Interface)
		c.session(at, c.bfdKey(s.Peer, s.Local, s.Interface, s.Multihop, s.Profile), s.Profile)
	}
	if raw.Scheduling.RealtimePriority == 0 {
		c.tooQuick()
	}
	for i, cpu := range raw.Scheduling.CPUs {
		if slices.Index(raw.Scheduling.CPUs, cpu) < i {
			c.errorf(item("bfd.scheduling.cpus", i), "is %d, which is there already (remove it)", cpu)
		}
	}
	c.ambiguous()
	return BFD{
		Listen: raw.Listen, UplinksKeep: raw.UplinksLost == "keep", Scheduling: BFDScheduling(raw.Scheduling),
		Unsolicited: c.unsolicited(), Sessions: c.sessionList(),
	}
}

func (c *checker) bfdListen(list []netip.Addr) {
	if len(list) == 0 && !c.refused["bfd.listen"] {
		c.errorf("bfd.listen", "is empty (write one address or more; without sessions nothing listens)")
	}
	for i, a := range list {
		at := item("bfd.listen", i)
		if a.IsMulticast() {
			c.errorf(at, "is %s (write a unicast address of this node, 0.0.0.0 or ::)", a)
		}
		for j, b := range list[:i] {
			if a.IsValid() && b.IsValid() && (a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())) {
				c.conflictf(at, item("bfd.listen", j), "is %s, whose packets another address hears already (remove one): %s", a, b)
			}
		}
	}
}

// ambiguous finds sessions that claim the same first packet, which names its
// sender and no session (RFC 5880 §6.3).
func (c *checker) ambiguous() {
	byPeer := map[netip.Addr][]BFDKey{}
	for _, k := range c.sessionKeys() {
		peer := k.Peer.WithZone("")
		for _, o := range byPeer[peer] {
			c.distinct(c.sessions[k].at, k, o)
		}
		byPeer[peer] = append(byPeer[peer], k)
	}
}

// distinct refuses a session beside another one with the same peer.
func (c *checker) distinct(at string, k, o BFDKey) {
	switch {
	case k.Echo != o.Echo:
		c.clashf(at, c.sessions[o].pos, "the session with %s is there both with echo and without (one is enough, RFC 9747 §4), which is", k.Peer)
	case !k.Echo && k.Multihop == o.Multihop && either(k.Local, o.Local) && either(k.Interface, o.Interface):
		c.clashf(at, c.sessions[o].pos, "the session with %s can't be told from another with it (give both a local address, or neither), which is", k.Peer)
	}
}

// either tells whether something could fit both: they are equal, or one is open.
func either[T comparable](a, b T) bool {
	var open T
	return a == b || a == open || b == open
}

func (c *checker) sessionKeys() []BFDKey {
	return slices.SortedFunc(maps.Keys(c.sessions), func(a, b BFDKey) int {
		return cmp.Or(a.Peer.Compare(b.Peer), a.Local.Compare(b.Local), cmp.Compare(a.Interface, b.Interface), boolCompare(a.Multihop, b.Multihop), boolCompare(a.Echo, b.Echo))
	})
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (c *checker) sessionList() []BFDSession {
	var list []BFDSession
	for _, k := range c.sessionKeys() {
		list = append(list, BFDSession{k, c.profiles[c.sessions[k].profile]})
	}
	return list
}

func (c *checker) unsolicited() *BFDUnsolicited {
	raw := c.doc.BFD.Unsolicited
	if raw == nil {
		return nil
	}
	c.profileKnown("bfd.unsolicited.profile", raw.Profile)
	for i, name := range raw.Interfaces {
		at := item("bfd.unsolicited.interfaces", i)
		if name == "" {
			c.errorf(at, "is empty (write the name of an interface, as eth0)")
		}
		c.interfaceName(at, name)
	}
	if len(raw.Allow) == 0 && c.given("bfd.unsolicited.allow") {
		c.errorf("bfd.unsolicited.allow", "is empty (write prefixes, as 10.1.0.0/24: anyone could take sessions otherwise)")
	}
	// RFC 9468 §2: the passive role is that of who did not begin.
	profile := c.profiles[raw.Profile]
	if profile.Echo {
		c.errorf("bfd.unsolicited.profile", "is %q, which is for peers without BFD: they ask for nothing (take one without echo)", raw.Profile)
	}
	profile.Passive = true
	return &BFDUnsolicited{Profile: profile, Allow: raw.Allow, Interfaces: raw.Interfaces, MaxSessions: raw.MaxSessions}
}
