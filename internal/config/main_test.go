package config

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what is said about testdata/bad beside it")
	flag.Parse()
	os.Exit(m.Run())
}
