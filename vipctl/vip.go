package vipctl

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) vipVerb() *cobra.Command {
	c := &cobra.Command{Use: "vip", Short: "show one VIP; add, change or remove VIPs at run time", Args: cobra.NoArgs,
		Long: `vip defines VIPs beside those of the configuration file. They have an owner, so
that several programs don't change each other's, and outlive a restart of vipd.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(a.vipShowVerb(), a.vipAddVerb(), a.vipSetVerb(), a.vipRemoveVerb(), a.vipReplaceVerb())
	return c
}

func ownerFlag(c *cobra.Command, owner *string) {
	c.Flags().StringVar(owner, "owner", "", `whose VIP it is (default "api")`)
}

func (a *app) vipAddVerb() *cobra.Command {
	c := &cobra.Command{Use: "add [NAME PREFIX]", Short: "add a VIP", ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return errors.New("vip add takes a name and a prefix, or --file alone")
			}
			return nil
		},
		Example: `  vipctl vip add web 192.0.2.10/32 --check web --backend 10.1.0.11:8080 --backend 10.1.0.12:8080,weight=2
  vipctl vip add --file web.yaml`}
	d := &definition{}
	d.flags(c)
	noWait := noWaitFlag(c)
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		if (len(args) == 0) == (d.file == "") {
			return usage("vip add takes a name and a prefix, or --file alone")
		}
		spec := &vipdv1.VipSpec{}
		if len(args) == 2 {
			spec.Name, spec.Prefix = args[0], args[1]
		}
		spec, err := d.apply(a, c, spec)
		if err != nil {
			return err
		}
		r := &vipdv1.UpsertVipRequest{Vip: spec, Owner: d.owner, Wait: !*noWait}
		r.ExpectedVersion = proto.Uint64(0) // it must be new
		v, err := api.UpsertVip(ctx, r)
		return a.defined(v, spec.GetName(), err)
	})
}

func (a *app) vipSetVerb() *cobra.Command {
	c := &cobra.Command{Use: "set VIP", Short: "change a VIP that was added here",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVIPs,
		Long: `set changes what its flags say and leaves the rest; --backend replaces all
backends. With --file the file is the whole definition. A change that somebody
else makes at the same time is not overwritten: then the exit code is 1.`,
		Example: `  vipctl vip set web --min-healthy 50%
  vipctl vip show web -o json | jq .spec | vipctl vip set web --file -`}
	d := &definition{}
	d.flags(c)
	c.Flags().StringVar(&d.prefix, "prefix", "", "another prefix")
	c.MarkFlagsMutuallyExclusive("file", "prefix")
	noWait := noWaitFlag(c)
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		before, err := api.GetVip(ctx, &vipdv1.GetVipRequest{Vip: args[0]})
		if err != nil {
			return a.suggest(ctx, api, args[0], err)
		}
		if before.GetSpec() == nil {
			return failed("%s is of the configuration file: change it there, then vipctl reload", clean(before.GetName()))
		}
		spec, err := d.apply(a, c, before.GetSpec())
		if err != nil {
			return err
		}
		if spec.GetName() != before.GetName() {
			return usage("the file defines %q, not %q", spec.GetName(), before.GetName())
		}
		r := &vipdv1.UpsertVipRequest{Vip: spec, Owner: d.owner, Wait: !*noWait}
		r.ExpectedVersion = proto.Uint64(before.GetVersion())
		v, err := api.UpsertVip(ctx, r)
		return a.defined(v, spec.GetName(), err)
	})
}

// unseen tells of a definition that was not confirmed in time. What was kept of
// it by then is not known here.
func (a *app) unseen(name string, err error) error {
	return failed("no confirmation within %v (--timeout): %s\n  what became of it, tells vipctl explain %s", a.timeout,
		clean(status.Convert(err).Message()), clean(name))
}

// defined shows what became of a definition.
func (a *app) defined(v *vipdv1.Vip, name string, err error) error {
	switch {
	case status.Code(err) == codes.DeadlineExceeded:
		return a.unseen(name, err)
	case err != nil:
		return err
	}
	return a.show(v, func(p *page) {
		drawOutcome(p, v)
		p.say("owner %s, version %d", v.GetOwner(), v.GetVersion())
	})
}

func (a *app) vipRemoveVerb() *cobra.Command {
	c := &cobra.Command{Use: "rm VIP", Short: "remove a VIP that was added here",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVIPs}
	r := &vipdv1.DeleteVipRequest{}
	ownerFlag(c, &r.Owner)
	noWait := noWaitFlag(c)
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		r.Vip, r.Wait = args[0], !*noWait
		answer, err := api.DeleteVip(ctx, r)
		switch {
		case status.Code(err) == codes.DeadlineExceeded && r.Wait:
			return a.unseen(args[0], err)
		case err != nil:
			return a.suggest(ctx, api, args[0], err)
		}
		return a.show(answer, func(p *page) {
			if r.Wait {
				p.say("%s removed", args[0])
				return
			}
			p.say("%s removed; the speaker may still have its route", args[0])
		})
	})
}

func (a *app) vipShowVerb() *cobra.Command {
	c := &cobra.Command{Use: "show VIP", Short: "show all that is known of one VIP",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVIPs}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		v, err := api.GetVip(ctx, &vipdv1.GetVipRequest{Vip: args[0]})
		if err != nil {
			return a.suggest(ctx, api, args[0], err)
		}
		return a.show(v, func(p *page) { drawVIP(p, v) })
	})
}

func drawVIP(p *page, v *vipdv1.Vip) {
	p.line("%s  %s", p.paint(strong, v.GetName()), clean(v.GetPrefix()))
	p.hang("", vipTone(v), v.GetReason())
	owner := "the configuration file"
	if v.GetOwner() != "" {
		owner = v.GetOwner()
	}
	p.line("")
	fields := [][2]string{
		{"since", p.since(v.GetSince())}, {"rule", v.GetRule()}, {"minimum", v.GetMinHealthy()}, {"owner", owner},
		{"speaker", speakerSays(v)}, {"attributes", v.GetRoute().GetAttributes()},
	}
	if o := v.GetOverride(); o != nil {
		text := o.GetWord() + " by " + o.GetBy() + " since " + p.at(o.GetSince())
		if o.GetUntil() != nil {
			text += ", " + p.until(o.GetUntil())
		}
		fields = append(fields, [2]string{"override", text})
	}
	if v.GetHoldUntil() != nil {
		fields = append(fields, [2]string{"held down", p.until(v.GetHoldUntil())})
	}
	for _, f := range fields {
		p.hang(f[0]+strings.Repeat(" ", 12-len(f[0])), plain, orDash(f[1]))
	}
	var backends, sent [][]cell
	for _, b := range v.GetBackends() {
		backends = append(backends, backendRow(p, v.GetName(), b)[1:])
	}
	for _, s := range v.GetSent() {
		word := in(bad, "no")
		if s.GetSent() {
			word = in(good, "yes")
		}
		sent = append(sent, []cell{text(s.GetNeighbor()), text(s.GetSession()), word, text(s.GetDetail())})
	}
	section(p, "Backends:", &grid{columns: backendColumns()[1:]}, backends)
	section(p, "Neighbors:", &grid{columns: columns("NEIGHBOR SESSION SENT DETAIL")}, sent)
}
