package vipctl

import (
	"context"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) reloadVerb() *cobra.Command {
	c := &cobra.Command{Use: "reload", Short: "have vipd read its configuration anew, as SIGHUP does", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		r, err := api.Reload(ctx, &vipdv1.ReloadRequest{})
		if err != nil {
			return err
		}
		for _, w := range r.GetWarnings() {
			a.note("%s", w)
		}
		return a.show(r, func(p *page) { p.line("reloaded") })
	})
}
