// Package gobgpv4 speaks the gRPC API of GoBGP 4, api.GoBgpService. It
// translates messages and decides nothing.
package gobgpv4

import (
	"context"
	"errors"
	"fmt"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/driver"
	"github.com/fiberlb/vipd/bgpclient/internal/link"

	"github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Dial connects to a daemon that must serve this API. It fails with
// bgpclient.ErrAbsent when nobody listens and with ErrWrongAPI when the daemon
// has another API.
func Dial(ctx context.Context, opts bgpclient.DialOptions) (bgpclient.Conn, error) {
	l, err := link.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	c, err := Attach(ctx, l)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return c, nil
}

// Attach asks the daemon behind an open connection whether it serves this API.
// The connection stays the caller's to close when it fails.
func Attach(ctx context.Context, l *link.Conn) (bgpclient.Conn, error) {
	c := client{api.NewGoBgpServiceClient(l)}
	conn, err := driver.Attach(ctx, l, c)
	if err != nil {
		return nil, err
	}
	if err := c.refuseRustyBGP(ctx); err != nil {
		return nil, fmt.Errorf("speaker %s: %w", l.Options.Target, err)
	}
	return conn, nil
}

// A client is a driver.API.
type client struct{ api.GoBgpServiceClient }

// Name names the API.
func (client) Name() string { return "v4" }

// refuseRustyBGP keeps vipd away from a daemon that serves this API and means
// something else: RustyBGP deletes paths by UUID only, and its AddPathStream
// adds what is marked as withdrawn. The two tell themselves apart by how they
// refuse a question about no table, which changes nothing at either: GoBGP
// with code Unknown, RustyBGP with InvalidArgument and other words.
func (c client) refuseRustyBGP(ctx context.Context) error {
	const goBGP = "unspecified table type"
	s, err := c.GoBgpServiceClient.ListPath(ctx, &api.ListPathRequest{})
	err = driver.Collect(s, err, func(*api.ListPathResponse) {})
	if st := status.Convert(err); st.Code() == codes.InvalidArgument && st.Message() != goBGP {
		return fmt.Errorf("not GoBGP, but RustyBGP or the like (it answers %q): it can't delete a path by what it is", st.Message())
	}
	if err = link.Error(ctx, "ask which daemon it is", err); errors.Is(err, bgpclient.ErrLost) {
		return err
	}
	return nil
}
