package vipdv1_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// connect opens the API of this node. It must be called from a user who may
// open the socket; there is no other secret.
func connect() (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:///run/vipd/vipd.sock",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
}

// A controller makes the VIPs of its own what it wants, again and again.
func Example_controller() {
	conn, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := vipdv1.NewVipServiceClient(conn)

	web := &vipdv1.VipSpec{
		Name:       "web",
		Prefix:     "192.0.2.10",
		MinHealthy: "50%",
		Check:      "web", // of the node's configuration file
		Backends: []*vipdv1.BackendSpec{
			{Name: "a", Address: "10.1.0.11:8080"},
			{Name: "b", Address: "10.1.0.12:8080"},
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var generation *uint64 // nil the first time: whatever the node has
	answer, err := client.ReplaceVips(ctx, &vipdv1.ReplaceVipsRequest{
		Owner:              "my-controller",
		Vips:               []*vipdv1.VipSpec{web}, // all of this owner's
		ExpectedGeneration: generation,
	})
	switch status.Code(err) {
	case codes.OK:
		generation = &answer.Generation // for the next time
		fmt.Println("added", answer.Added, "changed", answer.Changed, "removed", answer.Removed)
	case codes.Aborted: // another instance of this controller was faster
	case codes.InvalidArgument: // sending it again won't help
		log.Fatal(err)
	default: // UNAVAILABLE, RESOURCE_EXHAUSTED …: try again later
		log.Print(err)
	}
}

// A watcher goes on where its last stream ended.
func Example_watch() {
	conn, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := vipdv1.NewVipServiceClient(conn)

	vips := map[string]*vipdv1.Vip{}
	var from vipdv1.WatchRequest
	for ; ; <-time.After(time.Second) {
		stream, err := client.Watch(context.Background(), &from)
		for err == nil {
			var m *vipdv1.WatchResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			if s := m.GetSnapshot(); s != nil {
				if s.First {
					clear(vips) // what was known before may be gone
				}
				for _, v := range s.Vips {
					vips[v.Name] = v
				}
			}
			switch c := m.GetChange().GetObject().(type) {
			case *vipdv1.Change_Vip:
				vips[c.Vip.Name] = c.Vip
			case *vipdv1.Change_VipRemoved:
				delete(vips, c.VipRemoved)
			}
			from.Instance, from.AfterSequence = m.Instance, m.Sequence
		}
		log.Print(err)
	}
}
