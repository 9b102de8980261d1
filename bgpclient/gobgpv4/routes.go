package gobgpv4

import (
	"context"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/driver"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"

	"github.com/osrg/gobgp/v4/api"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// family is the message for a unicast family.
func family(afi uint16) *api.Family {
	f := &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
	if afi == wire.AFIv6 {
		f.Afi = api.Family_AFI_IP6
	}
	return f
}

// afi is the address family number of a unicast family; 0 for other families.
func afi(f *api.Family) uint16 {
	switch {
	case f.GetSafi() != api.Family_SAFI_UNICAST:
		return 0
	case f.GetAfi() == api.Family_AFI_IP:
		return wire.AFIv4
	case f.GetAfi() == api.Family_AFI_IP6:
		return wire.AFIv6
	}
	return 0
}

func path(w driver.Write) *api.Path {
	return &api.Path{
		Family:       family(w.AFI()),
		NlriBinary:   w.NLRI(),
		PattrsBinary: w.Attributes(),
		Identifier:   w.Identifier(),
		IsWithdraw:   w.Withdrawn(),
		Age:          timestamppb.New(time.Now()), // GoBGP 4 dates it 1970 without
	}
}

// AddPath adds or replaces a path.
func (c client) AddPath(ctx context.Context, w driver.Write) error {
	_, err := c.GoBgpServiceClient.AddPath(ctx, &api.AddPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Path: path(w)})
	return err
}

// DeletePath removes a path.
func (c client) DeletePath(ctx context.Context, w driver.Write) error {
	_, err := c.GoBgpServiceClient.DeletePath(ctx, &api.DeletePathRequest{
		TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: family(w.AFI()), Path: path(w),
	})
	return err
}

// AddPathStream sends batches of added and withdrawn paths.
func (c client) AddPathStream(ctx context.Context, next func() []driver.Write) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.GoBgpServiceClient.AddPathStream(ctx)
	if err != nil {
		return err
	}
	for batch := next(); batch != nil && err == nil; batch = next() {
		req := &api.AddPathStreamRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL}
		for _, w := range batch {
			req.Paths = append(req.Paths, path(w))
		}
		err = s.Send(req)
	}
	// Send fails with io.EOF only, and the answer then says why.
	_, err = s.CloseAndRecv()
	return err
}

// ListPath lists paths of the global table.
func (c client) ListPath(ctx context.Context, want uint16, prefixes []netip.Prefix, yield func(driver.Listed)) error {
	return c.listPath(ctx, &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: family(want)}, prefixes, yield)
}

// ListAdjOut lists paths that there are for a neighbor.
func (c client) ListAdjOut(ctx context.Context, address string, want uint16, prefixes []netip.Prefix, yield func(driver.Listed)) error {
	return c.listPath(ctx, &api.ListPathRequest{
		TableType: api.TableType_TABLE_TYPE_ADJ_OUT, Name: address, Family: family(want), EnableFiltered: true,
	}, prefixes, yield)
}

// listPath lists paths in binary.
func (c client) listPath(ctx context.Context, req *api.ListPathRequest, prefixes []netip.Prefix, yield func(driver.Listed)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req.EnableOnlyBinary = true
	for _, p := range prefixes {
		req.Prefixes = append(req.Prefixes, &api.TableLookupPrefix{Prefix: p.String(), Type: api.TableLookupPrefix_TYPE_EXACT})
	}
	s, err := c.GoBgpServiceClient.ListPath(ctx, req)
	return driver.Collect(s, err, func(r *api.ListPathResponse) {
		for _, p := range r.GetDestination().GetPaths() {
			yield(listed(p))
		}
	})
}

func listed(p *api.Path) driver.Listed {
	return driver.Listed{
		Neighbor: p.GetNeighborIp(), AFI: afi(p.GetFamily()), NLRI: p.GetNlriBinary(),
		Attributes: p.GetPattrsBinary(), Identifier: p.GetIdentifier(), Withdrawn: p.GetIsWithdraw(),
		Filtered: p.GetFiltered(), Surplus: p.GetSendMaxFiltered(),
	}
}

// WatchEvent asks for changes.
func (c client) WatchEvent(ctx context.Context, ready func(), changed func(bgpclient.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.GoBgpServiceClient.WatchEvent(ctx, &api.WatchEventRequest{
		Peer: &api.WatchEventRequest_Peer{},
		Table: &api.WatchEventRequest_Table{Filters: []*api.WatchEventRequest_Table_Filter{
			{Type: api.WatchEventRequest_Table_Filter_TYPE_BEST},
		}},
		BatchSize: 500,
	})
	return driver.Collect(s, err, func(e *api.WatchEventResponse) {
		if e.GetPeer().GetType() == api.WatchEventResponse_PeerEvent_TYPE_END_OF_INIT {
			ready()
		}
		tell(e, changed)
	})
}

func tell(e *api.WatchEventResponse, changed func(bgpclient.Change)) {
	if a := driver.Address(e.GetPeer().GetPeer().GetState().GetNeighborAddress()); a.IsValid() {
		changed(bgpclient.Change{Neighbor: a})
	}
	for _, p := range e.GetTable().GetPaths() {
		n := p.GetNlri().GetPrefix() // nil for other families
		if prefix := driver.Prefix(n.GetPrefix(), n.GetPrefixLen()); prefix.IsValid() && afi(p.GetFamily()) != 0 {
			changed(bgpclient.Change{Prefix: prefix})
		}
	}
}
