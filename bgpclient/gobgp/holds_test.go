package gobgp_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgp"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"

	"go.uber.org/zap/zaptest"
)

// vipd runs a Reconciler at a speaker, until stop or the test's end. Changes
// come whenever what it holds changed.
type vipd struct {
	*bgpclient.Reconciler
	changes chan struct{}
	kept    []netip.Addr // what it remembers; to be read after stop
	stop    func()
}

func runVipd(t *testing.T, s speaker, disabled []netip.Addr, prepare func(*bgpclient.Reconciler)) *vipd {
	t.Helper()
	v := &vipd{changes: make(chan struct{}, 1)}
	v.Reconciler = bgpclient.New(bgpclient.Options{
		Owner: owner, Log: zaptest.NewLogger(t), Disabled: disabled,
		Dial: func(ctx context.Context) (bgpclient.Conn, error) {
			return gobgp.Dial(ctx, "auto", bgpclient.DialOptions{Target: s.target, Owner: owner})
		},
		Remember: func(_ context.Context, list []netip.Addr) error { v.kept = list; return nil },
		Held: func() {
			select {
			case v.changes <- struct{}{}:
			default:
			}
		},
	})
	if prepare != nil {
		prepare(v.Reconciler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	v.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(v.stop)
	if err := v.Synced(bounded(t)); err != nil {
		t.Fatal(err)
	}
	return v
}

// await waits until a hold is as fits says.
func (v *vipd) await(t *testing.T, what string, fits func([]bgpclient.HoldStatus) bool) {
	t.Helper()
	ctx := bounded(t)
	for !fits(v.Status().Holds) {
		select {
		case <-v.changes:
		case <-ctx.Done():
			t.Fatalf("not %s: %+v", what, v.Status().Holds)
		}
	}
}

func inForce(s []bgpclient.HoldStatus) bool { return len(s) == 1 && s[0].InForce && s[0].Err == "" }
func over(s []bgpclient.HoldStatus) bool    { return len(s) == 0 }

func adminDown(t *testing.T, c bgpclient.Conn, want bool) {
	t.Helper()
	if have := onlyNeighbor(t, c); have.AdminDown != want {
		t.Errorf("disabled: %t, want %t", have.AdminDown, want)
	}
}

// staysDown waits for the session's end to reach the router, and then a while for
// another that must not come.
func staysDown(t *testing.T, r *gobgptest.Router) {
	t.Helper()
	if err := r.Wait(bounded(t), func() bool { return !r.Established(loopback) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if err := r.WaitEstablished(ctx, loopback); err == nil {
		t.Error("there is a session")
	}
}

func established(t *testing.T, r *gobgptest.Router) {
	t.Helper()
	if err := r.WaitEstablished(bounded(t), loopback); err != nil {
		t.Fatal(err)
	}
}

var down = bgpclient.Hold{Disable: true, Reason: "BFD session down: Control Detection Time Expired"}

// The neighbor is not vipd's to manage, here and below.
func TestHeldNeighborHasNoSession(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		in := route("198.51.100.1/32", nil)
		v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) { v.Set(in) })
		await(t, r, in.Prefix, nil)
		began := time.Now()
		v.Hold(n.Address, down)
		absent(t, r, in.Prefix)
		t.Logf("from the hold to the end of the router's session: %v", time.Since(began))
		v.await(t, "in force", inForce)
		staysDown(t, r)
		adminDown(t, c, true)
		began = time.Now()
		v.Hold(n.Address, bgpclient.Hold{})
		v.await(t, "over", over)
		adminDown(t, c, false)
		if s.name != "3.10" { // it rests for 30 seconds
			await(t, r, in.Prefix, nil)
			t.Logf("from the end of the hold to the route at the router: %v", time.Since(began))
		}
		v.stop()
		if len(v.kept) != 0 {
			t.Errorf("remembered: %v", v.kept)
		}
	})
}

func TestOperatorsDisablingOutlivesAHold(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		if err := c.DisableNeighbor(bounded(t), n.Address, "maintenance"); err != nil {
			t.Fatal(err)
		}
		for ctx := bounded(t); !onlyNeighbor(t, c).AdminDown && ctx.Err() == nil; {
		}
		v := runVipd(t, s, nil, nil)
		v.Hold(n.Address, down)
		v.await(t, "in force", inForce)
		v.Hold(n.Address, bgpclient.Hold{})
		v.await(t, "over", over)
		staysDown(t, r)
		adminDown(t, c, true)
	})
}

func TestHeldNeighborIsDisabledAgainAfterARestart(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		if s.restart == nil {
			t.Skip("it ends with vipd")
		}
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		v := runVipd(t, s, nil, nil)
		v.Hold(n.Address, down)
		v.await(t, "in force", inForce)
		s.restart()
		c = started(t, s)
		if err := c.AddNeighbor(bounded(t), n); err != nil { // as its file says
			t.Fatal(err)
		}
		for ctx := bounded(t); !onlyNeighbor(t, c).AdminDown; {
			if ctx.Err() != nil {
				t.Fatalf("not disabled again: %+v", v.Status().Holds)
			}
		}
		v.await(t, "in force", inForce)
		staysDown(t, r)
		// And a vipd that takes over lets go only of what the former one did.
		v.stop()
		if !slices.Equal(v.kept, []netip.Addr{n.Address}) {
			t.Errorf("remembered: %v", v.kept)
		}
		next := runVipd(t, s, v.kept, func(v *bgpclient.Reconciler) { v.Hold(n.Address, down) })
		next.await(t, "in force", inForce)
		staysDown(t, r)
		next.Hold(n.Address, bgpclient.Hold{})
		next.await(t, "over", over)
		adminDown(t, c, false)
	})
}

func TestRoutesAreWithheldFromOneNeighbor(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		one, n1 := routerOn(t, s, "127.0.0.2", nil)
		two, n2 := routerOn(t, s, "127.0.0.3", nil)
		in := route("198.51.100.1/32", nil)
		v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) {
			v.Set(in)
			v.Manage(&bgpclient.Management{
				Global: bgpclient.Global{
					ASN: localAS, RouterID: netip.MustParseAddr("10.0.0.1"),
					ListenPort: int(s.port), ListenAddresses: []netip.Addr{loopback},
				},
				Neighbors: []bgpclient.Neighbor{n1, n2},
			})
		})
		await(t, one, in.Prefix, nil)
		await(t, two, in.Prefix, nil)
		began := time.Now()
		v.Hold(n1.Address, bgpclient.Hold{Withhold: true})
		absent(t, one, in.Prefix)
		t.Logf("from the hold to the withdrawal: %v", time.Since(began))
		v.await(t, "in force", inForce)
		if s.name != "3.10" {
			established(t, one)
		}
		began = time.Now()
		v.Hold(n1.Address, bgpclient.Hold{})
		if s.name != "3.10" { // its session was ended, and it rests for 30 seconds
			await(t, one, in.Prefix, nil)
			t.Logf("from the end of the hold to the route: %v", time.Since(began))
		}
		for _, u := range two.Updates() {
			if len(u.Withdrawn) > 0 {
				t.Errorf("the other neighbor heard %+v", u)
			}
		}
	})
}

func TestManagedNeighborThatIsHeldHasNoSession(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		r, n := routerOn(t, s, "127.0.0.2", nil)
		v := runVipd(t, s, nil, func(v *bgpclient.Reconciler) {
			v.Hold(n.Address, down)
			v.Manage(&bgpclient.Management{
				Global: bgpclient.Global{
					ASN: localAS, RouterID: netip.MustParseAddr("10.0.0.1"),
					ListenPort: int(s.port), ListenAddresses: []netip.Addr{loopback},
				},
				Neighbors: []bgpclient.Neighbor{n},
			})
		})
		v.await(t, "in force", inForce)
		staysDown(t, r)
		v.Hold(n.Address, bgpclient.Hold{})
		established(t, r)
		v.Hold(n.Address, down)
		v.await(t, "in force", inForce)
	})
}

// GoBGP takes an empty address for every neighbor.
func TestNobodyIsNotEverybody(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		r, n := routerOn(t, s, "127.0.0.2", nil)
		connect(t, c, r, n)
		for _, err := range []error{c.DisableNeighbor(bounded(t), netip.Addr{}, ""), c.EnableNeighbor(bounded(t), netip.Addr{})} {
			if err == nil {
				t.Error("taken")
			}
		}
		adminDown(t, c, false)
	})
}
