package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A stop with clients in the middle of calls ends all of them, and leaves
// nothing behind.
func TestStopWithClientsLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir, err := os.MkdirTemp("", "vipd") // short: the name of a socket is
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := "unix://" + filepath.Join(dir, "s")
	l := newLedger()
	backend := silent(t)
	o := ledgered(t, l, strings.Replace(bgpVIPs(backend, ""), "listen: []", "listen: ['"+socket+"']", 1))
	signals := make(chan os.Signal, 2)
	o.Signals = signals
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), o) }()
	conn, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := vipdv1.NewVipServiceClient(conn)
	if _, err := client.SetOverride(t.Context(), &vipdv1.SetOverrideRequest{Vip: "a", Word: "advertise", Wait: true}); err != nil {
		t.Fatal(err)
	}
	if !l.has("192.0.2.1/32") {
		t.Error("answered before the speaker shows it")
	}
	if _, err := client.UpsertVip(t.Context(), &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", nil), Wait: true}); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	begun := make(chan struct{}, 2)
	clients.Go(func() { // until vipd stops
		stream, err := client.Watch(t.Context(), &vipdv1.WatchRequest{})
		for err == nil {
			_, err = stream.Recv()
			select {
			case begun <- struct{}{}:
			default:
			}
		}
	})
	<-begun
	clients.Go(func() { // likewise
		for {
			_, err := client.UpsertVip(t.Context(), &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", nil)}, grpc.WaitForReady(false))
			if status.Code(err) == codes.ResourceExhausted {
				continue
			}
			if err != nil {
				return
			}
		}
	})
	clients.Go(func() {
		stream, err := client.Drain(t.Context(), &vipdv1.DrainRequest{Wait: true}, grpc.WaitForReady(false))
		for err == nil {
			_, err = stream.Recv()
		}
	})
	signals <- syscall.SIGTERM
	began := time.Now()
	if err := <-done; err != nil {
		t.Error(err)
	}
	clients.Wait()
	if len(l.paths) > 0 {
		t.Errorf("%d routes are left", len(l.paths))
	}
	t.Logf("stopped after %s", time.Since(began))
}
