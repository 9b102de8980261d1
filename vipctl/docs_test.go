package vipctl

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// What docs/vipctl.md shows is what vipctl prints. A block of the language
// console has commands and their output; a comment ahead of it names the world:
//
//	<!-- @ vipd is away -->
func TestExamplesOfTheDocs(t *testing.T) {
	const name = "../docs/vipctl.md"
	text := string(mustRead(t, name))
	t.Chdir("testdata") // where the files are that the examples name
	r := newWorld(t, "as ever")
	var b strings.Builder
	inside, skipped := false, false
	for line := range strings.Lines(text) {
		if world, ok := strings.CutPrefix(line, "<!-- @ "); ok {
			r = newWorld(t, strings.TrimSuffix(world, " -->\n"))
		}
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside, skipped = line == "```console\n", false
			b.WriteString(line)
		case inside && isCommand:
			b.WriteString(line)
			output, ok := r.example(strings.TrimSuffix(command, "\n"))
			skipped = !ok
			b.WriteString(output)
		case !inside || skipped:
			b.WriteString(line)
		}
	}
	t.Chdir("..")
	compareFile(t, name, text, b.String())
}

// example returns what a terminal would show of a command. It is not ok where jq
// is needed and is not there.
func (r *rig) example(line string) (output string, ok bool) {
	r.Helper()
	command, filter, piped := strings.Cut(line, " | jq ")
	if !piped {
		return r.terminalOf(command), true
	}
	got := r.command(command)
	jq, err := exec.LookPath("jq")
	if err != nil {
		r.Log("NOT CHECKED, for lack of jq:", line)
		return "", false
	}
	c := exec.Command(jq, shellWords(filter)...)
	c.Stdin, c.Stderr = strings.NewReader(got.stdout), new(bytes.Buffer)
	out, err := c.Output()
	if err != nil {
		r.Fatalf("%s: %v: %s", line, err, c.Stderr)
	}
	return string(out), true
}

// terminalOf returns what both outputs of a command have, as it was written.
func (r *rig) terminalOf(line string) string {
	r.Helper()
	p, done := r.process(line)
	defer done()
	both := newSink()
	p.Env = append(p.Env, "COLUMNS=100")
	p.Version, p.Stdin, p.Stdout, p.Stderr = "v1.4.0", strings.NewReader(""), both, both
	run(r.Context(), p, noon)
	return r.same(both.String())
}
