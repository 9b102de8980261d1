package vipctl

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) eventsVerb() *cobra.Command {
	c := &cobra.Command{Use: "events", Short: "tell what was decided and what happened, and why", Args: cobra.NoArgs,
		Long: `events tells of the last decisions and of what led to them, oldest first. With
-f it goes on, also over a restart of vipd, which it says.`,
		ValidArgsFunction: cobra.NoFileCompletions}
	e := &events{app: a}
	var vip string
	f := c.Flags()
	follow := f.BoolP("follow", "f", false, "go on with what happens from now on")
	f.StringVar(&vip, "vip", "", "only those about this VIP: its name, prefix or address")
	f.StringVar(&e.subject, "subject", "", "only those about this neighbor, BFD session or VIP, as events name it")
	f.StringVar(&e.kind, "kind", "", "only those of this kind")
	f.Uint32VarP(&e.limit, "limit", "n", 50, "the last so many")
	c.MarkFlagsMutuallyExclusive("vip", "subject")
	choices(c, "kind", "vip", "backend", "override", "drain", "definition", "reload", "speaker", "neighbor", "bfd",
		"state", "hook")
	complete(c, "vip", a.completeVIPs)
	complete(c, "subject", a.completeLinks)
	return a.verb(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		e.api = api
		if vip != "" {
			var err error
			if e.subject, err = e.vipName(ctx, vip); err != nil {
				return err
			}
		}
		if !*follow {
			return e.once(ctx)
		}
		return e.follow(ctx)
	})
}

// events reads events: what is kept, and with follow what comes.
type events struct {
	app           *app
	api           vipdv1.VipServiceClient
	subject, kind string
	limit         uint32
	grid          grid

	began    bool   // instance is known
	instance string // of the daemon that last belongs to; a former version names none
	last     uint64 // nothing up to it is written again
}

// vipName turns a prefix or an address into the name that events have. A VIP
// that is gone has events still.
func (e *events) vipName(ctx context.Context, vip string) (string, error) {
	_, notPrefix := netip.ParsePrefix(vip)
	if _, notAddress := netip.ParseAddr(vip); notAddress != nil && notPrefix != nil {
		return vip, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.app.timeout)
	defer cancel()
	v, err := e.api.GetVip(ctx, &vipdv1.GetVipRequest{Vip: vip})
	return v.GetName(), err
}

func (e *events) request() *vipdv1.ListEventsRequest {
	return &vipdv1.ListEventsRequest{Subject: e.subject, Kind: e.kind, Limit: e.limit, AfterSequence: e.last}
}

func (e *events) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.app.timeout)
	defer cancel()
	r, err := e.api.ListEvents(ctx, e.request())
	if err != nil {
		return err
	}
	return e.app.show(r, func(p *page) {
		var rows [][]cell
		for _, x := range r.GetEvents() {
			rows = append(rows, eventRow(p, x))
		}
		(&grid{columns: eventColumns()}).rows(p, rows)
	})
}

// follow writes what is kept, then what comes. Each time it connects it asks for
// what it missed.
func (e *events) follow(ctx context.Context) error {
	e.grid = grid{columns: eventColumns()}
	s := &stream{api: e.api, limit: e.app.timeout, request: &vipdv1.WatchRequest{EventsOnly: true}, note: e.app.noteStream}
	s.begun = func(ctx context.Context) (string, error) {
		err := e.catchUp(ctx)
		return e.instance, err
	}
	s.take = func(r *vipdv1.WatchResponse) error {
		if r.GetSnapshot().GetMissed() {
			return e.catchUp(ctx)
		}
		if x := r.GetChange().GetEvent(); x.GetSequence() > e.last {
			e.last = x.GetSequence()
			return e.write(x)
		}
		return nil
	}
	return s.run(ctx)
}

// mostEvents is how many the API tells at a time, and more than vipd keeps.
const mostEvents = 10000

// catchUp writes what happened after what was written last.
func (e *events) catchUp(ctx context.Context) error {
	r, err := e.api.ListEvents(ctx, e.request())
	if err == nil && e.began && (r.GetInstance() != e.instance || r.GetSequence() < e.last) {
		e.last = 0 // another life of the daemon, which counts anew
		r, err = e.api.ListEvents(ctx, e.request())
	}
	if err != nil {
		return err
	}
	if r.GetMissed() && e.last > 0 {
		e.app.note("some events were missed: vipd does not keep them any more")
	}
	e.began, e.instance, e.last, e.limit = true, r.GetInstance(), r.GetSequence(), mostEvents
	return e.write(r.GetEvents()...)
}

func (e *events) write(some ...*vipdv1.Event) error {
	some = slices.DeleteFunc(some, func(x *vipdv1.Event) bool {
		return e.subject != "" && x.GetSubject() != e.subject || e.kind != "" && x.GetKind() != e.kind
	})
	if e.app.encoded() {
		for _, x := range some {
			if err := e.app.showLine(x); err != nil {
				return err
			}
		}
		return nil
	}
	p := e.app.page()
	var rows [][]cell
	for _, x := range some {
		rows = append(rows, eventRow(p, x))
	}
	e.grid.rows(p, rows)
	_, err := e.app.Stdout.Write(p.text.Bytes())
	return err
}

func eventColumns() []column { return columns("+SEQUENCE TIME KIND SUBJECT CHANGE +BY REASON") }

func eventRow(p *page, e *vipdv1.Event) []cell {
	reason := e.GetReason()
	if !p.wide {
		reason = strings.Join(filled(reason, by(e)), " ")
	}
	return []cell{number(e.GetSequence()), text(p.clock(e.GetAt())), text(e.GetKind()), text(e.GetSubject()),
		in(eventTone(e.GetTo()), change(p, e)), text(e.GetBy()), text(reason)}
}

// by tells who did it, where somebody did.
func by(e *vipdv1.Event) string {
	if e.GetBy() == "" {
		return ""
	}
	return "(by " + e.GetBy() + ")"
}

func change(p *page, e *vipdv1.Event) string {
	if e.GetFrom() == "" {
		return e.GetTo()
	}
	return e.GetFrom() + p.choose("→", "->") + e.GetTo()
}

func eventTone(to string) tone {
	switch to {
	case "up", "advertised", "established", "connected":
		return good
	case "down", "withdrawn", "disconnected":
		return bad
	}
	return plain
}

// noteStream tells of an outage where nothing can be drawn over.
func (a *app) noteStream(why error, restarted bool) {
	switch {
	case why != nil:
		a.note("not connected to vipd any more: %s; waiting for it", a.lost(why))
	case restarted:
		a.note("connected again: vipd was restarted")
	default:
		a.note("connected again")
	}
}

// lost tells how a stream ended, in a few words.
func (a *app) lost(why error) string {
	if errors.Is(why, io.EOF) {
		return "it stops"
	}
	cause, _ := a.link.state()
	switch {
	case status.Code(why) != codes.Unavailable || cause == nil:
		return clean(status.Convert(why).Message())
	case errors.Is(cause, io.EOF):
		return "it hung up"
	}
	return clean(cause.Error())
}
