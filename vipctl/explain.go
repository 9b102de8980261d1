package vipctl

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) explainVerb() *cobra.Command {
	c := &cobra.Command{Use: "explain VIP",
		Short: "tell why a VIP is announced or not, from its backends to each neighbor",
		Args:  cobra.ExactArgs(1), ValidArgsFunction: a.completeVIPs}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		e, err := api.Explain(ctx, &vipdv1.ExplainRequest{Vip: args[0]})
		if err != nil {
			return a.suggest(ctx, api, args[0], err)
		}
		return a.show(e, func(p *page) { drawExplanation(p, e) })
	})
}

func drawExplanation(p *page, e *vipdv1.Explanation) {
	v := e.GetVip()
	p.line("%s  %s", p.paint(strong, v.GetName()), clean(v.GetPrefix()))
	t := bad
	if e.GetCause() == "announced" {
		t = good
	}
	p.hang("", t, e.GetSummary())
	p.line("")
	stage := 0
	for _, s := range e.GetSteps() {
		stage = max(stage, len([]rune(clean(s.GetStage()))))
	}
	for _, s := range e.GetSteps() {
		name := clean(s.GetStage())
		name += strings.Repeat(" ", stage-len([]rune(name)))
		text := s.GetText()
		if s.GetSubject() != "" {
			text = s.GetSubject() + ": " + text
		}
		p.hang(p.mark(s.GetOk())+" "+p.paint(faint, name)+"  ", plain, text)
	}
	if e.GetHint() != "" {
		p.line("")
		p.hang("hint: ", doubt, e.GetHint())
	}
}
