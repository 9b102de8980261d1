package vipctl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The shell is told the names that vipd knows, where a name is meant.
func TestCompletion(t *testing.T) {
	r := newRig(t, small())
	for _, tt := range []struct{ line, want string }{
		{"explain ,", "api dns mail web"},
		{"explain ,w", "web"},
		{"explain web,", ""}, // it takes one
		{"withdraw ,d", "dns"},
		{"vip rm ,", "api dns mail web"},
		{"vips ,m", "mail"},
		{"bfd rm ,", "198.51.100.7"}, // the others are of the file
		{"bfd add ,", "10.0.0.253 10.0.0.254"},
		{"events --vip ,a", "api"},
		{"events --subject ,", "10.0.0.253 10.0.0.254 10.0.0.253@eth1 10.0.0.254@eth0 198.51.100.7"},
		{"events --kind ,o", "override"},
		{"vips --state ,", "advertised undecided withdrawn"},
		{"vips -o ,", "json table wide yaml"},
		{"completion ,", "bash fish powershell zsh"},
		{"status ,", ""},
		{",d", "drain"},
		{"explain --server unix:///no/such ,", ""}, // nobody there to ask
		{"explain --color purple ,", ""},
	} {
		before, word, _ := strings.Cut(tt.line, ",")
		got := r.vipctl(append([]string{"__complete"}, append(strings.Fields(before), word)...)...)
		var names []string
		for line := range strings.Lines(got.stdout) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if !strings.HasPrefix(name, ":") && name != "" && strings.HasPrefix(name, word) {
				names = append(names, name)
			}
		}
		if !equalSets(names, strings.Fields(tt.want)) || got.code != exitDone {
			t.Errorf("%q: %q (exit code %d), want %s", tt.line, names, got.code, tt.want)
		}
		if tt.line != "check ," && !strings.Contains(got.stdout, ":4\n") {
			t.Errorf("%q: file names are offered besides: %s", tt.line, got.stdout)
		}
	}
	// Files are completed where a file is meant.
	for _, line := range []string{"check", "vip add --file", "vip replace --file"} {
		got := r.vipctl(append([]string{"__complete"}, append(strings.Fields(line), "")...)...)
		if !strings.HasSuffix(got.stdout, ":0\n") {
			t.Errorf("%s: no file names: %s", line, got.stdout)
		}
	}
}

func equalSets(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// The scripts are what the shells take.
func TestCompletionScripts(t *testing.T) {
	for shell, word := range map[string]string{"bash": "complete -o", "zsh": "#compdef vipctl", "fish": "complete -c vipctl", "powershell": "Register-ArgumentCompleter"} {
		o := call(t.Context(), Process{Args: []string{"completion", shell}})
		if o.code != exitDone || !strings.Contains(o.stdout, word) {
			t.Errorf("%s: exit code %d, and no %q", shell, o.code, word)
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			continue
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(o.stdout), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}

// Every verb and every flag has a text, and is in the manual page.
func TestManual(t *testing.T) {
	page := call(t.Context(), Process{Args: []string{"man"}})
	if page.code != exitDone || !strings.HasPrefix(page.stdout, ".TH \"VIPCTL\" \"1\"") {
		t.Fatal(page)
	}
	text := strings.ReplaceAll(page.stdout, `\-`, "-")
	var verbs func(c *cobra.Command)
	verbs = func(c *cobra.Command) {
		for _, v := range c.Commands() {
			if v.Hidden || v.Name() == "help" {
				continue
			}
			if v.Short == "" || !strings.Contains(text, `.SS "`+v.CommandPath()) {
				t.Errorf("%s: no text, or not in the manual", v.CommandPath())
			}
			verbs(v)
		}
	}
	root := (&app{}).command()
	verbs(root)
	for _, flag := range globals {
		f := root.PersistentFlags().Lookup(flag)
		if f == nil || f.Usage == "" || !strings.Contains(text, "--"+flag) {
			t.Errorf("--%s: no such flag, no text, or not in the manual", flag)
		}
	}
	if groff, err := exec.LookPath("groff"); err == nil {
		c := exec.Command(groff, "-man", "-Tutf8", "-ww", "-z")
		c.Stdin = strings.NewReader(page.stdout)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff: %v\n%s", err, out)
		}
	}
}
