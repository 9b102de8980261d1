package bgpclient

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrAbsent is wrapped by a Dial when nobody listens there: the daemon is down.
var ErrAbsent = errors.New("nobody listens")

// ErrLost is wrapped by errors after which nothing is known about the
// connection: it broke, or an answer did not come in time. An operation that
// ends so may have been applied, or may be later.
var ErrLost = errors.New("connection lost")

// A Path is one local path of a speaker's table: originated there by any
// client or configuration, not learnt from a neighbor.
type Path struct {
	Route // normalized
	// ID is the path identifier that the path was added with: an Owner for
	// vipd's, 0 for an operator's.
	ID uint32
	// Odd is set when the path has attributes that a Route can't express; it
	// then equals no wanted route.
	Odd bool
}

// An Outgoing is a path of what a speaker has for one neighbor (Adj-RIB-Out, RFC
// 4271 §3.2), and what keeps it back there.
type Outgoing struct {
	Local    bool   // as of Path; else learnt from a neighbor
	ID       uint32 // likewise
	Filtered bool   // an export policy rejects it
	Surplus  bool   // the neighbor is sent fewer paths a prefix (RFC 7911)
}

// An Op is one change of the speaker's table. The owner's path identifier is
// the connection's, so no Op can reach a path of somebody else.
type Op struct {
	Verb  Verb
	Route Route
}

// A Verb is what an Op does.
type Verb uint8

// Put adds a path or replaces the owner's one for that prefix (RFC 4271 §3.1:
// an implicit withdraw); Delete removes it.
const (
	Put Verb = iota + 1
	Delete
)

// String is the word for logs.
func (v Verb) String() string {
	switch v {
	case Put:
		return "put"
	case Delete:
		return "delete"
	}
	return "unknown verb"
}

// A Change tells that something changed at the speaker; what it is now must be
// asked. Exactly one field is valid.
type Change struct {
	Prefix   netip.Prefix
	Neighbor netip.Addr
}

// A Speaker is one live connection to a BGP daemon. All methods fail with
// ErrLost once the connection is lost; nothing that they return tells that a
// route is there, besides Paths. Neighbors and AdjOut may be called beside any
// other method, from any goroutine.
type Speaker interface {
	// Paths yields the local paths of the global table: all of them when
	// prefixes is nil, else those of exactly these prefixes. Paths of other
	// families than IPv4 and IPv6 unicast are left out.
	Paths(ctx context.Context, prefixes []netip.Prefix, yield func(Path)) error
	// Apply carries out ops in order, in bulk where there are many. After an
	// error any part of them may have been applied.
	Apply(ctx context.Context, ops []Op) error
	// Watch calls changed for every change of a best path or of a neighbor's
	// session until ctx ends or the connection is lost; it never returns nil
	// before ctx ends. It calls ready once, when no later change can be missed.
	Watch(ctx context.Context, ready func(), changed func(Change)) error
	// Global tells the speaker's own configuration; ASN 0 means that BGP is
	// not started.
	Global(ctx context.Context) (Global, error)
	// Neighbors lists all neighbors of the speaker.
	Neighbors(ctx context.Context) ([]NeighborState, error)
	// AdjOut lists what the speaker has for a neighbor and exactly prefix. It
	// means something while there is a session only.
	AdjOut(ctx context.Context, neighbor netip.Addr, prefix netip.Prefix) ([]Outgoing, error)
	// EnableNeighbor and DisableNeighbor ask for an admin state; whether they
	// were heard, Neighbors tells.
	EnableNeighbor(ctx context.Context, a netip.Addr) error
	DisableNeighbor(ctx context.Context, a netip.Addr, communication string) error
}

// A Manager is a Speaker whose configuration is vipd's to give.
type Manager interface {
	// Start gives a speaker that has none its global configuration.
	Start(ctx context.Context, g Global) error
	AddNeighbor(ctx context.Context, n Neighbor) error
	// UpdateNeighbor changes an existing neighbor, keyed by its address.
	UpdateNeighbor(ctx context.Context, n Neighbor) error
	DeleteNeighbor(ctx context.Context, address netip.Addr) error
	// ExportPolicies lists the names of the policies in the global export
	// assignment, in order.
	ExportPolicies(ctx context.Context) ([]string, error)
	// AddExportPolicy defines p with its sets and statements and assigns it
	// globally, for export. Parts left behind by an interrupted call don't
	// make it fail.
	AddExportPolicy(ctx context.Context, p ExportPolicy) error
	// DeleteExportPolicy takes the policy out of the assignment and deletes
	// it with its statements and sets. It touches no other.
	DeleteExportPolicy(ctx context.Context, name string) error
	// SoftResetOut sends a neighbor its routes anew (RFC 2918's purpose,
	// without asking the neighbor), so that a changed policy acts.
	SoftResetOut(ctx context.Context, address netip.Addr) error
}

// Conn is what a driver's Dial returns.
type Conn interface {
	Speaker
	Manager
	// API names the daemon's API for people: "v3" or "v4".
	API() string
	Close() error
}

// Global is a speaker's own configuration.
type Global struct {
	ASN        uint32
	RouterID   netip.Addr // IPv4
	ListenPort int        // -1: don't listen
	// ListenAddresses is empty for all addresses.
	ListenAddresses []netip.Addr
	// UnicastOnly spares a speaker that nobody else uses the tables of all
	// other families; GoBGP 4 makes one of 200 kB for each. For Start only.
	UnicastOnly bool
}

// A Neighbor is a BGP peer as vipd wants it. The zero value of an optional
// field is the speaker's default.
type Neighbor struct {
	Address      netip.Addr
	ASN          uint32
	Description  string
	Port         uint16 // 0: 179
	LocalAddress netip.Addr
	Password     string        // TCP MD5 (RFC 2385)
	HoldTime     time.Duration // whole seconds; 0: 90 s
	ConnectRetry time.Duration // whole seconds; 0: the speaker's default
	MultihopTTL  uint8         // 0: directly connected
	// AddPathsSendMax is how many paths per prefix are sent (RFC 7911).
	AddPathsSendMax uint8
	Passive         bool
	// GracefulRestart is the restart time (RFC 4724), whole seconds; 0: off.
	GracefulRestart time.Duration
	// IPv4 and IPv6 are the unicast families of the session.
	IPv4, IPv6 bool
}

// A NeighborState is a BGP peer as the speaker has it.
type NeighborState struct {
	Neighbor  // as configured; Password only where the speaker tells it
	State     SessionState
	AdminDown bool      // kept down: by anybody, or for too many prefixes
	Deferring bool      // sent nothing yet, as others have to tell all first (RFC 4724 §4.1)
	BFD       bool      // the speaker runs a BFD session of its own for it
	Accepted  uint64    // prefixes taken from it, all families
	Since     time.Time // of the last change between established and not; zero: never established
	Received  MessageCounts
	Sent      MessageCounts
}

// A SessionState is a state of RFC 4271 §8.2.2.
type SessionState uint8

// The states, in the order of the RFC.
const (
	Idle SessionState = iota + 1
	Connect
	Active
	OpenSent
	OpenConfirm
	Established
)

// String is the state's name in lower case, as metrics and status show it.
func (s SessionState) String() string {
	names := [...]string{"unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[0]
}

// MessageCounts counts BGP messages of one direction by type (RFC 4271 §4,
// RFC 2918). WithdrawnPrefixes counts prefixes inside updates.
type MessageCounts struct {
	Open, Update, Notification, Keepalive, Refresh, Total uint64
	WithdrawnPrefixes                                     uint64
}

// An ExportPolicy is what vipd lets out to which neighbor. Its statements are
// tried in order; a route that none rejects goes out.
type ExportPolicy struct {
	Name  string // unique to the content, so that an equal name means an equal policy
	Rules []ExportRule
}

// An ExportRule applies to one neighbor.
type ExportRule struct {
	Neighbor netip.Addr
	// Prefixes that the rule applies to, with anything inside them; empty: all.
	Prefixes []netip.Prefix
	// Invert makes the rule apply to all but Prefixes, which are then not empty.
	Invert bool
	Reject bool // the route is not sent; nothing else of the rule matters
	// What is added to a route that the rule applies to.
	Communities      []Community
	LargeCommunities []LargeCommunity
	MED              *uint32 // replaces
	Prepend          uint8   // times the speaker's own AS
}
