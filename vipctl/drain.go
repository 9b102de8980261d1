package vipctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) drainVerb() *cobra.Command {
	c := &cobra.Command{Use: "drain", Short: "withdraw all VIPs of this node, until undrain or for a while",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		Long: `drain withdraws all VIPs of this node.

It returns when the drain is confirmed: the speaker shows no route any more, and
where vipd counts connections, none is left. A --timeout that is given ends the
waiting, not the drain. Exit code 0 means confirmed, or with --no-wait that it
has begun.`}
	r := &vipdv1.DrainRequest{}
	var limit time.Duration
	ttlFlag(c, &limit)
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for those who come after you")
	noWait := noWaitFlag(c)
	c.Flags().BoolVar(&r.Wait, "wait", true, "wait until it is confirmed")
	c.MarkFlagsMutuallyExclusive("wait", "no-wait")
	return a.verb(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) (err error) {
		if r.Ttl, err = ttl(c, limit); err != nil {
			return err
		}
		r.Wait = r.Wait && !*noWait
		ctx, dog := newWatchdog(ctx, a.timeout)
		defer dog.stop()
		patient := r.Wait && !c.Flags().Changed("timeout")
		last, err := a.followDrain(ctx, api, r, func() {
			if patient {
				dog.fed()
			}
		})
		return a.drained(r, last, dog.cause(err))
	})
}

// followDrain returns the last that vipd told, and how its answer ended: with
// io.EOF if in order.
func (a *app) followDrain(ctx context.Context, api vipdv1.VipServiceClient, r *vipdv1.DrainRequest, told func()) (
	last *vipdv1.DrainProgress, err error,
) {
	answers, err := api.Drain(ctx, r)
	if err != nil {
		return nil, err
	}
	progress := &progress{app: a}
	defer progress.end()
	for {
		next, err := answers.Recv()
		if err != nil {
			return last, err
		}
		told()
		if last = next; r.Wait {
			progress.tell(last)
		}
	}
}

// drained tells how a drain's stream ended.
func (a *app) drained(r *vipdv1.DrainRequest, last *vipdv1.DrainProgress, err error) error {
	if !errors.Is(err, io.EOF) {
		if last != nil {
			f := a.explainError(err)
			return &failure{f.code, fmt.Errorf("the drain goes on, but it was not seen to end: %w", f)}
		}
		return err
	}
	if last == nil {
		return failed("vipd ended its answer before it began")
	}
	if err := a.show(last, func(p *page) { drawDrained(p, last) }); err != nil {
		return err
	}
	switch {
	case !r.Wait, last.GetDone() && last.GetOutcome() == "confirmed":
		return nil
	case last.GetOutcome() == "connections_left":
		return failed("not drained: %d connections were left when drain.connections_limit was reached",
			last.GetDrain().GetConnections())
	case last.GetOutcome() == "ended":
		return failed("not drained: the drain was ended (by undrain, its --for, or because vipd stops)")
	case last.GetOutcome() != "":
		return failed("not drained: %s", clean(last.GetOutcome()))
	}
	return failed("not drained: vipd ended its answer before the drain was confirmed")
}

func drawDrained(p *page, last *vipdv1.DrainProgress) {
	switch last.GetOutcome() {
	case "confirmed":
		p.line("%s", p.paint(good, drainText(p, last.GetDrain())))
		p.line("the speaker shows no route of this node")
	case "":
		p.say("%s", drainText(p, last.GetDrain()))
		p.say("%d routes are left; it goes on (see vipctl status)", last.GetRoutesLeft())
	} // else there is an error to tell
}

// drainText tells of a drain in one line.
func drainText(p *page, d *vipdv1.Drain) string {
	text := d.GetPhase()
	if d.GetReason() != "" {
		text += ": " + d.GetReason()
	}
	if d.GetBy() != "" {
		text += " (by " + d.GetBy() + ")"
	}
	if d.GetUntil() != nil {
		text += ", " + p.until(d.GetUntil())
	}
	if d.GetMeasured() != "" {
		text += fmt.Sprintf(", %d connections (%s)", d.GetConnections(), d.GetMeasured())
	}
	if d.GetStopping() {
		text += ", vipd stops after it"
	}
	return clean(text)
}

// progress shows how far a drain is, on standard error: one line that changes
// on a terminal, else a line for each change.
type progress struct {
	app  *app
	told string
}

func (s *progress) tell(d *vipdv1.DrainProgress) {
	if d.GetDrain() == nil {
		return // it has ended, which is no progress
	}
	text := fmt.Sprintf("%s: %d routes left", d.GetDrain().GetPhase(), d.GetRoutesLeft())
	if d.GetDrain().GetMeasured() != "" {
		text += fmt.Sprintf(", %d connections left", d.GetDrain().GetConnections())
	}
	if text == s.told {
		return
	}
	s.told = text
	width, _, tty := terminal(s.app.Stderr)
	if !tty {
		s.app.note("%s", text)
		return
	}
	fmt.Fprintf(s.app.Stderr, "\r%s\x1b[K", cut(clean(text), max(width, 20), "~"))
}

// end clears the line that was drawn.
func (s *progress) end() {
	if _, _, tty := terminal(s.app.Stderr); tty && s.told != "" {
		fmt.Fprint(s.app.Stderr, "\r\x1b[K")
	}
}

func (a *app) undrainVerb() *cobra.Command {
	c := &cobra.Command{Use: "undrain", Short: "end a drain: VIPs are announced again as the checks say",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		n, err := api.Undrain(ctx, &vipdv1.UndrainRequest{})
		if err != nil {
			return err
		}
		return a.show(n, func(p *page) {
			if n.GetDrain() != nil {
				p.say("%s is still draining: %s", n.GetName(), drainText(p, n.GetDrain()))
				return
			}
			p.say("%s does not drain: the checks decide", n.GetName())
		})
	})
}
