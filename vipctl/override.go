package vipctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// looking bounds the question what became of a request that was not answered.
const looking = 2 * time.Second

func (a *app) overrideVerb(word string) *cobra.Command {
	short := map[string]string{
		"advertise": "advertise a VIP, whatever the checks say",
		"withdraw":  "withdraw a VIP, whatever the checks say",
		"auto":      "take an override back: the checks decide again",
	}[word]
	c := &cobra.Command{Use: word + " VIP", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVIPs,
		Long: short + `.

It returns when the speaker has it. When --timeout ends before, the word stays:
vipd goes on until the speaker has it, and the exit code is 1.`}
	r := &vipdv1.SetOverrideRequest{Word: word}
	var limit time.Duration
	if word != "auto" {
		ttlFlag(c, &limit)
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for those who come after you")
	noWait := noWaitFlag(c)
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) (err error) {
		if r.Ttl, err = ttl(c, limit); err != nil {
			return err
		}
		r.Vip, r.Wait = args[0], !*noWait
		v, err := api.SetOverride(ctx, r)
		switch {
		case status.Code(err) == codes.DeadlineExceeded && r.Wait:
			return a.unconfirmed(ctx, api, err, r)
		case err != nil:
			return a.suggest(ctx, api, args[0], err)
		}
		return a.show(v, func(p *page) { drawOutcome(p, v) })
	})
}

func ttlFlag(c *cobra.Command, limit *time.Duration) {
	c.Flags().DurationVar(limit, "for", 0, "end by itself after this time (10m, 2h)")
}

// ttl is --for as the API has it; a 0 that was written is a mistake, not "for ever".
func ttl(c *cobra.Command, limit time.Duration) (*durationpb.Duration, error) {
	switch {
	case !c.Flags().Changed("for"):
		return nil, nil
	case limit <= 0:
		return nil, usage("--for %v: it must be positive", limit)
	}
	return durationpb.New(limit), nil
}

func noWaitFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("no-wait", false, "don't wait until the speaker has it")
}

// drawOutcome tells of a VIP after something was said about it.
func drawOutcome(p *page, v *vipdv1.Vip) {
	p.say("%s %s: %s", v.GetName(), v.GetPrefix(), v.GetReason())
	p.line("%s", clean(speakerSays(v)))
}

// speakerSays tells what the speaker has, of what is wanted.
func speakerSays(v *vipdv1.Vip) string {
	r := v.GetRoute()
	switch {
	case r == nil:
		return "there is no speaker (bgp.enabled: false)"
	case r.GetError() != "":
		return "waiting for the speaker: " + r.GetError()
	case !r.GetConfirmed():
		return "waiting for the speaker: it does not show it yet"
	case r.GetWanted():
		return "the speaker shows the route"
	}
	return "the speaker shows no route"
}

// unconfirmed tells what became of a word that was not answered in time. It
// asks: whether the word was kept before the time was over is not known here.
func (a *app) unconfirmed(
	ctx context.Context, api vipdv1.VipServiceClient, cause error, r *vipdv1.SetOverrideRequest,
) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), looking)
	defer cancel()
	v, err := api.GetVip(ctx, &vipdv1.GetVipRequest{Vip: r.GetVip()})
	if err != nil {
		return cause
	}
	word := v.GetOverride().GetWord()
	if word == "" {
		word = "auto"
	}
	if word != r.GetWord() {
		return failed("vipd did not take the word within %v (--timeout): %s is still %q", a.timeout, v.GetName(), word)
	}
	return &failure{exitFailed, fmt.Errorf(`the word is kept, but the speaker has not shown it within %v (--timeout)
  %s %s: %s
  %s; vipd goes on trying (see vipctl explain %s)`,
		a.timeout, clean(v.GetName()), clean(v.GetPrefix()), clean(v.GetReason()), clean(speakerSays(v)), clean(v.GetName()))}
}
