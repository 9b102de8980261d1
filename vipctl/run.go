// Package vipctl is the operator's hand on vipd: each verb calls the control
// API and shows what it answers. It decides nothing itself, and knows of the
// daemon what the API tells.
package vipctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Exit codes of vipctl.
const (
	exitDone        = 0
	exitFailed      = 1 // the daemon refused or failed
	exitUsage       = 2 // wrong usage or wrong configuration
	exitUnreachable = 3 // the daemon can't be reached
)

// A Process is what vipctl gets from the process around it.
type Process struct {
	Args    []string // without the program's name
	Env     []string // as os.Environ has it
	Version string   // of this vipctl
	Stdin   io.Reader
	// Colours, redrawing and cutting to the width are for an *os.File that is a
	// terminal.
	Stdout, Stderr io.Writer
}

// Run does what the arguments ask for and returns the exit code. The end of ctx
// is the user's interrupt.
func Run(ctx context.Context, p Process) int { return run(ctx, p, time.Now) }

// run is Run with a clock. Times are shown in the clock's time zone.
func run(ctx context.Context, p Process, now func() time.Time) int {
	a := &app{Process: p, now: now}
	defer a.hangUp()
	root := a.command()
	// Without arguments of its own, cobra would take those of the process.
	root.SetArgs(append([]string{}, p.Args...))
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	verb, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var f *failure
	if !errors.As(err, &f) {
		// What is not a verb's own failure is cobra's, about the command line.
		f = usage("%w\n  see %s --help", err, verb.CommandPath())
	}
	fmt.Fprintln(p.Stderr, "vipctl: "+f.Error())
	return f.code
}
