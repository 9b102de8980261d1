package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/daemon"
)

// app is what the verbs share.
type app struct {
	stdout, stderr io.Writer
	env            []string
	path           string   // --config
	set            []string // --set
	ignoreState    bool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "vipd",
		Short: "announce virtual IPs exactly while their backends can serve them",
		Long: `vipd counts healthy backends per virtual IP and makes GoBGP announce the VIP
exactly while enough of them are. Without a verb it runs the daemon.

Signals: TERM or INT drain and stop (again: don't wait), HUP reloads.
Exit codes: 0 clean stop, 1 runtime failure, 2 bad configuration or usage.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE:              func(c *cobra.Command, _ []string) error { return a.runDaemon(c.Context()) },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&a.path, "config", "/etc/vipd/vipd.yaml", "configuration file (.yaml, .json or .toml)")
	root.PersistentFlags().StringArrayVar(&a.set, "set", nil, "set one value, as in --set log.level=debug; wins over file and environment")
	verb := func(use, short string, run func(*cobra.Command) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return run(c) }}
		root.AddCommand(c)
		return c
	}
	run := verb("run", "run the daemon (the default verb)", func(c *cobra.Command) error { return a.runDaemon(c.Context()) })
	run.Flags().BoolVar(&a.ignoreState, "ignore-state", false, "begin without what is kept in state_dir when that can't be read; the file is kept aside")
	verb("check", "check the configuration and print what would be announced; change nothing",
		func(*cobra.Command) error { return a.check() })
	verb("flush", "withdraw every route that is vipd's from the speaker (for a stop hook, after a crash)",
		func(c *cobra.Command) error { return a.flush(c.Context()) })
	verb("version", "print the version", func(*cobra.Command) error {
		fmt.Fprintf(a.stdout, "vipd %s %s\n", version, runtime.Version())
		return nil
	})
	a.addDemo(root)
	return root
}

// load loads the configuration and prints its problems. Without --config, a
// default file that is not there is told with what to do.
func (a *app) load() (*config.Config, error) {
	cfg, problems, err := a.read()
	if err != nil {
		return nil, failure{exitUsage, err}
	}
	for _, p := range problems {
		fmt.Fprintln(a.stderr, p)
	}
	if cfg == nil {
		return nil, failure{exitUsage, errors.New("the configuration has mistakes, see above")}
	}
	return cfg, nil
}

func (a *app) read() (*config.Config, []config.Problem, error) {
	return config.Load(a.sources())
}

// parse reads the configuration from memory instead of the file.
func (a *app) parse(name string, content []byte) (*config.Config, []config.Problem, error) {
	cfg, problems := config.Parse(name, content, a.sources())
	return cfg, problems, nil
}

func (a *app) sources() config.Options {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "" // then config asks for node
	}
	return config.Options{Path: a.path, Env: a.env, Set: a.set, Hostname: hostname}
}

func (a *app) check() error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if err := daemon.Describe(a.stdout, cfg); err != nil {
		return failure{exitUsage, err}
	}
	return nil
}
