package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fiberlb/vipd/internal/demo"
)

// addDemo adds the verb demo.
func (a *app) addDemo(root *cobra.Command) {
	var limit time.Duration
	c := &cobra.Command{
		Use: "demo", Short: "play a whole failover on loopback: no root, no other program", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return failure{exitFailure, fmt.Errorf("demo: %w", err)}
			}
			if err := demo.Run(c.Context(), demo.Options{Out: a.stdout, Exe: exe, For: limit}); err != nil {
				return failure{exitFailure, err}
			}
			return nil
		},
	}
	c.Flags().DurationVar(&limit, "for", 30*time.Second, "how long it may take at most")
	root.AddCommand(c)
}
