// Package gobgptest is the other side for tests and the demo: a router that
// receives routes and remembers all it was told, and real gobgpd processes of
// the versions that vipd supports. It is on loopback only.
package gobgptest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// RouterOptions of a Router. ASN is required.
type RouterOptions struct {
	ASN     uint32
	Address netip.Addr // to listen on, in 127.0.0.0/8, and the router id; default 127.0.0.1
}

// A Peer is whom a Router accepts a session from.
type Peer struct {
	Address  netip.Addr
	ASN      uint32
	AddPaths bool // receive several paths a prefix (RFC 7911)
	Password string
	Port     uint16 // connect to the peer there; 0: wait for it
	// GracefulRestart keeps the routes for this many seconds when the session
	// breaks (RFC 4724); 0: they are gone at once.
	GracefulRestart uint32
}

// A Router is a BGP speaker in this process that announces nothing and records
// every UPDATE.
type Router struct {
	record
	Address netip.Addr
	Port    uint16
	server  *server.BgpServer
	served  chan struct{}
	stop    context.CancelFunc // of the events
}

// StartRouter makes a router that listens. Close it.
func StartRouter(ctx context.Context, opts RouterOptions) (*Router, error) {
	if !opts.Address.IsValid() {
		opts.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	r := &Router{Address: opts.Address, server: server.NewBgpServer(), served: make(chan struct{})}
	r.record.init()
	go func() { // ends with Close
		defer close(r.served)
		r.server.Serve()
	}()
	if err := r.listen(ctx, opts.ASN); err != nil {
		r.Close()
		return nil, fmt.Errorf("router on %s: %w", opts.Address, err)
	}
	events, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	err := r.server.WatchEvent(events, server.WatchEventMessageCallbacks{
		OnPathUpdate: r.update, OnPathEor: r.endOfRIB, OnPeerUpdate: r.peer,
	}, server.WatchUpdate(false, "", ""), server.WatchEor(false), server.WatchPeer())
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("router on %s: %w", opts.Address, err)
	}
	return r, nil
}

// listen finds a free port. GoBGP takes no listener, so the port may be gone
// again when it opens it: then another one is tried.
func (r *Router) listen(ctx context.Context, asn uint32) (err error) {
	for range 10 {
		if r.Port, err = FreePort(r.Address); err != nil {
			return err
		}
		err = r.server.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
			Asn: asn, RouterId: r.Address.String(), ListenPort: int32(r.Port), ListenAddresses: []string{r.Address.String()},
		}})
		if err == nil {
			return nil
		}
	}
	return err
}

// Accept lets a peer connect, for IPv4 and IPv6 routes.
func (r *Router) Accept(ctx context.Context, p Peer) error {
	graceful := p.GracefulRestart > 0
	peer := &api.Peer{
		Conf:            &api.PeerConf{NeighborAddress: p.Address.String(), PeerAsn: p.ASN, AuthPassword: p.Password},
		Transport:       &api.Transport{PassiveMode: p.Port == 0, RemotePort: uint32(p.Port), LocalAddress: r.Address.String()},
		Timers:          &api.Timers{Config: &api.TimersConfig{ConnectRetry: 5, IdleHoldTimeAfterReset: 1}},
		GracefulRestart: &api.GracefulRestart{Enabled: graceful, RestartTime: p.GracefulRestart},
	}
	for _, afi := range []api.Family_Afi{api.Family_AFI_IP, api.Family_AFI_IP6} {
		peer.AfiSafis = append(peer.AfiSafis, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST}, Enabled: true},
			AddPaths:          &api.AddPaths{Config: &api.AddPathsConfig{Receive: p.AddPaths}},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: graceful}},
		})
	}
	if err := r.server.AddPeer(ctx, &api.AddPeerRequest{Peer: peer}); err != nil {
		return fmt.Errorf("accept %s: %w", p.Address, err)
	}
	r.keep(p.Address, graceful)
	return nil
}

// Reset breaks the session with a peer by a NOTIFICATION, as a router does that
// an operator clears.
func (r *Router) Reset(ctx context.Context, peer netip.Addr) error {
	return r.server.ResetPeer(ctx, &api.ResetPeerRequest{Address: peer.String()})
}

// Close ends all sessions and the router.
func (r *Router) Close() {
	if r.stop != nil {
		r.stop()
	}
	// Stop does nothing to a server that does not serve yet; it answers once it does.
	_, _ = r.server.GetBgp(context.Background(), &api.GetBgpRequest{})
	r.server.Stop()
	<-r.served
}

// peer takes in a change of a session.
func (r *Router) peer(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) {
	if a := e.Peer.State.NeighborAddress; a.IsValid() {
		r.session(a, e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED)
	}
}
