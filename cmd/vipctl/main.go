// Command vipctl is the operator's hand on vipd. See vipctl help, and
// docs/vipctl.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fiberlb/vipd/vipctl"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(run()) }

// run is main with deferred calls that run.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends a vipctl that does not end at the first.
	context.AfterFunc(ctx, stop)
	return vipctl.Run(ctx, vipctl.Process{
		Args: os.Args[1:], Env: os.Environ(), Version: version,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
