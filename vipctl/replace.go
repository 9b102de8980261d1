package vipctl

import (
	"context"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) vipReplaceVerb() *cobra.Command {
	c := &cobra.Command{Use: "replace --file FILE --owner NAME", Short: "make a file's VIPs all that an owner has",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		Long: `replace makes the VIPs of a file all VIPs of an owner: what differs is changed,
what is not in the file is removed, what is as before is not touched. All of it
is done, or nothing. The file is a list of VIPs, alone or below the key vips;
an empty list removes all of the owner's.`}
	var file, owner string
	var generation uint64
	c.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON; -: standard input")
	c.Flags().StringVar(&owner, "owner", "", "whose VIPs these are")
	c.Flags().Uint64Var(&generation, "expect-generation", 0,
		"refuse where the owner's VIPs are of another generation than this")
	for _, name := range []string{"file", "owner"} {
		_ = c.MarkFlagRequired(name) // it fails only where there is no such flag
	}
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		content, err := a.read(file)
		if err != nil {
			return err
		}
		specs, err := parseSpecs(file, content)
		if err != nil {
			return err
		}
		r := &vipdv1.ReplaceVipsRequest{Owner: owner, Vips: specs}
		if c.Flags().Changed("expect-generation") {
			r.ExpectedGeneration = &generation
		}
		answer, err := api.ReplaceVips(ctx, r)
		if err != nil {
			return err
		}
		return a.show(answer, func(p *page) {
			p.say("%s: %d added, %d changed, %d removed, %d unchanged; generation %d", owner,
				answer.GetAdded(), answer.GetChanged(), answer.GetRemoved(), answer.GetUnchanged(), answer.GetGeneration())
		})
	})
}
