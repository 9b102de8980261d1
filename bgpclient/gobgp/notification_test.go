package gobgp_test

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"

	v3 "github.com/osrg/gobgp/v3/api"
	v4 "github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A wirePeer is a router that shows each message as it came.
type wirePeer struct {
	t    *testing.T
	conn net.Conn
	open *bgp.BGPOpen // the speaker's
}

// wireSession connects to a speaker that waits for it, and says of itself that it
// does graceful restart (RFC 4724), also for NOTIFICATIONs (RFC 8538).
func wireSession(t *testing.T, s speaker, from netip.Addr) *wirePeer {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := d.DialContext(bounded(t), "tcp", netip.AddrPortFrom(loopback, s.port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p := &wirePeer{t: t, conn: conn}
	family := bgp.RF_IPv4_UC
	open, err := bgp.NewBGPOpenMessage(routerAS, 90, netip.AddrFrom4([4]byte{192, 0, 2, 255}),
		[]bgp.OptionParameterInterface{bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(family), bgp.NewCapFourOctetASNumber(routerAS),
			bgp.NewCapGracefulRestart(false, true, 120, []*bgp.CapGracefulRestartTuple{bgp.NewCapGracefulRestartTuple(family, true)}),
		})})
	if err != nil {
		t.Fatal(err)
	}
	p.send(open)
	p.open = p.await(bgp.BGP_MSG_OPEN).Body.(*bgp.BGPOpen)
	p.send(bgp.NewBGPKeepAliveMessage())
	p.await(bgp.BGP_MSG_KEEPALIVE)
	return p
}

func (p *wirePeer) send(m *bgp.BGPMessage) {
	p.t.Helper()
	data, err := m.Serialize()
	if err == nil {
		_, err = p.conn.Write(data)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// await reads messages until one is of this kind.
func (p *wirePeer) await(kind uint8) *bgp.BGPMessage {
	p.t.Helper()
	for {
		header := make([]byte, bgp.BGP_HEADER_LENGTH)
		var h bgp.BGPHeader
		_, err := io.ReadFull(p.conn, header)
		if err == nil {
			err = h.DecodeFromBytes(header)
		}
		if err != nil {
			p.t.Fatalf("no message of type %d: %v", kind, err)
		}
		body := make([]byte, int(h.Len)-len(header))
		if _, err = io.ReadFull(p.conn, body); err != nil {
			p.t.Fatal(err)
		}
		m, err := bgp.ParseBGPBody(&h, body)
		if err != nil {
			p.t.Fatal(err)
		}
		if h.Type == kind {
			return m
		}
		if h.Type == bgp.BGP_MSG_NOTIFICATION {
			p.t.Fatalf("a NOTIFICATION: %+v", m.Body)
		}
	}
}

// offered reports whether the speaker's OPEN says that it does graceful restart,
// and also for NOTIFICATIONs.
func (p *wirePeer) offered() (restart, notifications bool) {
	for _, o := range p.open.OptParams {
		for _, c := range o.(*bgp.OptionParameterCapability).Capability {
			if g, ok := c.(*bgp.CapGracefulRestart); ok {
				restart, notifications = true, g.Flags&0x04 != 0
			}
		}
	}
	return restart, notifications
}

// addByOperator adds a neighbor as a gobgpd's own file would: with graceful restart
// that also covers NOTIFICATIONs, which vipd asks no speaker for.
func addByOperator(t *testing.T, c bgpclient.Conn, target string, n bgpclient.Neighbor) {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if c.API() == "v3" {
		_, err = v3.NewGobgpApiClient(conn).AddPeer(bounded(t), &v3.AddPeerRequest{Peer: &v3.Peer{
			Conf:            &v3.PeerConf{NeighborAddress: n.Address.String(), PeerAsn: n.ASN},
			Transport:       &v3.Transport{PassiveMode: true},
			GracefulRestart: &v3.GracefulRestart{Enabled: true, RestartTime: 120, NotificationEnabled: true},
			AfiSafis: []*v3.AfiSafi{{
				Config:            &v3.AfiSafiConfig{Family: &v3.Family{Afi: v3.Family_AFI_IP, Safi: v3.Family_SAFI_UNICAST}, Enabled: true},
				MpGracefulRestart: &v3.MpGracefulRestart{Config: &v3.MpGracefulRestartConfig{Enabled: true}},
			}},
		}})
	} else {
		_, err = v4.NewGoBgpServiceClient(conn).AddPeer(bounded(t), &v4.AddPeerRequest{Peer: &v4.Peer{
			Conf:            &v4.PeerConf{NeighborAddress: n.Address.String(), PeerAsn: n.ASN},
			Transport:       &v4.Transport{PassiveMode: true},
			GracefulRestart: &v4.GracefulRestart{Enabled: true, RestartTime: 120, NotificationEnabled: true},
			AfiSafis: []*v4.AfiSafi{{
				Config:            &v4.AfiSafiConfig{Family: &v4.Family{Afi: v4.Family_AFI_IP, Safi: v4.Family_SAFI_UNICAST}, Enabled: true},
				MpGracefulRestart: &v4.MpGracefulRestart{Config: &v4.MpGracefulRestartConfig{Enabled: true}},
			}},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// T66 What a router is told when its neighbor is disabled for BFD. RFC 9384 would
// have "BFD Down" (10), for which GoBGP has no request. Where both sides said that
// NOTIFICATIONs don't end a graceful restart, RFC 8538 §3 would have it within a Hard
// Reset, or the router keeps the routes for the restart time: only 3.37 does that,
// and leaves out what is within.
func TestDisabledNeighborIsToldAnAdministrativeShutdown(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := started(t, s)
		for i, tt := range []struct {
			name       string
			byOperator bool
			want       uint8
		}{
			{"a neighbor as vipd adds it", false, bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN},
			{"both sides do graceful restart for NOTIFICATIONs", true, map[string]uint8{
				"3.10": bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN, "3.37.0": bgp.BGP_ERROR_SUB_HARD_RESET,
				"4.8.0": bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN, "embedded": bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN,
			}[s.name]},
		} {
			t.Run(tt.name, func(t *testing.T) {
				n := bgpclient.Neighbor{
					Address: netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}), ASN: routerAS, Passive: true, IPv4: true,
					GracefulRestart: 120 * time.Second,
				}
				if tt.byOperator {
					addByOperator(t, c, s.target, n)
				} else if err := c.AddNeighbor(bounded(t), n); err != nil {
					t.Fatal(err)
				}
				p := wireSession(t, s, n.Address)
				for ctx := bounded(t); !up(t, c, n.Address) && ctx.Err() == nil; {
				}
				if restart, notifications := p.offered(); !restart || notifications != tt.byOperator {
					t.Errorf("graceful restart is offered: %t, for NOTIFICATIONs: %t", restart, notifications)
				}
				runVipd(t, s, nil, func(v *bgpclient.Reconciler) { v.Hold(n.Address, down) })
				got := p.await(bgp.BGP_MSG_NOTIFICATION).Body.(*bgp.BGPNotification)
				t.Logf("told %d/%d %q", got.ErrorCode, got.ErrorSubcode, got.Data)
				reason := append([]byte{byte(len(down.Reason))}, down.Reason...)
				if got.ErrorCode != bgp.BGP_ERROR_CEASE || got.ErrorSubcode != tt.want || !slices.Equal(got.Data, reason) {
					t.Errorf("want subcode %d with %q", tt.want, reason)
				}
			})
		}
	})
}
