package gobgp_test

import (
	"net/netip"
	"testing"

	"github.com/fiberlb/vipd/bgpclient/internal/wire"

	v3 "github.com/osrg/gobgp/v3/api"
	v4 "github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// putByOperator adds a path as the gobgp command does: without an identifier,
// and with an origin that vipd never sets.
func putByOperator(t *testing.T, apiName, target string, p netip.Prefix) {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nextHop := netip.MustParseAddr("192.0.2.9")
	if p.Addr().Is6() {
		nextHop = netip.MustParseAddr("2001:db8::9")
	}
	nlri := wire.AppendPrefix(nil, p)
	attrs := [][]byte{{0x40, 1, 1, 2}, wire.NextHop(p, nextHop)} // ORIGIN INCOMPLETE
	afi := int32(wire.AFI(p.Addr()))
	if apiName == "v3" {
		_, err = v3.NewGobgpApiClient(conn).AddPath(bounded(t), &v3.AddPathRequest{Path: &v3.Path{
			Family: &v3.Family{Afi: v3.Family_Afi(afi), Safi: v3.Family_SAFI_UNICAST}, NlriBinary: nlri, PattrsBinary: attrs,
		}})
	} else {
		_, err = v4.NewGoBgpServiceClient(conn).AddPath(bounded(t), &v4.AddPathRequest{Path: &v4.Path{
			Family: &v4.Family{Afi: v4.Family_Afi(afi), Safi: v4.Family_SAFI_UNICAST}, NlriBinary: nlri, PattrsBinary: attrs,
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
}
