package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// command runs vipd in testdata until it exits.
func command(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	p := start(ctx, t, "testdata", env, args...)
	p.exit()
	return p
}

// Each verb says all of its words, and ends with its code.
func TestVerbs(t *testing.T) {
	for _, c := range []struct {
		rule   string
		env    []string
		args   string
		code   int
		golden string // file with the whole output; empty: part is in it
		part   string
	}{
		{"every mistake is told, with its place", nil, "check --config bad.yaml", 2, "bad.yaml.txt", ""},
		{"a bad configuration starts nothing", nil, "run --config bad.yaml", 2, "bad.yaml.txt", ""},
		{"run is the default verb", nil, "--config bad.yaml", 2, "bad.yaml.txt", ""},
		{"flush needs a good one too", nil, "flush --config bad.yaml", 2, "bad.yaml.txt", ""},
		{"what would be announced is told", nil, "check --config good.yaml", 0, "good.yaml.txt", ""},
		{"and whose liveness is watched", nil, "check --config bfd.yaml", 0, "bfd.yaml.txt", ""},
		{"JSON means the same", nil, "check --config good.json", 0, "small.txt", ""},
		{"TOML means the same", nil, "check --config good.toml", 0, "small.txt", ""},
		{"the environment wins over the file", []string{"VIPD_DRAIN_PREFER_OTHERS=7s"}, "check --config good.yaml", 0, "",
			"on stop: prefer others for 7s"},
		{"the pod's variables count", []string{"BGP_GOBGP_ADDRESS=127.0.0.1:50099"}, "check --config good.yaml", 0, "",
			"gobgpd at 127.0.0.1:50099"},
		{"--set wins over the environment", []string{"VIPD_DRAIN_PREFER_OTHERS=7s"},
			"check --config good.yaml --set drain.prefer_others=8s", 0, "", "on stop: prefer others for 8s"},
		{"a bad variable is told by its name", []string{"BGP_LOCAL_AS=AS1"}, "check --config good.yaml", 2, "", "environment: BGP_LOCAL_AS: "},
		{"a misspelt variable is an error", []string{"VIPD_DRAIN_GRACE=7s"}, "check --config good.yaml", 2, "", "environment: VIPD_DRAIN_GRACE: "},
		{"a bad --set is told by its path", nil, "check --config good.yaml --set log.level=loud", 2, "", "--set log.level: "},
		{"a missing file is told by its name", nil, "check --config missing.yaml", 2, "", "vipd: config: open missing.yaml: no such file"},
		{"so is the default one", nil, "run", 2, "", "/etc/vipd/vipd.yaml"},
		{"an unknown verb is wrong usage", nil, "frobnicate", 2, "", `vipd: unknown command "frobnicate"`},
		{"an unknown flag is wrong usage", nil, "run --frobnicate", 2, "", "vipd: unknown flag: --frobnicate"},
		{"an argument too many is wrong usage", nil, "check good.yaml", 2, "", "vipd: unknown command"},
		{"the version is told", nil, "version", 0, "", "vipd devel go1."},
		{"help tells of signals and exit codes", nil, "help", 0, "", "Exit codes:"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			p := command(t, c.env, strings.Fields(c.args)...)
			said := p.stdout.String() + p.stderr()
			if code := p.exit(); code != c.code {
				t.Errorf("exit code %d, want %d; said\n%s", code, c.code, said)
			}
			// What is asked for is on standard output, and problems are not.
			if (p.stderr() == "") != (c.code == 0) || (p.stdout.Len() > 0) != (c.code == 0) {
				t.Errorf("standard output %q, standard error %q", p.stdout.String(), p.stderr())
			}
			if c.golden != "" {
				golden(t, c.golden, said)
			} else if !strings.Contains(said, c.part) {
				t.Errorf("said\n%swithout %q", said, c.part)
			}
		})
	}
}

func golden(t *testing.T, name, have string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if have != string(want) {
		t.Errorf("have\n%s\nwant (%s)\n%s", have, file, want)
	}
}

// The demo tells the whole story, and fails unless the router saw it.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := command(t, nil, "demo", "--for", "55s")
	p.wantExit(0)
	for _, line := range []string{
		`router: has 192\.0\.2\.10/32, next hop 127\.0\.0\.2, AS path \[65001\]`,
		`router: heard nothing for a second`,
		`vipd: withdrawn: 0 of 3 backends healthy \(minimum 1\)`,
		`router: 192\.0\.2\.10/32 withdrawn, [0-9.]+ ms after the last backend was killed`,
		`router: 192\.0\.2\.10/32 now carries GRACEFUL_SHUTDOWN`,
		`vipd: exit code 0, `,
		`all as it should be, in `,
	} {
		if !regexp.MustCompile(line).MatchString(p.stdout.String()) {
			t.Errorf("the demo did not say %q:\n%s", line, p.stdout.String())
		}
	}
	command(t, nil, "demo", "--for", "1ms").wantExit(1, "vipd: demo: ")
}
