package config

import (
	"net/netip"
	"time"
)

type rawBFD struct {
	Listen      []netip.Addr          `key:"listen" default:"0.0.0.0,::"`
	UplinksLost string                `key:"uplinks_lost" default:"withdraw" oneof:"withdraw keep"`
	Scheduling  rawScheduling         `key:"scheduling"`
	Unsolicited *rawUnsolicited       `key:"unsolicited"`
	Profiles    map[string]rawProfile `key:"profiles"`
	Sessions    []rawSession          `key:"sessions"`
}

type rawScheduling struct {
	RealtimePriority int   `key:"realtime_priority" default:"0" range:"0..99"`
	LockMemory       bool  `key:"lock_memory" default:"false"`
	CPUs             []int `key:"cpus" range:"0..1023"`
}

type rawUnsolicited struct {
	Profile     string         `key:"profile" need:"the name of one in bfd.profiles"`
	Allow       []netip.Prefix `key:"allow" need:"prefixes, as 10.1.0.0/24"`
	Interfaces  []string       `key:"interfaces"`
	MaxSessions int            `key:"max_sessions" default:"16" range:"1..65535"`
}

type rawProfile struct {
	TX              time.Duration `key:"tx" default:"300ms" range:"10ms..60s"`
	RX              time.Duration `key:"rx" default:"300ms" range:"10ms..60s"`
	Multiplier      uint8         `key:"multiplier" default:"3" range:"1..255"`
	Passive         bool          `key:"passive" default:"false"`
	MinTTL          uint8         `key:"min_ttl" default:"254" range:"1..255"`
	CommonIntervals bool          `key:"common_intervals" default:"false"`
	Echo            bool          `key:"echo" default:"false"`
	EchoSource      netip.Addr    `key:"echo_source" default:""`
	EchoRX          time.Duration `key:"echo_rx" default:"0s" range:"0s..60s"`
	Auth            *rawBFDAuth   `key:"auth"`
}

type rawBFDAuth struct {
	Type    string      `key:"type" need:"simple, md5, meticulous-md5, sha1, meticulous-sha1, frr-hmac-sha1 or frr-hmac-meticulous-sha1" oneof:"simple md5 meticulous-md5 sha1 meticulous-sha1 frr-hmac-sha1 frr-hmac-meticulous-sha1"`
	KeyID   *uint8      `key:"key_id" range:"0..255"`
	KeyFile string      `key:"key_file" default:""`
	Keys    []rawBFDKey `key:"keys"`
}

type rawBFDKey struct {
	KeyID       uint8   `key:"key_id" need:"a number in 0..255, the same at the peer" range:"0..255"`
	KeyFile     string  `key:"key_file" need:"a file with the key"`
	AcceptFrom  instant `key:"accept_from"`
	AcceptUntil instant `key:"accept_until"`
	SendFrom    instant `key:"send_from"`
	SendUntil   instant `key:"send_until"`
}

type rawSession struct {
	Peer      netip.Addr `key:"peer" need:"the other side's IP address"`
	Local     netip.Addr `key:"local" default:""`
	Interface string     `key:"interface" default:""`
	Profile   string     `key:"profile" need:"the name of one in bfd.profiles"`
	Multihop  bool       `key:"multihop" default:"false"`
}

// rawNeighborBFD is what a neighbor has to say about its session.
type rawNeighborBFD struct {
	BFD            string        `key:"bfd" default:""`
	BFDMultihop    *bool         `key:"bfd_multihop"`
	OnBFDDown      string        `key:"on_bfd_down" default:"disable" oneof:"disable withdraw none"`
	BFDHoldUp      time.Duration `key:"bfd_hold_up" default:"0s" range:"0s..1h"`
	BFDHoldUpMax   time.Duration `key:"bfd_hold_up_max" default:"0s" range:"0s..1h"`
	BFDStrict      bool          `key:"bfd_strict" default:"false"`
	BFDStrictLimit time.Duration `key:"bfd_strict_limit" default:"30s" range:"1s..1h"`
}
