package operatorlab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// client calls the API as a controller does. It is closed with the test.
func client(t testing.TB, v *lab.Vipd) vipdv1.VipServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+v.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return vipdv1.NewVipServiceClient(conn)
}

// A word is what a writer says, and what there should be then: for a subject, a
// text that no other word has.
type word struct {
	subject, text string
	say           func(context.Context, vipdv1.VipServiceClient) error
}

// A writer says one word after the other, as fast as vipd takes them, until
// vipd is gone. It knows what was acknowledged, and which word was not.
type writer struct {
	next  func(rng *rand.Rand, n int) word
	rng   *rand.Rand
	acked atomic.Int64

	kept  map[string]string // by subject: the last acknowledged word
	doubt *word             // said last, and not acknowledged
	n     int
}

func newWriter(next func(*rand.Rand, int) word) *writer {
	return &writer{next: next, rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), kept: map[string]string{}}
}

// write returns when vipd is gone; any other end is an error.
func (w *writer) write(api vipdv1.VipServiceClient) error {
	for {
		w.n++
		one := w.next(w.rng, w.n)
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		err := one.say(ctx, api)
		cancel()
		switch status.Code(err) {
		case codes.OK:
			w.kept[one.subject] = one.text
			w.acked.Add(1)
		case codes.ResourceExhausted: // too fast: refused, so that nothing changed
		case codes.Unavailable:
			w.doubt = &one
			return nil
		default:
			return fmt.Errorf("%s: %w", one.text, err)
		}
	}
}

// settle takes what is there as what was kept. Each subject must have its last
// acknowledged word; only the one in doubt may have that one.
func (w *writer) settle(there map[string]string) (doubted bool, err error) {
	for _, subject := range slices.Sorted(maps.Keys(w.kept)) {
		got, want := there[subject], w.kept[subject]
		switch {
		case got == want:
		case w.doubt != nil && w.doubt.subject == subject && got == w.doubt.text:
			doubted = true
		default:
			err = errors.Join(err, fmt.Errorf("%s is %q, and %q was acknowledged", subject, got, want))
		}
	}
	w.kept, w.doubt = there, nil
	return doubted, err
}

// overriding says words about VIPs.
func overriding(vips ...string) func(*rand.Rand, int) word {
	return func(rng *rand.Rand, n int) word {
		r := &vipdv1.SetOverrideRequest{
			Vip: vips[rng.IntN(len(vips))], Word: []string{"advertise", "withdraw", "auto"}[rng.IntN(3)], Reason: fmt.Sprint("word ", n),
		}
		text := r.Word + ": " + r.Reason
		if r.Word == "auto" {
			text = ""
		}
		return word{r.Vip, text, func(ctx context.Context, api vipdv1.VipServiceClient) error {
			_, err := api.SetOverride(ctx, r)
			return err
		}}
	}
}

// batch is how many VIPs a controller has at a time.
const batch = 8

// made are the names of a controller's VIPs at its n-th word.
func made(n int) (names []string) {
	for i := range batch {
		names = append(names, fmt.Sprintf("g%d-%d", n, i))
	}
	return names
}

// replacing makes all VIPs of a controller others, each time.
func replacing(owner string) func(*rand.Rand, int) word {
	return func(_ *rand.Rand, n int) word {
		r := &vipdv1.ReplaceVipsRequest{Owner: owner}
		for i, name := range made(n) {
			r.Vips = append(r.Vips, &vipdv1.VipSpec{Name: name, Prefix: fmt.Sprintf("203.0.113.%d", n%2*batch+i), Check: "web",
				Backends: []*vipdv1.BackendSpec{{Address: "127.0.0.1:8081"}}})
		}
		return word{owner, fmt.Sprint(made(n)), func(ctx context.Context, api vipdv1.VipServiceClient) error {
			_, err := api.ReplaceVips(ctx, r)
			return err
		}}
	}
}

// draining drains the node, and puts it back.
func draining(node string) func(*rand.Rand, int) word {
	return func(_ *rand.Rand, n int) word {
		if n%2 == 0 {
			return word{node, "", func(ctx context.Context, api vipdv1.VipServiceClient) error {
				_, err := api.Undrain(ctx, &vipdv1.UndrainRequest{})
				return err
			}}
		}
		r := &vipdv1.DrainRequest{Reason: fmt.Sprint("drain ", n)}
		return word{node, r.Reason, func(ctx context.Context, api vipdv1.VipServiceClient) error {
			answers, err := api.Drain(ctx, r)
			if err == nil {
				_, err = answers.Recv()
			}
			return err
		}}
	}
}
