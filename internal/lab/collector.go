package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// A Message is an UPDATE as a Collector received it, or a session's beginning
// or end.
type Message struct {
	At        time.Time
	Peer      netip.Addr
	Up, Down  bool
	EndOfRIB  bool
	Announced []netip.Prefix
	Withdrawn []netip.Prefix
}

// A Collector is a BGP speaker that announces nothing and records every message
// that it is sent, when it came. It is no router: it chooses and forgets
// nothing, so what it counts is what was on the wire. It says of itself that it
// does graceful restart.
type Collector struct {
	lab *Lab
	asn uint32

	mu       sync.Mutex // guards messages: sessions write, the scenario reads
	messages []Message
}

// Collect makes a collector that listens at addresses of the host.
func (h *Host) Collect(asn uint32, at ...netip.AddrPort) *Collector {
	h.lab.Helper()
	c := &Collector{lab: h.lab, asn: asn}
	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	h.lab.Cleanup(func() {
		cancel()
		sessions.Wait()
	})
	for _, a := range at {
		var l net.Listener
		h.lab.must(h.do(func() (err error) {
			l, err = net.Listen("tcp", a.String())
			return err
		}))
		context.AfterFunc(ctx, func() { _ = l.Close() })
		sessions.Go(func() { // ends with the test
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				sessions.Go(func() { // ends with its session, or the test
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					defer stop()
					c.session(conn)
				})
			}
		})
	}
	return c
}

func (c *Collector) session(conn net.Conn) {
	defer conn.Close()
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	family := bgp.RF_IPv4_UC
	if peer.Is6() {
		family = bgp.RF_IPv6_UC
	}
	if c.greet(conn, family) != nil {
		return // the peer will try again
	}
	c.note(Message{Peer: peer, Up: true})
	defer func() { c.note(Message{Peer: peer, Down: true}) }()
	for {
		m, err := receive(conn)
		if err != nil {
			return
		}
		switch body := m.Body.(type) {
		case *bgp.BGPUpdate:
			c.note(message(peer, body))
		case *bgp.BGPKeepAlive:
			// One for one keeps the peer's hold timer content.
			if send(conn, bgp.NewBGPKeepAliveMessage()) != nil {
				return
			}
		case *bgp.BGPNotification:
			return
		}
	}
}

// greet exchanges OPEN and the first KEEPALIVE. A session carries the family that
// it runs over, as the router's do.
func (c *Collector) greet(conn net.Conn, family bgp.Family) error {
	graceful := []*bgp.CapGracefulRestartTuple{bgp.NewCapGracefulRestartTuple(family, false)}
	open, err := bgp.NewBGPOpenMessage(uint16(c.asn), 90, netip.AddrFrom4([4]byte{192, 0, 2, 255}),
		[]bgp.OptionParameterInterface{bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(family), bgp.NewCapFourOctetASNumber(c.asn),
			bgp.NewCapGracefulRestart(false, false, 120, graceful),
		})})
	if err != nil {
		return err
	}
	if err := send(conn, open); err != nil {
		return err
	}
	if m, err := receive(conn); err != nil || m.Header.Type != bgp.BGP_MSG_OPEN {
		return fmt.Errorf("no OPEN: %w", err)
	}
	if err := send(conn, bgp.NewBGPKeepAliveMessage()); err != nil {
		return err
	}
	// A peer that restarted waits with its choice of paths for our end.
	return send(conn, bgp.NewEndOfRib(family))
}

func send(conn net.Conn, m *bgp.BGPMessage) error {
	data, err := m.Serialize()
	if err == nil {
		_, err = conn.Write(data)
	}
	return err
}

func receive(conn net.Conn) (*bgp.BGPMessage, error) {
	header := make([]byte, bgp.BGP_HEADER_LENGTH)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, err
	}
	var h bgp.BGPHeader
	if err := h.DecodeFromBytes(header); err != nil {
		return nil, err
	}
	body := make([]byte, int(h.Len)-len(header))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	return bgp.ParseBGPBody(&h, body)
}

// message translates an UPDATE.
func message(peer netip.Addr, u *bgp.BGPUpdate) Message {
	m := Message{Peer: peer}
	m.EndOfRIB, _ = u.IsEndOfRib()
	m.Announced, m.Withdrawn = prefixes(u.NLRI), prefixes(u.WithdrawnRoutes)
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			m.Announced = append(m.Announced, prefixes(a.Value)...)
		case *bgp.PathAttributeMpUnreachNLRI:
			m.Withdrawn = append(m.Withdrawn, prefixes(a.Value)...)
		}
	}
	return m
}

func prefixes(paths []bgp.PathNLRI) (all []netip.Prefix) {
	for _, p := range paths {
		if ip, ok := p.NLRI.(*bgp.IPAddrPrefix); ok {
			all = append(all, ip.Prefix)
		}
	}
	return all
}

func (c *Collector) note(m Message) {
	m.At = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, m)
}

// Established returns an error unless so many sessions stand.
func (c *Collector) Established(want int) error {
	stand := 0
	for _, m := range c.Heard(time.Time{}) {
		switch {
		case m.Up:
			stand++
		case m.Down:
			stand--
		}
	}
	if stand != want {
		return fmt.Errorf("%d sessions stand with the collector, not %d", stand, want)
	}
	return nil
}
