package operatorlab

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// manyVIPs is what a controller of a large load balancer has.
const manyVIPs = 10_000

// A controller sends all of its VIPs whenever one differs. The router gets one
// UPDATE for that one, and nothing for a backend that changes nothing, or for the
// same again.
func TestControllerReplacesManyVIPs(t *testing.T) {
	t.Parallel()
	for _, speaker := range []string{"3.10", "4.8.0"} {
		t.Run(speaker, func(t *testing.T) {
			t.Parallel()
			s := newStage(lab.New(t), lab.RackOptions{Speaker: speaker, Check: "kind: tcp, interval: 1m, timeout: 20s, rise: 1"})
			c := &controller{s, client(t, s.n1.Vipd), specs(manyVIPs), 0}
			c.replaces("all are made", manyVIPs, 0)
			s.Within(2*time.Minute, "the router has all", func() error {
				if n := s.Tor.Routes("198.18.0.0/15"); n != manyVIPs {
					return fmt.Errorf("%d of %d routes", n, manyVIPs)
				}
				return nil
			})
			s.Within(time.Minute, "the collector has them", func() error { return s.Heard(s.n1, time.Time{}, manyVIPs+2, 0) })

			c.replaces("the same again", 0, 0)
			c.vips[manyVIPs/2].Announce, _ = structpb.NewStruct(map[string]any{"med": 7})
			c.replaces("one is changed", 1, 0)
			c.vips[7].Backends[0].Weight = new(uint32(3))
			c.replaces("what changes no route", 0, 0)
			c.vips[8].Prefix = "203.0.113.9"
			c.replaces("one has another prefix", 1, 1)
			c.vips = c.vips[:manyVIPs-1]
			c.replaces("one is gone", 0, 1)
			c.vips[9].Prefix = "no prefix"
			c.refused()
		})
	}
}

// A controller is a program with VIPs of its own.
type controller struct {
	*stage
	api        vipdv1.VipServiceClient
	vips       []*vipdv1.VipSpec
	generation uint64
}

func specs(n int) (all []*vipdv1.VipSpec) {
	for i := range n {
		all = append(all, &vipdv1.VipSpec{Name: fmt.Sprint("v", i), Prefix: lab.Nth(i).String(), Check: "web",
			Backends: []*vipdv1.BackendSpec{{Address: "127.0.0.1:8081"}}})
	}
	return all
}

// replaces sends all VIPs, of which the network hears so much and no more.
func (c *controller) replaces(what string, announced, withdrawn int) {
	c.Helper()
	before := c.updates()
	began := time.Now()
	answer, err := c.api.ReplaceVips(context.Background(), &vipdv1.ReplaceVipsRequest{Owner: "lbc", Vips: c.vips, ExpectedGeneration: &c.generation})
	if err != nil {
		c.Fatal(err)
	}
	c.Logf("%s: %v after %s", what, answer, time.Since(began).Round(time.Millisecond))
	c.generation = answer.GetGeneration()
	if announced > 1 {
		return // that takes a while
	}
	c.heard(began, announced, withdrawn)
	c.For(500*time.Millisecond, what+": no more is heard", func() error { return c.Heard(c.n1, began, announced, withdrawn) })
	if got := c.updates() - before; got != announced+withdrawn {
		c.Fatalf("%s: the router got %d UPDATEs, not %d", what, got, announced+withdrawn)
	}
}

// refused sends a bad list, which changes nothing.
func (c *controller) refused() {
	c.Helper()
	began := time.Now()
	_, err := c.api.ReplaceVips(context.Background(), &vipdv1.ReplaceVipsRequest{Owner: "lbc", Vips: c.vips})
	c.Log(err)
	if err == nil {
		c.Fatal("a bad list is taken")
	}
	c.For(500*time.Millisecond, "nothing is heard", func() error { return c.Heard(c.n1, began, 0, 0) })
}

func (c *controller) updates() int {
	c.Helper()
	n, err := c.frr.Updates(netip.MustParseAddr("10.0.1.1"))
	if err != nil {
		c.Fatal(err)
	}
	return n
}
