package vipctl

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// completing bounds a key press: a daemon that is away must not freeze a shell.
const completing = time.Second

func (a *app) completionVerb() *cobra.Command {
	return &cobra.Command{Use: "completion SHELL", Short: "print the completion script for bash, zsh, fish or powershell",
		Long: `completion prints a script that completes verbs, flags, and the names that vipd knows.

  bash: vipctl completion bash > /etc/bash_completion.d/vipctl
  zsh:  vipctl completion zsh > "${fpath[1]}/_vipctl"
  fish: vipctl completion fish > ~/.config/fish/completions/vipctl.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(c *cobra.Command, args []string) (err error) {
			switch args[0] {
			case "bash":
				err = c.Root().GenBashCompletionV2(a.Stdout, true)
			case "zsh":
				err = c.Root().GenZshCompletion(a.Stdout)
			case "fish":
				err = c.Root().GenFishCompletion(a.Stdout, true)
			default:
				err = c.Root().GenPowerShellCompletionWithDesc(a.Stdout)
			}
			if err != nil {
				return failed("%w", err)
			}
			return nil
		}}
}

// choices has a flag completed with fixed words.
func choices(c *cobra.Command, flag string, words ...string) {
	complete(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// complete has a flag completed by f; by files where f is nil.
func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if f == nil {
		f = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	}
	// Its error is that there is no such flag, which is this program's mistake
	// and leaves the flag without completion.
	_ = c.RegisterFlagCompletionFunc(flag, f)
}

// A lister returns what the daemon knows that could be meant.
type lister func(context.Context, vipdv1.VipServiceClient) []string

// ask calls the daemon for a completion. Without an answer in time there is
// nothing to complete.
func (a *app) ask(c *cobra.Command, list lister) ([]string, cobra.ShellCompDirective) {
	const files = cobra.ShellCompDirectiveNoFileComp
	if err := a.prepare(c); err != nil {
		return nil, files
	}
	api, err := a.dial()
	if err != nil {
		return nil, files
	}
	ctx, cancel := context.WithTimeout(c.Context(), completing)
	defer cancel()
	return list(ctx, api), files
}

func (a *app) completeVIPs(c *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.ask(c, func(ctx context.Context, api vipdv1.VipServiceClient) (names []string) {
		// One page: nobody reads more names than that.
		r, _ := api.ListVips(ctx, &vipdv1.ListVipsRequest{Search: begin})
		for _, v := range r.GetVips() {
			// Search looks further than at how names begin.
			if strings.HasPrefix(v.GetName(), begin) {
				names = append(names, cobra.CompletionWithDesc(clean(v.GetName()), clean(v.GetPrefix()+" "+v.GetState())))
			}
		}
		return names
	})
}

func (a *app) completeNeighbors(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.ask(c, neighborNames)
}

func neighborNames(ctx context.Context, api vipdv1.VipServiceClient) (names []string) {
	r, _ := api.ListNeighbors(ctx, &vipdv1.ListNeighborsRequest{})
	for _, n := range r.GetNeighbors() {
		names = append(names, cobra.CompletionWithDesc(clean(n.GetAddress()), clean(n.GetDescription())))
	}
	return names
}

func (a *app) completeSessions(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.ask(c, func(ctx context.Context, api vipdv1.VipServiceClient) []string {
		return sessionNames(ctx, api, true)
	})
}

// sessionNames returns the ids of BFD sessions: all, or those that may be
// removed because somebody added them at run time.
func sessionNames(ctx context.Context, api vipdv1.VipServiceClient, added bool) (names []string) {
	r, _ := api.ListBfdSessions(ctx, &vipdv1.ListBfdSessionsRequest{})
	for _, s := range r.GetBfdSessions() {
		if !added || s.GetOwner() != "" {
			names = append(names, cobra.CompletionWithDesc(clean(s.GetId()), clean(s.GetState())))
		}
	}
	return names
}

// completeLinks completes what events may be about besides VIPs.
func (a *app) completeLinks(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.ask(c, func(ctx context.Context, api vipdv1.VipServiceClient) []string {
		return append(neighborNames(ctx, api), sessionNames(ctx, api, false)...)
	})
}
