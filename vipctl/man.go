package vipctl

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manVerb prints the manual page, for those who build packages.
func (a *app) manVerb() *cobra.Command {
	return &cobra.Command{Use: "man", Short: "print the manual page, in man's own format", Hidden: true,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m := &manual{}
			m.page(c.Root(), a.Version)
			if _, err := io.WriteString(a.Stdout, m.text.String()); err != nil {
				return failed("%w", err)
			}
			return nil
		}}
}

// A manual is a page of man(7): lines that begin with a dot are its requests.
type manual struct{ text strings.Builder }

func (m *manual) page(root *cobra.Command, version string) {
	m.request("TH", strings.ToUpper(root.Name()), "1", "", "vipd "+version, "User Commands")
	m.request("SH", "NAME")
	m.words(root.Name() + " - " + root.Short)
	m.request("SH", "SYNOPSIS")
	m.words(root.Name() + " [flags] VERB [arguments]")
	m.request("SH", "DESCRIPTION")
	m.verbatim(root.Long)
	m.request("SH", "VERBS")
	m.verbs(root)
	m.request("SH", "GLOBAL FLAGS")
	m.flags(root.PersistentFlags())
	m.request("SH", "FILES")
	m.words("/run/vipd/vipd.sock: where vipd listens by default")
	m.request("SH", "SEE ALSO")
	m.words("vipd(8), https://github.com/fiberlb/vipd/blob/main/docs/vipctl.md")
}

func (m *manual) verbs(c *cobra.Command) {
	for _, v := range c.Commands() {
		if !v.IsAvailableCommand() || v.Name() == "help" {
			continue
		}
		if v.Runnable() {
			m.request("SS", strings.TrimSuffix(v.UseLine(), " [flags]"))
			if v.Long != "" {
				m.verbatim(v.Long)
			} else {
				m.words(v.Short)
			}
			m.flags(v.LocalNonPersistentFlags())
			if v.Example != "" {
				m.request("PP")
				m.verbatim(v.Example)
			}
		}
		m.verbs(v)
	}
}

func (m *manual) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, text := pflag.UnquoteUsage(f)
		head := "--" + f.Name
		if f.Shorthand != "" {
			head = "-" + f.Shorthand + ", " + head
		}
		if name != "" {
			head += " " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		m.request("TP")
		m.words(head)
		m.words(text)
	})
}

// request writes a line that man(7) acts on, with its arguments quoted.
func (m *manual) request(name string, args ...string) {
	m.text.WriteString("." + name)
	for _, arg := range args {
		m.text.WriteString(` "` + escape(arg) + `"`)
	}
	m.text.WriteByte('\n')
}

// words writes text that may be filled anew.
func (m *manual) words(text string) { m.text.WriteString(escapeLine(text) + "\n") }

// verbatim writes lines that stay as they are.
func (m *manual) verbatim(text string) {
	m.request("nf")
	for line := range strings.SplitSeq(text, "\n") {
		m.words(line)
	}
	m.request("fi")
}

// escape makes text harmless within a line: a backslash begins an escape, a
// bare minus is a hyphen, and a quote ends an argument.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `"`, `\(dq`).Replace(s)
}

// escapeLine does that for a whole line, whose first character may not be a
// request's.
func escapeLine(s string) string {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + escape(s)
	}
	return escape(s)
}
