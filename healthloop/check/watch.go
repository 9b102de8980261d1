package check

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

const (
	// watchConnect bounds the connect of a watch. The loop watches after a good
	// probe, so an answer is near; a lost SYN is sent again after 1 and 3 s.
	watchConnect = 5 * time.Second
	// A connection that lived shorter than watchLived was not worth opening.
	watchLived    = time.Second
	watchMaxPause = time.Minute
	// watchTolerates is what a backend may say unasked: the greeting of an SSH
	// or SMTP server, say, and a word before it hangs up.
	watchTolerates = 64 << 10
)

// watched is a prober whose backend is also watched: one idle connection is
// kept to it, whose end says that the backend's process ended, or that it stopped
// serving. It is plain TCP for every kind, since nothing else is asked of it.
type watched struct {
	healthloop.Prober
	address string
	open    func(context.Context) (net.Conn, error)
	pause   time.Duration // before the next connection is opened
}

func newWatched(p healthloop.Prober, t target) *watched {
	// Keepalive, unlike for probes: a backend that lost power says no goodbye,
	// and a firewall forgets idle connections without one. Without it such a
	// connection would be watched for ever.
	dialer := net.Dialer{
		Timeout:         watchConnect,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3},
	}
	return &watched{Prober: p, address: t.address, open: func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", t.address)
	}}
}

// Watch implements healthloop.Watcher. It returns nil when the backend ended
// the connection.
//
// Some servers close what is idle, a few at once. Then each Watch asks for a
// probe, whose good answer brings the next Watch, and so on without a rest. So
// after a connection that did not even live for watchLived the next one is
// opened later, twice as late each time.
func (w *watched) Watch(ctx context.Context) error {
	if !sleep(ctx, w.pause) {
		return nil
	}
	c, err := w.open(ctx)
	if ctx.Err() != nil && err != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch %s: connect: %w", w.address, cause(err))
	}
	defer c.Close()
	defer cutOff(ctx, c)()
	opened := time.Now()
	talks := outlive(c)
	switch {
	case ctx.Err() != nil:
		return nil
	case time.Since(opened) >= watchLived:
		w.pause = 0
	default:
		w.pause = min(max(2*w.pause, watchLived), watchMaxPause)
	}
	if talks {
		return fmt.Errorf("watch %s: the backend sent more than %d bytes unasked", w.address, watchTolerates)
	}
	return nil
}

// outlive reads until the connection ends: by FIN, by reset or for want of an
// answer to keepalive. It gives up on a backend that talks.
func outlive(c net.Conn) (talks bool) {
	buf := make([]byte, 256)
	for left := watchTolerates; left >= 0; {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		left -= n
	}
	return true
}

// sleep waits for d and tells whether ctx lasted so long.
func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
