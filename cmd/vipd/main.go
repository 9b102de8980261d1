// Command vipd announces virtual IPs exactly while their backends can serve
// them. See vipd help, and docs/.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// version is set by the linker.
var version = "devel"

// Exit codes of vipd.
const (
	exitOK      = 0
	exitFailure = 1 // it could not run, or not stop in order
	exitUsage   = 2 // wrong usage or wrong configuration
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is vipd without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr, env: os.Environ()}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return exitOK
	}
	var failed failure
	if !errors.As(err, &failed) {
		// cobra's own errors are all about the command line.
		failed = failure{exitUsage, fmt.Errorf("%w (see vipd help)", err)}
	}
	if failed.err != nil {
		fmt.Fprintf(stderr, "vipd: %v\n", failed.err)
	}
	return failed.code
}

// A failure is an error with the exit code that it asks for; a nil err was told
// already.
type failure struct {
	code int
	err  error
}

func (f failure) Error() string { return fmt.Sprint(f.err) }
func (f failure) Unwrap() error { return f.err }
