package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

const (
	watchers  = 100
	overrides = 100
	// perConnection is below the streams that one connection may have.
	perConnection = 25
)

// What a controller and an operator wait for at a node with 10,000 VIPs that were
// made over the API.
func TestAPI(t *testing.T) {
	b := newBox(t)
	b.target(1)
	b.startGobgpd("4.8.0")
	before := load()
	// As in TestMany: no probes while something is measured.
	v := b.startVipd("checks: {c: {kind: tcp, interval: 1h, timeout: 20s, rise: 1}}\nvips: []\nstate_dir: " + t.TempDir() + "\n")
	v.Ready()
	c := controller{t: t, client: api(t, v.Socket)}
	figures := c.replaces(b)
	figures = append(figures, c.upserts(), c.status(v), c.watch(v, 1), c.watch(v, watchers))
	record(t, "api", before, figures)
}

func api(t *testing.T, socket string) vipdv1.VipServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return vipdv1.NewVipServiceClient(conn)
}

// A controller has 10,000 VIPs.
type controller struct {
	t      *testing.T
	client vipdv1.VipServiceClient
	all    []*vipdv1.VipSpec
}

// took is how long f takes, in milliseconds.
func (c *controller) took(f func(ctx context.Context) error) float64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), soon)
	defer cancel()
	began := time.Now()
	if err := f(ctx); err != nil {
		c.t.Fatal(err)
	}
	return time.Since(began).Seconds() * 1000
}

func (c *controller) replace() float64 {
	return c.took(func(ctx context.Context) error {
		_, err := c.client.ReplaceVips(ctx, &vipdv1.ReplaceVipsRequest{Owner: "bench", Vips: c.all})
		return err
	})
}

// med changes what a VIP announces.
func (c *controller) med(i, med int) {
	announce, err := structpb.NewStruct(map[string]any{"med": med})
	if err != nil {
		c.t.Fatal(err)
	}
	c.all[i].Announce = announce
}

func (c *controller) replaces(b *box) []*figure {
	for i, p := range prefixes(vipNet, manyVIPs) {
		c.all = append(c.all, &vipdv1.VipSpec{Name: fmt.Sprint("v", i), Prefix: p.String(), Check: "c",
			Backends: []*vipdv1.BackendSpec{{Address: fmt.Sprintf("127.0.0.1:%d", firstPort)}}})
	}
	began := time.Now()
	first := []float64{c.replace()}
	b.announced(manyVIPs, began)
	var one, wire, none, all []float64
	for i := range 11 {
		c.med(i, 100+i)
		began := time.Now()
		one = append(one, c.replace())
		wire = append(wire, b.announced(1, began).Sub(began).Seconds()*1000)
		none = append(none, c.replace())
	}
	for round := range 5 {
		for i := range c.all {
			c.med(i, 200+round)
		}
		began := time.Now()
		all = append(all, c.replace())
		b.announced(manyVIPs, began)
	}
	return []*figure{
		newFigure("10,000 VIPs made in one call", "", "ms", first),
		newFigure("10,000 VIPs replaced, all changed", "", "ms", all),
		newFigure("10,000 VIPs replaced, one changed", "", "ms", one).beside("none changed", none),
		newFigure("10,000 VIPs replaced, one changed: on the wire", "", "ms", wire),
	}
}

func (c *controller) upserts() *figure {
	var all []float64
	for i := range 21 {
		c.med(i, 300)
		all = append(all, c.took(func(ctx context.Context) error {
			_, err := c.client.UpsertVip(ctx, &vipdv1.UpsertVipRequest{Owner: "bench", Vip: c.all[i]})
			return err
		}))
	}
	return newFigure("one VIP of 10,000 changed by itself", "", "ms", all)
}

// status runs vipctl, as an operator does.
func (c *controller) status(v *lab.Vipd) *figure {
	var all []float64
	vipctl := filepath.Join(filepath.Dir(os.Getenv("VIPD_LAB_BINARY")), "vipctl")
	for range 11 {
		all = append(all, c.took(func(ctx context.Context) error {
			out, err := exec.CommandContext(ctx, vipctl, "--server", "unix://"+v.Socket, "status").CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			return err
		}))
	}
	return newFigure("vipctl status at 10,000 VIPs", "", "ms", all).target("median", 200)
}

// watch measures vipd's CPU for changes that so many watchers see, each of them.
func (c *controller) watch(v *lab.Vipd, readers int) *figure {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*soon)
	defer cancel()
	var ready, done sync.WaitGroup
	var client vipdv1.VipServiceClient
	for i := range readers {
		if i%perConnection == 0 {
			client = api(c.t, v.Socket)
		}
		ready.Add(1)
		mine := client
		done.Go(func() { c.count(ctx, mine, ready.Done) })
	}
	ready.Wait()
	before, _ := v.Usage()
	for i := range overrides {
		word := []string{"withdraw", "auto"}[i%2]
		c.took(func(ctx context.Context) error {
			_, err := c.client.SetOverride(ctx, &vipdv1.SetOverrideRequest{Vip: "v0", Word: word, Wait: true})
			return err
		})
	}
	done.Wait()
	after, _ := v.Usage()
	each := (after - before).Seconds() * 1e6 / overrides
	return one(fmt.Sprintf("CPU of an override that %d watchers see", readers), "µs", each)
}

// count reads until it saw every override's event.
func (c *controller) count(ctx context.Context, client vipdv1.VipServiceClient, ready func()) {
	stream, err := client.Watch(ctx, &vipdv1.WatchRequest{})
	once := sync.OnceFunc(ready)
	defer once()
	for seen := 0; err == nil && seen < overrides; {
		var r *vipdv1.WatchResponse
		if r, err = stream.Recv(); err != nil {
			break
		}
		if r.GetSnapshot().GetLast() {
			once()
		}
		if r.GetChange().GetEvent().GetKind() == "override" {
			seen++
		}
	}
	if err != nil {
		c.t.Error("watch: ", err)
	}
}
