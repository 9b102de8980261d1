package vipctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// An app is one call of vipctl: what its verbs share.
type app struct {
	Process
	now  func() time.Time
	conn *grpc.ClientConn // nil: no verb has called yet
	link *link

	// The global flags.
	server, caFile, certFile, keyFile, serverName string
	insecureLoopback                              bool
	output                                        format
	color                                         string
	timeout                                       time.Duration
}

// globals are the flags that every verb has, and that a variable may give too:
// VIPCTL_ and the name in capitals.
var globals = [...]string{"server", "ca-file", "cert-file", "key-file", "server-name", "insecure-loopback",
	"output", "color", "timeout"}

const (
	seeing    = "see"
	telling   = "tell"
	defining  = "define"
	remaining = "more"
)

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "vipctl",
		Short: "see and tell a vipd what to do",
		Long: `vipctl shows what a vipd announces, to whom, and why not, and tells it what to do.
A VIP is named by its name, its prefix or its address.

Exit codes: 0 done, 1 the daemon refused or failed, 2 wrong usage or wrong
configuration, 3 the daemon can't be reached.
Each global flag may come from a variable: --server from VIPCTL_SERVER,
--ca-file from VIPCTL_CA_FILE, and so on. NO_COLOR turns colours off.`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.prepare(c) },
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	a.addGlobals(root)
	root.AddGroup(
		&cobra.Group{ID: seeing, Title: "See:"},
		&cobra.Group{ID: telling, Title: "Tell:"},
		&cobra.Group{ID: defining, Title: "Define at run time:"},
		&cobra.Group{ID: remaining, Title: "More:"})
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			root.AddCommand(v)
		}
	}
	add(seeing, a.statusVerb(), a.vipsVerb(), a.backendsVerb(), a.neighborsVerb(), a.bfdVerb(), a.eventsVerb(),
		a.explainVerb())
	add(telling, a.overrideVerb("advertise"), a.overrideVerb("withdraw"), a.overrideVerb("auto"),
		a.drainVerb(), a.undrainVerb(), a.reloadVerb())
	add(defining, a.vipVerb())
	add(remaining, a.checkVerb(), a.completionVerb(), a.manVerb(), a.versionVerb())
	root.SetHelpCommandGroupID(remaining)
	return root
}

func (a *app) addGlobals(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "unix:///run/vipd/vipd.sock", "where vipd listens: unix:///path or host:port")
	f.StringVar(&a.caFile, "ca-file", "", "PEM file with the authorities that vipd's certificate may be signed by")
	f.StringVar(&a.certFile, "cert-file", "", "PEM file with the certificate to show to vipd")
	f.StringVar(&a.keyFile, "key-file", "", "PEM file with its key")
	f.StringVar(&a.serverName, "server-name", "", "name that vipd's certificate must have (default: the host of --server)")
	f.BoolVar(&a.insecureLoopback, "insecure-loopback", false, "talk without TLS to a loopback address")
	a.output = formatTable
	f.VarP(&a.output, "output", "o", "table, wide, json or yaml")
	f.StringVar(&a.color, "color", "auto", "auto (on a terminal), always or never")
	f.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	choices(root, "output", "table", "wide", "json", "yaml")
	choices(root, "color", "auto", "always", "never")
}

// prepare fills the global flags that were not given from the environment, and
// refuses values that no verb could use.
func (a *app) prepare(c *cobra.Command) error {
	for _, name := range globals {
		variable := "VIPCTL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		f := c.Flags().Lookup(name)
		value := a.variable(variable)
		if f == nil || f.Changed || value == "" {
			continue
		}
		if err := f.Value.Set(value); err != nil {
			return usage("variable %s: %q: %w", variable, value, err)
		}
	}
	switch {
	case a.color != "auto" && a.color != "always" && a.color != "never":
		return usage("--color %s: it is one of auto, always, never", a.color)
	case a.timeout <= 0:
		return usage("--timeout %v: it must be positive", a.timeout)
	}
	return nil
}

// variable returns an environment variable; one that is not set is empty.
func (a *app) variable(name string) (value string) {
	for _, v := range a.Env {
		if k, rest, ok := strings.Cut(v, "="); ok && k == name {
			value = rest // the last one counts, as for exec
		}
	}
	return value
}

// An action is what a verb does. Its error may be gRPC's.
type action func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error

// verb gives c an action that may take as long as it needs.
func (a *app) verb(c *cobra.Command, do action) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := a.dial()
		if err == nil {
			err = do(c.Context(), api, args)
		}
		if err != nil {
			return a.explainError(err)
		}
		return nil
	}
	return c
}

// quick gives c an action that has --timeout.
func (a *app) quick(c *cobra.Command, do action) *cobra.Command {
	return a.verb(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return do(ctx, api, args)
	})
}

// note writes a line of text to standard error: for what is no answer.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.Stderr, "vipctl: "+clean(fmt.Sprintf(format, args...)))
}
