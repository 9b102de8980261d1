package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// beVipd in its environment makes this test program a vipd.
const beVipd = "BE_VIPD"

// TestMain lets the tests run vipd as it is: a process of its own, with signals
// and an exit code.
func TestMain(m *testing.M) {
	if os.Getenv(beVipd) == "1" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	flag.Parse()
	// The stories wait for timers of BGP most of the time, and for no processor.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
