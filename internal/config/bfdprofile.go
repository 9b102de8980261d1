package config

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// quickBFD is below what an ordinary thread of a busy machine can promise.
const quickBFD = 50 * time.Millisecond

// A BFDProfile is the parameters that sessions share.
type BFDProfile struct {
	Name            string
	TX, RX          time.Duration // whole microseconds, as on the wire
	Multiplier      uint8
	Passive         bool
	MinTTL          uint8 // of multihop sessions
	CommonIntervals bool  // RFC 7419
	BFDEcho
	Auth *BFDAuth // nil: none
}

// BFDEcho is what a profile says of echo packets.
type BFDEcho struct {
	Echo       bool          // its sessions are of nothing else (RFC 9747)
	EchoSource netip.Addr    // of ours; invalid: where they go to
	EchoRX     time.Duration // the peer's are sent back as often as that; 0: never
}

// BFDAuth is how packets are authenticated.
type BFDAuth struct {
	Type string
	Keys []BFDAuthKey // one or more
}

// A BFDAuthKey is a secret with the times that it is good for; a zero time is
// no bound.
type BFDAuthKey struct {
	ID                      uint8
	Secret                  Secret
	AcceptFrom, AcceptUntil time.Time
	SendFrom, SendUntil     time.Time
}

// A Secret is text that no other text may hold: it prints as something else.
type Secret string

func (Secret) String() string { return "(secret)" }

// GoString is String for %#v.
func (Secret) GoString() string { return "(secret)" }

// bfdProfiles reads all profiles, used or not.
func (c *checker) bfdProfiles() {
	for _, name := range slices.Sorted(maps.Keys(c.doc.BFD.Profiles)) {
		raw, at := c.doc.BFD.Profiles[name], join("bfd.profiles", name)
		if name == "" {
			c.keyErrorf(at, "a profile without a name")
		}
		c.wholeMicroseconds(join(at, "tx"), raw.TX)
		c.wholeMicroseconds(join(at, "rx"), raw.RX)
		c.profiles[name] = BFDProfile{
			Name: name, TX: raw.TX, RX: raw.RX, Multiplier: raw.Multiplier, Passive: raw.Passive,
			MinTTL: raw.MinTTL, CommonIntervals: raw.CommonIntervals, Auth: c.bfdAuth(join(at, "auth"), raw.Auth),
			BFDEcho: c.bfdEcho(at, &raw),
		}
	}
}

func (c *checker) wholeMicroseconds(at string, d time.Duration) {
	if d%time.Microsecond != 0 {
		c.errorf(at, "is %s (write whole microseconds: BFD counts in them)", d)
	}
}

// tooQuick tells profiles that an ordinary thread can't hold: a false alarm
// takes a healthy neighbor away.
func (c *checker) tooQuick() {
	for name, raw := range c.doc.BFD.Profiles {
		for key, d := range map[string]time.Duration{"tx": raw.TX, "rx": raw.RX} {
			if d > 0 && d < quickBFD {
				c.warnf(join(join("bfd.profiles", name), key), "%s is below %s, and the engine's threads are not real-time: "+
					"a busy machine looks like a dead one then (set bfd.scheduling.realtime_priority)", d, quickBFD)
			}
		}
	}
}

// bfdAuth reads the keys. RFC 5880 §4.2 to §4.4 bound their lengths.
func (c *checker) bfdAuth(at string, raw *rawBFDAuth) *BFDAuth {
	if raw == nil {
		return nil
	}
	longest := 16 // FRR has so many for its own way with SHA1, too
	if raw.Type == "sha1" || raw.Type == "meticulous-sha1" {
		longest = 20
	}
	if raw.Type == "simple" {
		c.warnf(join(at, "type"), "a simple password is readable on the way, and can be used by who reads it (meticulous-sha1 is the strongest that BFD has)")
	}
	a := &BFDAuth{Type: raw.Type}
	switch one := raw.KeyID != nil || c.given(join(at, "key_file")); {
	case one && len(raw.Keys) > 0:
		c.errorf(at, "has key_id or key_file, and keys too (write one key by key_id and key_file, or all in keys)")
	case len(raw.Keys) > 0:
		c.bfdKeys(at, raw, longest, a)
	case raw.KeyID == nil || raw.KeyFile == "":
		c.errorf(at, "has no whole key (write key_id and key_file, or a list of keys)")
	default:
		a.Keys = []BFDAuthKey{{ID: *raw.KeyID, Secret: c.bfdSecret(join(at, "key_file"), raw.KeyFile, longest)}}
	}
	return a
}

func (c *checker) bfdKeys(at string, raw *rawBFDAuth, longest int, a *BFDAuth) {
	first := map[uint8]int{}
	for i, k := range raw.Keys {
		here := item(join(at, "keys"), i)
		if j, twice := first[k.KeyID]; twice && !c.refused[join(here, "key_id")] {
			c.conflictf(join(here, "key_id"), join(item(join(at, "keys"), j), "key_id"), "%d is already the number of a key", k.KeyID)
		} else {
			first[k.KeyID] = i
		}
		c.inOrder(here, "accept", k.AcceptFrom, k.AcceptUntil)
		c.inOrder(here, "send", k.SendFrom, k.SendUntil)
		a.Keys = append(a.Keys, BFDAuthKey{
			ID: k.KeyID, Secret: c.bfdSecret(join(here, "key_file"), k.KeyFile, longest),
			AcceptFrom: time.Time(k.AcceptFrom), AcceptUntil: time.Time(k.AcceptUntil),
			SendFrom: time.Time(k.SendFrom), SendUntil: time.Time(k.SendUntil),
		})
	}
	c.alwaysSending(join(at, "keys"), a.Keys)
}

func (c *checker) bfdSecret(at, name string, longest int) Secret {
	return Secret(c.secret(at, name, "key", longest))
}

func (c *checker) inOrder(at, what string, from, until instant) {
	if !until.zero() && !time.Time(from).Before(time.Time(until)) {
		c.errorf(join(at, what+"_until"), "is not after %s_from (write a later time)", what)
	}
}

// alwaysSending warns of times without a key to send with: sessions are down
// then, since nothing is sent without authentication.
func (c *checker) alwaysSending(at string, keys []BFDAuthKey) {
	order := slices.SortedFunc(slices.Values(keys), func(a, b BFDAuthKey) int { return a.SendFrom.Compare(b.SendFrom) })
	end := order[0].SendUntil
	for _, k := range order[1:] {
		if end.IsZero() {
			return
		}
		if k.SendFrom.After(end) {
			c.warnf(at, "no key is sent with from %s to %s: sessions are down then", end.Format(time.RFC3339), k.SendFrom.Format(time.RFC3339))
		}
		if k.SendUntil.IsZero() || k.SendUntil.After(end) {
			end = k.SendUntil
		}
	}
	if !end.IsZero() {
		c.warnf(at, "no key is sent with from %s on: sessions are down then (leave send_until out of the last one)", end.Format(time.RFC3339))
	}
}

// neighborBFD is nil for a neighbor without a session.
func (c *checker) neighborBFD(at string, n *rawNeighbor) *NeighborBFD {
	raw := &n.rawNeighborBFD
	if raw.BFD == "" {
		for _, key := range []string{"bfd_multihop", "on_bfd_down", "bfd_hold_up", "bfd_hold_up_max", "bfd_strict", "bfd_strict_limit"} {
			if c.given(join(at, key)) {
				c.errorf(join(at, key), "has no effect without bfd (write bfd and the name of a profile, or remove this)")
			}
		}
		return nil
	}
	multihop := n.MultihopTTL > 0
	if raw.BFDMultihop != nil {
		multihop = *raw.BFDMultihop
	}
	b := &NeighborBFD{
		BFDKey: c.bfdKey(n.Address, n.LocalAddress, "", multihop, raw.BFD),
		OnDown: OnBFDDown(raw.OnBFDDown), HoldUp: raw.BFDHoldUp, HoldUpMax: cmp.Or(raw.BFDHoldUpMax, raw.BFDHoldUp),
		Strict: raw.BFDStrict, StrictLimit: raw.BFDStrictLimit,
	}
	if raw.BFDHoldUpMax > 0 && raw.BFDHoldUpMax < raw.BFDHoldUp {
		c.conflictf(join(at, "bfd_hold_up_max"), join(at, "bfd_hold_up"), "is %s, less than bfd_hold_up (write more, or 0s for no growth), which is", raw.BFDHoldUpMax)
	}
	if raw.BFDHoldUpMax > 0 && raw.BFDHoldUp == 0 {
		c.errorf(join(at, "bfd_hold_up_max"), "has no effect without bfd_hold_up, which it is doubled from (write that, or remove this)")
	}
	if c.given(join(at, "bfd_strict_limit")) && !raw.BFDStrict {
		c.errorf(join(at, "bfd_strict_limit"), "has no effect without bfd_strict: true (write that, or remove this)")
	}
	if (b.OnDown == OnBFDDownDisable || b.Strict) && c.doc.StateDir == "" && c.bgp.Speaker == SpeakerGoBGP {
		c.warnf(join(at, "bfd"), "may disable this neighbor, which stays so if vipd crashes then: nothing remembers it (set state_dir)")
	}
	c.session(join(at, "bfd"), b.BFDKey, raw.BFD)
	return b
}
