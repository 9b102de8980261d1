// Package driver is what the drivers of both GoBGP APIs have in common: it
// makes the calls of a bgpclient.Conn out of an API's single RPCs. It knows
// neither API's messages.
package driver

import (
	"context"
	"net/netip"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/policy"
)

// An API is one of GoBGP's, RPC by RPC. Errors are as gRPC gives them.
type API interface {
	routes
	neighbors
	admin
	policies
	Name() string
	GetBgp(ctx context.Context) (bgpclient.Global, error)
	StartBgp(ctx context.Context, g bgpclient.Global) error
	// WatchEvent asks for changes of best paths and of neighbors. It calls
	// ready when the speaker has listed its neighbors, which it does at once
	// after it registered for both.
	WatchEvent(ctx context.Context, ready func(), changed func(bgpclient.Change)) error
}

type routes interface {
	AddPath(ctx context.Context, w Write) error
	DeletePath(ctx context.Context, w Write) error
	// AddPathStream sends batches until next returns nil.
	AddPathStream(ctx context.Context, next func() []Write) error
	// ListPath lists a unicast family of the global table, all or exact prefixes.
	ListPath(ctx context.Context, afi uint16, prefixes []netip.Prefix, yield func(Listed)) error
}

type neighbors interface {
	// ListPeer lists one neighbor, or all of them if the address is empty.
	ListPeer(ctx context.Context, address string, yield func(bgpclient.NeighborState)) error
	AddPeer(ctx context.Context, n bgpclient.Neighbor) error
	UpdatePeer(ctx context.Context, n bgpclient.Neighbor) error
	DeletePeer(ctx context.Context, address string) error
	SoftResetOut(ctx context.Context, address string) error
	// ListAdjOut lists what there is for a neighbor of a unicast family, also
	// what is kept back: of all or exact prefixes. Attributes are as they were
	// before policies.
	ListAdjOut(ctx context.Context, address string, afi uint16, prefixes []netip.Prefix, yield func(Listed)) error
	// ListLeftBehind lists what policies keep back from a neighbor, and what a
	// soft reset nevertheless leaves there if it was sent before. Versions
	// whose soft reset withdraws it list nothing.
	ListLeftBehind(ctx context.Context, address string, afi uint16, yield func(Listed)) error
}

type policies interface {
	// ListAssigned, Assign and Unassign are about the global export assignment.
	ListAssigned(ctx context.Context, yield func(name string)) error
	Assign(ctx context.Context, name string) error
	Unassign(ctx context.Context, name string) error
	ListPolicy(ctx context.Context, yield func(name string)) error
	AddPolicy(ctx context.Context, name string, statements []policy.Statement, asn uint32) error
	DeletePolicy(ctx context.Context, name string) error
	ListStatement(ctx context.Context, yield func(name string)) error
	DeleteStatement(ctx context.Context, name string) error
	ListSet(ctx context.Context, kind policy.Kind, yield func(name string)) error
	AddSet(ctx context.Context, s policy.Set) error
	DeleteSet(ctx context.Context, kind policy.Kind, name string) error
}

// A Listed is a path as a speaker lists it, not yet believed.
type Listed struct {
	Neighbor   string // whom it was learnt from; no address for a local one
	AFI        uint16 // of its unicast family; 0 for other families
	NLRI       []byte
	Attributes [][]byte
	Identifier uint32
	Withdrawn  bool
	Filtered   bool // of ListAdjOut: a policy keeps it back
	Surplus    bool // likewise: the neighbor is sent fewer paths; 3.10 sends all
}

// Receiver is a gRPC stream of answers.
type Receiver[T any] interface{ Recv() (*T, error) }
