package bench

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	v3 "github.com/osrg/gobgp/v3/api"
	v4 "github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A bare client of gobgpd does what it is told and nothing else: the floor of
// what a controller over this API can do.
type bare struct {
	v3 v3.GobgpApiClient // one of the two is nil
	v4 v4.GoBgpServiceClient
}

// dial makes a client. It connects at once when there is somebody to connect to.
func dial(t *testing.T, b *box) *bare {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+b.api, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second,
			Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1, MaxDelay: 5 * time.Millisecond}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if strings.HasPrefix(b.version, "3.") {
		return &bare{v3: v3.NewGobgpApiClient(conn)}
	}
	return &bare{v4: v4.NewGoBgpServiceClient(conn)}
}

// answers waits until gobgpd is configured.
func (c *bare) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for ; ; pause(time.Millisecond) {
		as, err := c.as(ctx)
		if as != 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func (c *bare) as(ctx context.Context) (uint32, error) {
	if c.v3 != nil {
		r, err := c.v3.GetBgp(ctx, &v3.GetBgpRequest{})
		return r.GetGlobal().GetAsn(), err
	}
	r, err := c.v4.GetBgp(ctx, &v4.GetBgpRequest{})
	return r.GetGlobal().GetAsn(), err
}

// delete removes a route by a call of its own.
func (c *bare) delete(t *testing.T, p netip.Prefix) {
	t.Helper()
	var err error
	if c.v3 != nil {
		path := path3(p, true)
		_, err = c.v3.DeletePath(t.Context(), &v3.DeletePathRequest{Family: path.Family, Path: path})
	} else {
		path := path4(p, true)
		_, err = c.v4.DeletePath(t.Context(), &v4.DeletePathRequest{
			TableType: v4.TableType_TABLE_TYPE_GLOBAL, Family: path.Family, Path: path})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// batch is how many routes a message of a stream has; more would not make it
// faster.
const batch = 500

// stream adds or withdraws routes by one call.
func (c *bare) stream(t *testing.T, prefixes []netip.Prefix, withdraw bool) {
	t.Helper()
	send, end := c.open(t)
	for len(prefixes) > 0 {
		n := min(batch, len(prefixes))
		if err := send(prefixes[:n], withdraw); err != nil {
			t.Fatal(err)
		}
		prefixes = prefixes[n:]
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

func (c *bare) open(t *testing.T) (send func([]netip.Prefix, bool) error, end func() error) {
	t.Helper()
	if c.v3 != nil {
		s, err := c.v3.AddPathStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return func(prefixes []netip.Prefix, withdraw bool) error {
			r := &v3.AddPathStreamRequest{}
			for _, p := range prefixes {
				r.Paths = append(r.Paths, path3(p, withdraw))
			}
			return s.Send(r)
		}, func() error { _, err := s.CloseAndRecv(); return err }
	}
	s, err := c.v4.AddPathStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(prefixes []netip.Prefix, withdraw bool) error {
		r := &v4.AddPathStreamRequest{TableType: v4.TableType_TABLE_TYPE_GLOBAL}
		for _, p := range prefixes {
			r.Paths = append(r.Paths, path4(p, withdraw))
		}
		return s.Send(r)
	}, func() error { _, err := s.CloseAndRecv(); return err }
}

func path3(p netip.Prefix, withdraw bool) *v3.Path {
	nlri, attributes := binary(p)
	return &v3.Path{Family: &v3.Family{Afi: v3.Family_AFI_IP, Safi: v3.Family_SAFI_UNICAST},
		NlriBinary: nlri, PattrsBinary: attributes, Identifier: bareID, IsWithdraw: withdraw, Age: timestamppb.Now()}
}

func path4(p netip.Prefix, withdraw bool) *v4.Path {
	nlri, attributes := binary(p)
	return &v4.Path{Family: &v4.Family{Afi: v4.Family_AFI_IP, Safi: v4.Family_SAFI_UNICAST},
		NlriBinary: nlri, PattrsBinary: attributes, Identifier: bareID, IsWithdraw: withdraw, Age: timestamppb.Now()}
}

// bareID is a path identifier, which vipd's routes have too.
const bareID = 1

// binary is an IPv4 host route as RFC 4271 §4.3 writes it, with what vipd's have:
// ORIGIN IGP, NEXT_HOP 0.0.0.0, which is gobgpd's own address to each neighbor,
// and the community NO_LLGR.
func binary(p netip.Prefix) (nlri []byte, attributes [][]byte) {
	return append([]byte{32}, p.Addr().AsSlice()...), [][]byte{
		{0x40, 1, 1, 0}, {0x40, 3, 4, 0, 0, 0, 0}, {0xc0, 8, 4, 0xff, 0xff, 0, 7}}
}
