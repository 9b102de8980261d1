// Package gobgp finds out which API a GoBGP daemon has, and hands over to the
// driver for it. It speaks none itself.
package gobgp

import (
	"context"
	"errors"
	"fmt"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgpv3"
	"github.com/fiberlb/vipd/bgpclient/gobgpv4"
	"github.com/fiberlb/vipd/bgpclient/internal/link"
)

// Dial connects to a daemon with the API v3 or v4, or whichever it has for auto.
// It asks each time: the daemon may have been upgraded since.
func Dial(ctx context.Context, api string, opts bgpclient.DialOptions) (bgpclient.Conn, error) {
	switch api {
	case "v3":
		return gobgpv3.Dial(ctx, opts)
	case "v4":
		return gobgpv4.Dial(ctx, opts)
	case "auto":
		return detect(ctx, opts)
	}
	return nil, fmt.Errorf("speaker API %q (v3, v4 or auto)", api)
}

// detect asks for both APIs on one connection.
func detect(ctx context.Context, opts bgpclient.DialOptions) (bgpclient.Conn, error) {
	l, err := link.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	c, err := gobgpv4.Attach(ctx, l)
	if errors.Is(err, bgpclient.ErrWrongAPI) {
		c, err = gobgpv3.Attach(ctx, l)
	}
	if errors.Is(err, bgpclient.ErrWrongAPI) {
		err = fmt.Errorf("speaker %s has neither API of GoBGP, v3 or v4: %w", opts.Target, err)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return c, nil
}
