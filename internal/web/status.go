package web

import (
	"context"
	"net/netip"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

// Sources is where the server reads what it shows. Its funcs are called by many
// goroutines at once.
type Sources struct {
	// Status is called once a scrape, and keeps to ctx.
	Status func(ctx context.Context) (Status, error)
	// Alive is nil while the daemon's loops go round, else which of them stands.
	Alive func() error
	// Ready is nil while this node serves what it should, else why not.
	Ready func() error
	// Timings are what the rooms' hooks feed.
	Timings *Timings

	// Board is what the page and the JSON show; nil: they are unavailable.
	Board *board.Board
	// Fresh returns these VIPs with the figures of their last probes; one that
	// is gone is left out. nil: those of the Board will do.
	Fresh func(ctx context.Context, names []string) ([]*vipdv1.Vip, error)
	// Sessions returns the BFD sessions with their transitions. nil: likewise.
	Sessions func(ctx context.Context) ([]*vipdv1.BfdSession, error)
}

// Status is what the metrics of one scrape are made of.
type Status struct {
	VIPs          []VIP
	Speaker       *Speaker // nil: BGP is off
	BFD           *BFD     // nil: no session was ever wanted, or the engine stands
	ProbesSkipped uint64   // since the start, of backends that are gone too
	Draining      bool
	Reload        Reload
	Hooks         []Hook
	State         *State // nil: state_dir is empty
	API           *API   // nil: api.listen is empty
}

// A VIP is a virtual IP. Backends without a weight are in Backends only.
type VIP struct {
	Name                        string
	Advertised                  bool // the speaker confirmed it: what is seen, not what is wanted
	ToAdvertised, ToWithdrawn   uint64
	Healthy, Unhealthy, Unknown int
	Backends                    []Backend
	// State is the decision in force, as the API has it: advertised, withdrawn,
	// undecided.
	State    string
	Override string // the operator's word: advertise, withdraw; empty: none
	HeldDown bool   // hold_down keeps it withdrawn
}

// A Backend is a server behind a VIP.
type Backend struct {
	Name     string
	Up       bool
	Failures map[string]uint64 // bad probes by reason
}

// A Speaker is the BGP daemon.
type Speaker struct {
	Up                         bool // connected
	Wanted, Installed, Foreign int
	Drift                      uint64
	Neighbors                  []Neighbor
}

// A Neighbor is a BGP peer of the speaker.
type Neighbor struct {
	Address        netip.Addr
	Held           bool // BFD has vipd keep it from being used
	State          int  // RFC 4271 §8.2.2, in its order: 1 is Idle, 6 Established
	Sent, Received Messages
}

// Messages counts BGP messages by type (RFC 4271 §4.1, RFC 2918).
type Messages struct{ Open, Update, Notification, Keepalive, Refresh uint64 }

// BFD is the engine's counts since it began, and its sessions.
type BFD struct {
	Sessions                 []BFDSession
	UplinksAlive             int // neighbors that no failure is known of
	UplinksLost              int
	Dropped                  map[string]uint64 // received packets by reason
	Lost                     uint64            // received packets that the kernel had no room for
	SendErrors               map[string]uint64 // by the kernel's reason
	Unsigned                 uint64            // packets that were not sent for want of a key
	Excused                  uint64            // detections that were put off
	Stalls, TxLateness, Gaps Histogram
}

// A BFDSession is a session. Peer is another for each: where sessions share an
// address it tells more.
type BFDSession struct {
	Peer           string
	State          int // RFC 5880 §4.1: 0 AdminDown, 1 Down, 2 Init, 3 Up
	Transitions    map[Transition]uint64
	Received, Sent uint64
	AuthFailures   uint64
	Detection      time.Duration // of silence until Down; 0: the peer is not heard
}

// A Transition is a change of a session's state, by their names.
type Transition struct{ From, To string }

// A Histogram counts values up to each bound, which ascend.
type Histogram struct {
	Bounds []float64
	Counts []uint64 // one more than there are bounds: those beyond the last
	Sum    float64
}

// A Reload is the last attempt to load the configuration; At is zero before
// the first.
type Reload struct {
	OK  bool
	At  time.Time
	Err string // why it was refused
}

// A Hook is one whom vipd tells of events.
type Hook struct {
	Target               string // its URL, without what may be secret, or its program
	Sent, Failed, Missed uint64 // events that were taken, were refused, and were never offered
}

// State is how keeping the operator's words on disk went.
type State struct{ Saves, Failures uint64 }

// API is the control API's use.
type API struct {
	Watchers int    // streams that are open
	Refused  uint64 // requests by role or rate
}
