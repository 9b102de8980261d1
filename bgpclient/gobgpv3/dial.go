// Package gobgpv3 speaks the gRPC API of GoBGP 3, apipb.GobgpApi. It
// translates messages and decides nothing.
package gobgpv3

import (
	"context"
	"errors"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/driver"
	"github.com/fiberlb/vipd/bgpclient/internal/link"

	api "github.com/osrg/gobgp/v3/api"
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
	c, err := driver.Attach(ctx, l, client{api.NewGobgpApiClient(l)})
	if err != nil {
		return nil, err // not a nil *driver.Conn in an interface
	}
	return c, nil
}

// A client is a driver.API.
type client struct{ api.GobgpApiClient }

// Name names the API.
func (client) Name() string { return "v3" }
