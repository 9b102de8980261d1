package vipctl

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

const (
	// fewVIPs is how many fit the screen. For so many it is asked to whom each
	// is announced, which is a question to the speaker for each.
	fewVIPs = 20
	// asking bounds those questions, and askers how many are under way: the
	// screen does not wait for a speaker that hangs.
	asking = time.Second
	askers = 4
)

func (a *app) statusVerb() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "tell on one screen what is announced, to whom, and why not",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions}
	watch := watchFlag(c)
	return a.verb(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		o := &overview{app: a, api: api}
		_, _, tty := terminal(a.Stdout)
		if *watch && (tty || a.encoded()) {
			return o.redraw(ctx, tty && !a.encoded())
		}
		if err := o.ask(ctx); err != nil {
			return err
		}
		if err := a.show(o.status, o.draw); err != nil || !*watch {
			return err
		}
		// Lines that are added are the events: a screen again and again would
		// bury them.
		e := &events{app: a, api: api, last: o.status.GetSequence()}
		return e.follow(ctx)
	})
}

// An overview is what the status screen shows.
type overview struct {
	app    *app
	api    vipdv1.VipServiceClient
	status *vipdv1.Status
	sent   map[string][]*vipdv1.Sent // by VIP, of those that could be asked for
}

func (o *overview) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.app.timeout)
	defer cancel()
	s, err := o.api.GetStatus(ctx, &vipdv1.GetStatusRequest{})
	if err != nil {
		return err
	}
	o.status, o.sent = s, map[string][]*vipdv1.Sent{}
	if len(s.GetVips()) <= fewVIPs && !o.app.encoded() {
		o.askSent(ctx)
	}
	return nil
}

// askSent asks to whom each VIP is announced. One that can't be told in time
// stays unknown.
func (o *overview) askSent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(askers)
	answers := make([]*vipdv1.Vip, len(o.status.GetVips()))
	for i, v := range o.status.GetVips() {
		if !v.GetRoute().GetInstalled() {
			continue
		}
		g.Go(func() error { // ends with its call
			answer, err := o.api.GetVip(ctx, &vipdv1.GetVipRequest{Vip: v.GetName()})
			if err == nil {
				answers[i] = answer
			}
			return nil
		})
	}
	_ = g.Wait()
	for i, v := range o.status.GetVips() {
		if answers[i] != nil {
			o.sent[v.GetName()] = answers[i].GetSent()
		}
	}
}

// redraw shows the status again whenever something changes: on a terminal in
// place of what was, else as one document after the other. Watch says when to
// ask: the counts and the choice of what to show are the daemon's.
func (o *overview) redraw(ctx context.Context, tty bool) error {
	s := &screen{
		stream: &stream{api: o.api, limit: o.app.timeout, request: &vipdv1.WatchRequest{}},
		take:   func(*vipdv1.WatchResponse) {},
		idle:   tty,
		least:  time.Second, // each drawing asks the daemon, and the daemon its speaker
		draw: func(ctx context.Context, trouble string, changed bool) error {
			if changed && trouble == "" {
				// An outage that begins here is the stream's to tell.
				if err := o.ask(ctx); err != nil && !passes(err) {
					return err
				}
			}
			switch {
			case o.status == nil:
				return nil
			case !tty && trouble == "":
				return o.app.showLine(o.status)
			case !tty:
				return nil
			}
			p := o.app.page()
			o.draw(p)
			return o.app.paintOver(p, trouble)
		},
	}
	return s.run(ctx, o.app)
}
