// Package config reads what an operator may write, and tells all that is wrong
// with it at once, each thing with its place.
//
// It starts nothing and connects to nothing; besides files and this host's users
// and groups, which Options may replace, it depends on its arguments alone. What
// the settings do is for others: the daemon turns a Config into the types of the
// other packages.
//
// The way of a setting: a format's reader (yaml.go, json.go, toml.go) gives
// plain values and notes where each stands; layers.go adds environment and
// flags; decode.go fills the structs of schema.go, which refuses single values;
// assemble.go and its neighbors refuse what doesn't go together, and build the
// Config.
package config

import (
	"net/netip"
	"regexp"
	"time"
)

// A Config is a whole configuration that was found to be right. Its values are
// ready for use: parsed, masked, defaults and profiles filled in.
type Config struct {
	Node     string
	StateDir string // empty: keep nothing
	BGP      BGP
	BFD      BFD
	Drain    Drain
	VIPs     []VIP // in the order of the file
	API      API
	Hooks    []Hook
	HTTP     HTTP
	Log      Log
	rest     *rest // what Make needs to know besides
}

// BGP is the speaker and how routes look that are given to it.
type BGP struct {
	Enabled         bool
	Speaker         Speaker
	Address         string // of gobgpd's API: host:port or unix:///path
	API             GoBGPAPI
	TLS             *TLS // nil: plaintext
	LocalAS         uint32
	RouterID        netip.Addr
	ListenPort      int // -1: don't listen
	ListenAddresses []netip.Addr
	Manage          bool
	Announce        Announce // on every route
	Neighbors       []Neighbor
}

// Speaker is the kind of BGP daemon.
type Speaker string

// The speakers: gobgpd beside vipd, or GoBGP within it.
const (
	SpeakerGoBGP    Speaker = "gobgp"
	SpeakerEmbedded Speaker = "embedded"
)

// GoBGPAPI is a version of GoBGP's API.
type GoBGPAPI string

// The APIs; APIAuto asks the daemon.
const (
	APIAuto GoBGPAPI = "auto"
	APIv3   GoBGPAPI = "v3"
	APIv4   GoBGPAPI = "v4"
)

// TLS names the files of a TLS client; each was seen to be readable.
type TLS struct {
	CAFile, CertFile, KeyFile, ServerName string
	SkipVerify                            bool
}

// Announce is the path attributes of a route.
type Announce struct {
	Communities      []uint32    // RFC 1997
	LargeCommunities [][3]uint32 // RFC 8092
	MED              *uint32
	LocalPref        *uint32
	ASPathPrepend    uint8
	NextHop4         netip.Addr // zero: the speaker's own towards each neighbor
	NextHop6         netip.Addr
}

// A Neighbor is a BGP peer to give to a managed speaker.
type Neighbor struct {
	Address         netip.Addr
	RemoteAS        uint32
	Description     string
	Port            uint16
	LocalAddress    netip.Addr // zero: the kernel's choice
	Password        string     // read from password_file
	HoldTime        time.Duration
	MultihopTTL     uint8
	AddPathsSendMax uint8
	Passive         bool
	GracefulRestart time.Duration // restart time; 0: off
	BFD             *NeighborBFD  // nil: its liveness is its own affair
	Export          Export
}

// Export is a neighbor's own policy.
type Export struct {
	Allow, Deny      []netip.Prefix
	Communities      []uint32
	LargeCommunities [][3]uint32
	MED              *uint32
	ASPathPrepend    uint8
}

// Drain is how to leave.
type Drain struct {
	PreferOthers     time.Duration
	GracePeriod      time.Duration
	Connections      string        // what is counted: none, sockets, conntrack
	ConnectionsLimit time.Duration // how long to wait for none to be left
}

// A VIP is a prefix with its policy and backends.
type VIP struct {
	Name          string
	Prefix        netip.Prefix
	MinHealthy    Threshold
	HoldDown      time.Duration
	Announce      Announce // with bgp's merged in: what the route carries
	Degraded      []Degraded
	LinkBandwidth LinkBandwidth
	Backends      []Backend
}

// A Threshold is a number of backends or a percentage of weight.
type Threshold struct{ Count, Percent int }

// Degraded is what is announced instead below a threshold; sorted, lowest first.
type Degraded struct {
	Below    Threshold
	Announce Announce // merged: what the route carries at this level
}

// LinkBandwidth announces capacity; PerWeight 0 is off.
type LinkBandwidth struct {
	PerWeight float64 // bytes per second of one unit of weight
	Settle    time.Duration
}

// A Backend is a server with the check that it is asked by.
type Backend struct {
	Name    string // default: its address
	Address string // host:port, as written
	Weight  int
	Check   Check
	BFD     BFDKey // of the session that Check looks at; the zero key: none
}

// A Check is how a backend's health is asked.
type Check struct {
	Name           string // its key in checks, for messages
	Kind           string // tcp, http, https, bfd
	Interval       time.Duration
	Timeout        time.Duration
	Rise, Fall     int
	Watch          bool
	Port           uint16 // instead of the backend's; 0: the backend's
	Send           []byte // tcp
	Expect         *regexp.Regexp
	Method         string // http from here
	Host           string // empty: the backend's address
	Path           string
	Headers        []Header // sorted by name
	ExpectStatus   []StatusRange
	ExpectBody     string
	ExpectBodyRE   *regexp.Regexp
	FollowRedirect bool
	TLS            *TLS // nil for kinds without
	session        wish
}

// A Header is one header line of a request.
type Header struct{ Name, Value string }

// A StatusRange is a range of HTTP status codes, both ends in.
type StatusRange struct{ From, To int }

// HTTP is where metrics and health are served.
type HTTP struct {
	Listen string // host:port; empty: nowhere
}

// Log is how much is logged and in which form.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // json, console
}
