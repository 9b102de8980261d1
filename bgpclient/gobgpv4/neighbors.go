package gobgpv4

import (
	"context"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/driver"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"

	"github.com/osrg/gobgp/v4/api"
)

// GetBgp tells the global configuration.
func (c client) GetBgp(ctx context.Context) (bgpclient.Global, error) {
	r, err := c.GoBgpServiceClient.GetBgp(ctx, &api.GetBgpRequest{})
	g := r.GetGlobal()
	return bgpclient.Global{
		ASN: g.GetAsn(), RouterID: driver.Address(g.GetRouterId()), ListenPort: int(g.GetListenPort()),
		ListenAddresses: driver.Addresses(g.GetListenAddresses()),
	}, err
}

// StartBgp gives the global configuration.
func (c client) StartBgp(ctx context.Context, g bgpclient.Global) error {
	global := &api.Global{Asn: g.ASN, RouterId: g.RouterID.String(), ListenPort: int32(g.ListenPort)}
	for _, a := range g.ListenAddresses {
		global.ListenAddresses = append(global.ListenAddresses, a.String())
	}
	if g.UnicastOnly {
		global.Families = driver.UnicastOnly()
	}
	_, err := c.GoBgpServiceClient.StartBgp(ctx, &api.StartBgpRequest{Global: global})
	return err
}

// ListPeer lists neighbors.
func (c client) ListPeer(ctx context.Context, address string, yield func(bgpclient.NeighborState)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.GoBgpServiceClient.ListPeer(ctx, &api.ListPeerRequest{Address: address})
	return driver.Collect(s, err, func(r *api.ListPeerResponse) { yield(neighborState(r.GetPeer())) })
}

// AddPeer adds a neighbor.
func (c client) AddPeer(ctx context.Context, n bgpclient.Neighbor) error {
	_, err := c.GoBgpServiceClient.AddPeer(ctx, &api.AddPeerRequest{Peer: peer(n)})
	return err
}

// UpdatePeer changes a neighbor.
func (c client) UpdatePeer(ctx context.Context, n bgpclient.Neighbor) error {
	_, err := c.GoBgpServiceClient.UpdatePeer(ctx, &api.UpdatePeerRequest{Peer: peer(n)})
	return err
}

// DeletePeer removes a neighbor.
func (c client) DeletePeer(ctx context.Context, address string) error {
	_, err := c.GoBgpServiceClient.DeletePeer(ctx, &api.DeletePeerRequest{Address: address})
	return err
}

// SoftResetOut sends a neighbor its routes anew.
func (c client) SoftResetOut(ctx context.Context, address string) error {
	_, err := c.GoBgpServiceClient.ResetPeer(ctx, &api.ResetPeerRequest{
		Address: address, Soft: true, Direction: api.ResetPeerRequest_DIRECTION_OUT,
	})
	return err
}

// ListLeftBehind lists what policies keep back, before 4.6. That version came
// with a BFD of its own, which shows in every listed neighbor.
func (c client) ListLeftBehind(ctx context.Context, address string, want uint16, yield func(driver.Listed)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	withdraws := false
	peers, err := c.GoBgpServiceClient.ListPeer(ctx, &api.ListPeerRequest{Address: address})
	err = driver.Collect(peers, err, func(r *api.ListPeerResponse) { withdraws = withdraws || r.GetPeer().GetBfd() != nil })
	if err != nil || withdraws {
		return err
	}
	return c.ListAdjOut(ctx, address, want, nil, func(l driver.Listed) {
		if l.Filtered {
			yield(l)
		}
	})
}

func peer(n bgpclient.Neighbor) *api.Peer {
	t := driver.TimersOf(n)
	p := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: n.Address.String(), PeerAsn: n.ASN, Description: n.Description, AuthPassword: n.Password,
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			ConnectRetry: t.ConnectRetry, HoldTime: t.Hold, IdleHoldTimeAfterReset: t.IdleHold,
		}},
		Transport:    &api.Transport{RemotePort: uint32(n.Port), PassiveMode: n.Passive},
		EbgpMultihop: &api.EbgpMultihop{Enabled: n.MultihopTTL > 0, MultihopTtl: uint32(n.MultihopTTL)},
		GracefulRestart: &api.GracefulRestart{
			Enabled: t.Restart > 0, RestartTime: t.Restart, DeferralTime: t.Deferral,
		},
	}
	if n.LocalAddress.IsValid() {
		p.Transport.LocalAddress = n.LocalAddress.String()
	}
	for _, afi := range driver.Families(n) {
		p.AfiSafis = append(p.AfiSafis, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: family(afi), Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: t.Restart > 0}},
			AddPaths:          &api.AddPaths{Config: &api.AddPathsConfig{SendMax: uint32(n.AddPathsSendMax)}},
		})
	}
	return p
}

func neighborState(p *api.Peer) bgpclient.NeighborState {
	s := bgpclient.NeighborState{
		Neighbor:  neighbor(p),
		State:     sessionState(p.GetState().GetSessionState()),
		AdminDown: adminDown(p),
		BFD:       p.GetBfd().GetEnabled(),
		Received:  messages(p.GetState().GetMessages().GetReceived()),
		Sent:      messages(p.GetState().GetMessages().GetSent()),
		Since:     driver.Instant(p.GetTimers().GetState().GetDowntime()),
		Deferring: p.GetGracefulRestart().GetLocalRestarting(),
	}
	if s.State == bgpclient.Established {
		s.Since = driver.Instant(p.GetTimers().GetState().GetUptime())
	}
	for _, f := range p.GetAfiSafis() {
		s.Accepted += f.GetState().GetAccepted()
	}
	return s
}

// neighbor reads the configuration of a listed peer.
func neighbor(p *api.Peer) bgpclient.Neighbor {
	conf, transport := p.GetConf(), p.GetTransport()
	n := bgpclient.Neighbor{
		Address: driver.Address(conf.GetNeighborAddress()), ASN: conf.GetPeerAsn(),
		Description: conf.GetDescription(), Password: conf.GetAuthPassword(),
		Port: uint16(transport.GetRemotePort()), Passive: transport.GetPassiveMode(),
		LocalAddress: driver.Address(transport.GetLocalAddress()),
		HoldTime:     driver.Seconds(p.GetTimers().GetConfig().GetHoldTime()),
		ConnectRetry: driver.Seconds(p.GetTimers().GetConfig().GetConnectRetry()),
	}
	if !n.Address.IsValid() { // a neighbor that is configured by interface
		n.Address = driver.Address(p.GetState().GetNeighborAddress())
	}
	if n.LocalAddress.IsUnspecified() {
		n.LocalAddress = netip.Addr{}
	}
	if p.GetEbgpMultihop().GetEnabled() {
		n.MultihopTTL = uint8(p.GetEbgpMultihop().GetMultihopTtl())
	}
	if p.GetGracefulRestart().GetEnabled() {
		n.GracefulRestart = time.Duration(p.GetGracefulRestart().GetRestartTime()) * time.Second
	}
	for _, f := range p.GetAfiSafis() {
		if family := afi(f.GetConfig().GetFamily()); family != 0 && f.GetConfig().GetEnabled() {
			n.IPv4, n.IPv6 = n.IPv4 || family == wire.AFIv4, n.IPv6 || family == wire.AFIv6
			n.AddPathsSendMax = max(n.AddPathsSendMax, uint8(f.GetAddPaths().GetConfig().GetSendMax()))
		}
	}
	return n
}

func sessionState(s api.PeerState_SessionState) bgpclient.SessionState {
	switch s {
	case api.PeerState_SESSION_STATE_IDLE:
		return bgpclient.Idle
	case api.PeerState_SESSION_STATE_CONNECT:
		return bgpclient.Connect
	case api.PeerState_SESSION_STATE_ACTIVE:
		return bgpclient.Active
	case api.PeerState_SESSION_STATE_OPENSENT:
		return bgpclient.OpenSent
	case api.PeerState_SESSION_STATE_OPENCONFIRM:
		return bgpclient.OpenConfirm
	case api.PeerState_SESSION_STATE_ESTABLISHED:
		return bgpclient.Established
	}
	return 0
}

func messages(m *api.Message) bgpclient.MessageCounts {
	return bgpclient.MessageCounts{
		Open: m.GetOpen(), Update: m.GetUpdate(), Notification: m.GetNotification(), Keepalive: m.GetKeepalive(),
		Refresh: m.GetRefresh(), Total: m.GetTotal(), WithdrawnPrefixes: m.GetWithdrawPrefix(),
	}
}
