package gobgptest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestRoutesEndWithTheSessionUnlessKept(t *testing.T) {
	kept, lost := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	p := netip.MustParsePrefix("192.0.2.1/32")
	var r record
	r.init()
	r.keep(kept, true)
	for _, peer := range []netip.Addr{kept, lost} {
		r.session(peer, true)
		r.announced(peer, Route{Prefix: p, ID: 1})
		r.announced(peer, Route{Prefix: p, ID: 2})
	}
	if have := len(r.Of(p)); have != 4 {
		t.Fatalf("%d paths, want 4", have)
	}
	r.withdrawn(kept, p, 1)
	r.session(kept, false)
	r.session(lost, false)
	if have := r.Routes(); len(have) != 1 || have[0].ID != 2 || r.Established(kept) {
		t.Errorf("%+v", have)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	var r record
	r.init()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := r.WaitRoute(ctx, netip.Prefix{}, nil); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if err := r.WaitAbsent(ctx, netip.Prefix{}); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	if err := r.WaitEstablished(ctx, netip.Addr{}); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}
