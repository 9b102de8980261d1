package daemon

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgp"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
)

// Owner is the path identifier that marks the routes of a node's vipd: the same
// after each restart, and another for another node at the same speaker.
func Owner(node string) uint32 {
	h := fnv.New32a()
	h.Write([]byte("vipd " + node))
	return max(h.Sum32(), 1) // 0 is an operator's
}

// dial connects to the speaker. The files of TLS are read each time, so that
// renewed certificates are used.
func (d *daemon) dial(ctx context.Context) (bgpclient.Conn, error) {
	if d.speaker != nil {
		select {
		case <-d.speaker.Ready():
		case <-ctx.Done():
			return nil, fmt.Errorf("embedded speaker is not up: %w", context.Cause(ctx))
		}
		return gobgp.Dial(ctx, string(config.APIv4), d.dialOptions(d.speaker.Target()))
	}
	return dialGoBGP(ctx, d.Config.BGP, d.dialOptions(d.Config.BGP.Address))
}

// serveAPI serves the control API. It waits for an embedded speaker: see its
// Ready.
func (d *daemon) serveAPI(ctx context.Context) error {
	if d.speaker != nil {
		select {
		case <-d.speaker.Ready():
		case <-ctx.Done():
		}
	}
	return d.api.Run(ctx)
}

func (d *daemon) dialOptions(target string) bgpclient.DialOptions {
	return bgpclient.DialOptions{Target: target, Owner: Owner(d.Config.Node), Observe: d.timings.RPC}
}

func dialGoBGP(ctx context.Context, b config.BGP, o bgpclient.DialOptions) (bgpclient.Conn, error) {
	if b.TLS != nil {
		var err error
		if o.TLS, err = check.TLSConfig(check.TLSFiles(*b.TLS)); err != nil {
			return nil, err
		}
	}
	return gobgp.Dial(ctx, string(b.API), o)
}
