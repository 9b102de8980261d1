package vipctl

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) checkVerb() *cobra.Command {
	c := &cobra.Command{Use: "check FILE", Short: "tell what the running vipd would make of a configuration file",
		Args: cobra.ExactArgs(1),
		Long: `check has the running vipd read a configuration file (-: standard input), and
prints every mistake with its place, or what would be announced. Nothing is
changed. The exit code is 2 where there are mistakes.`}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		content, err := a.read(args[0])
		if err != nil {
			return err
		}
		name := args[0]
		if name == "-" {
			name = "stdin.yaml" // its ending says how to read it
		}
		r, err := api.CheckConfig(ctx, &vipdv1.CheckConfigRequest{FileName: name, Content: content})
		if err != nil {
			return err
		}
		if err := a.show(r, func(p *page) {
			if r.GetDescription() != "" {
				p.line("%s", cleanLines(r.GetDescription()))
			}
		}); err != nil {
			return err
		}
		if !r.GetOk() {
			return usage("the configuration has mistakes:\n%s", cleanLines(strings.Join(r.GetProblems(), "\n")))
		}
		for _, w := range r.GetProblems() {
			a.note("%s", w)
		}
		return nil
	})
}
