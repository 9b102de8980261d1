package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// GobgpBFD is the BFD of a gobgpd, 4.6 or later, whose API is where it is by
// default.
type GobgpBFD struct{ *Process }

// BFD is gobgpd's view. It has a session only with a neighbor.
func (g GobgpBFD) BFD() (all []BFDSession, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:127.0.0.1:50051", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (conn net.Conn, err error) {
			err = g.host.do(func() (err error) {
				conn, err = net.DialTimeout("tcp", address, time.Second)
				return err
			})
			return conn, err
		}))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	peers, err := api.NewGoBgpServiceClient(conn).ListPeer(ctx, &api.ListPeerRequest{})
	if err != nil {
		return nil, err
	}
	names := map[api.BfdSessionState]string{
		api.BfdSessionState_BFD_SESSION_STATE_ADMIN_DOWN: "AdminDown", api.BfdSessionState_BFD_SESSION_STATE_DOWN: "Down",
		api.BfdSessionState_BFD_SESSION_STATE_INIT: "Init", api.BfdSessionState_BFD_SESSION_STATE_UP: "Up",
	}
	for {
		p, err := peers.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		address, err := netip.ParseAddr(p.GetPeer().GetState().GetNeighborAddress())
		if err != nil {
			return nil, err
		}
		all = append(all, BFDSession{address, names[p.GetPeer().GetState().GetBfdState().GetSessionState()]})
	}
}
