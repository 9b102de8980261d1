package vipctl

import (
	"context"
	"encoding/json"
	"runtime"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// versions is what version tells. What is not known is left out.
type versions struct {
	Vipctl string `json:"vipctl"`
	Go     string `json:"go"`
	Vipd   string `json:"vipd,omitempty"`
	Node   string `json:"node,omitempty"`
}

func (a *app) versionVerb() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "print the versions of vipctl and of vipd", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions}
	client := c.Flags().Bool("client", false, "only vipctl's: don't ask vipd")
	return a.quick(c, func(ctx context.Context, api vipdv1.VipServiceClient, _ []string) error {
		v := versions{Vipctl: a.Version, Go: runtime.Version()}
		if *client {
			return a.showVersions(v)
		}
		s, err := api.GetStatus(ctx, &vipdv1.GetStatusRequest{})
		v.Vipd, v.Node = s.GetNode().GetVersion(), s.GetNode().GetName()
		// Its own version can be told whether or not somebody is there.
		if writeErr := a.showVersions(v); writeErr != nil {
			return writeErr
		}
		return err
	})
}

func (a *app) showVersions(v versions) error {
	if a.encoded() {
		compact, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return a.showJSON(compact)
	}
	return a.show(nil, func(p *page) {
		p.say("vipctl %s %s", v.Vipctl, v.Go)
		if v.Vipd != "" {
			p.say("vipd   %s on %s", v.Vipd, v.Node)
		}
	})
}
