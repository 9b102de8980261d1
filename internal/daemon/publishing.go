package daemon

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/publish"
	"github.com/fiberlb/vipd/internal/view"
)

// publishing lets the publisher read the rooms.
func (d *daemon) publishing() publish.Sources {
	return publish.Sources{
		Look: d.loop.Look, VIP: d.vipMessage, Name: d.sink.name, Neighbors: d.neighborMessages, Turned: d.neighborChanged, Node: d.nodeMessage,
		Sessions: func(ctx context.Context) []*vipdv1.BfdSession { return d.sessionMessages(ctx, false) },
	}
}

// note puts an event on the board.
func (d *daemon) note(e *vipdv1.Event) {
	e.Reason = strings.ToValidUTF8(e.Reason, "�") // a backend's words may be anything
	d.board.Note(e)
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// vipMessage is a VIP as the API shows it; nil: it is gone.
func (d *daemon) vipMessage(s healthloop.VIPStatus) *vipdv1.Vip {
	known, ok := d.sink.known(s.Name)
	if !ok {
		return nil
	}
	v, decided := known.vip, known.decided
	def := view.Def{Prefix: v.Prefix, Owner: known.made.Owner, Version: known.made.Version, Addresses: make(map[string]string, len(v.Backends))}
	for _, b := range v.Backends {
		def.Addresses[b.Name] = b.Address
	}
	var route bgpclient.RouteStatus
	if d.rec != nil {
		route, _ = d.rec.Route(v.Prefix)
	}
	attributes := ""
	if decided.State == healthloop.Advertised {
		attributes = strings.TrimPrefix(routeFor(v, decided).String(), v.Prefix.String())
	}
	return view.VIP(s, def, route, strings.TrimSpace(attributes))
}

// neighborMessages are the speaker's neighbors as the API shows them.
func (d *daemon) neighborMessages() []*vipdv1.Neighbor {
	if d.rec == nil {
		return nil
	}
	cfg := d.config.Load()
	managed, watched := map[netip.Addr]bool{}, map[netip.Addr]string{}
	for _, n := range cfg.BGP.Neighbors {
		managed[n.Address] = cfg.BGP.Manage
		if n.BFD == nil {
			continue
		}
		watched[n.Address] = "down"
		if s, ok := d.live.session(sessionKey(n.BFD.BFDKey)); ok {
			watched[n.Address] = strings.ToLower(s.State.String())
		}
	}
	holds := map[netip.Addr]bgpclient.HoldStatus{}
	for _, h := range d.rec.Holds() {
		holds[h.Address] = h
	}
	var out []*vipdv1.Neighbor
	connected := d.rec.Link().Connected
	for _, n := range d.rec.Neighbors() {
		if !connected { // what was seen last may be long over
			n.State, n.Since = 0, time.Time{}
		}
		var hold *bgpclient.HoldStatus
		if h, ok := holds[n.Address]; ok {
			hold = &h
		}
		out = append(out, view.Neighbor(n, hold, managed[n.Address], watched[n.Address]))
	}
	return out
}

// sessionMessages are the BFD sessions as the API shows them.
func (d *daemon) sessionMessages(_ context.Context, transitions bool) []*vipdv1.BfdSession {
	if !d.live.isOpen() {
		return nil
	}
	made := d.sessionOwners.Load()
	var out []*vipdv1.BfdSession
	for _, s := range d.live.engine.Sessions() {
		if s.Leaving {
			continue
		}
		owner := ""
		if made != nil {
			owner = (*made)[view.SessionID(s.Key)]
		}
		out = append(out, view.Session(s, owner, transitions))
	}
	slices.SortFunc(out, func(a, b *vipdv1.BfdSession) int { return strings.Compare(a.GetId(), b.GetId()) })
	return out
}

// nodeMessage is this vipd as the API shows it.
func (d *daemon) nodeMessage() *vipdv1.Node {
	cfg := d.config.Load()
	reload := d.reload.Load()
	n := &vipdv1.Node{
		Name: cfg.Node, Version: d.Version, Started: stamp(d.started), Drain: d.drainShown(),
		LastReload: &vipdv1.Reload{Ok: reload.OK, At: stamp(reload.At), Error: reload.Err},
	}
	if left := d.left.Load(); left != nil {
		n.Problems = left.texts
	}
	if u := d.uplinks.counted(); u.Total > 0 {
		n.Uplinks = &vipdv1.Uplinks{Alive: uint32(u.Up), Total: uint32(u.Total)}
	}
	if d.rec != nil {
		wanted, installed, foreign, drift := d.rec.Counts()
		kind, address := "gobgp", cfg.BGP.Address
		if d.speaker != nil {
			kind, address = "embedded", ""
		}
		n.Speaker = view.Speaker(kind, address, d.rec.Link(), wanted, installed, foreign, drift)
	}
	return n
}

// speakerName is what events call the speaker.
func (d *daemon) speakerName() string {
	if d.speaker != nil {
		return "embedded"
	}
	return d.config.Load().BGP.Address
}

// linked is called when the connection to the speaker changed.
func (d *daemon) linked() {
	l := d.rec.Link()
	if was := d.wasLinked.Swap(l.Connected); was != l.Connected {
		e := &vipdv1.Event{Kind: kindSpeaker, Subject: d.speakerName(), From: "lost", To: "connected", Reason: "api " + l.API}
		if !l.Connected {
			e.From, e.To, e.Reason = "connected", "lost", l.Problem
		}
		d.note(e)
	}
	d.publisher.Node()
	d.publisher.Neighbors()
}
