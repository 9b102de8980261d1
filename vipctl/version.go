package vipctl

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) versionVerb() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "print the versions of vipctl and of vipd", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions}
	client := c.Flags().Bool("client", false, "only vipctl's: don't ask vipd")
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		if _, err := fmt.Fprintf(a.Stdout, "vipctl %s %s\n", a.Version, runtime.Version()); err != nil || *client {
			return err
		}
		s, err := api.GetStatus(ctx, &vipdv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		return a.say("vipd   %s on %s", s.GetNode().GetVersion(), s.GetNode().GetName())
	})
}
