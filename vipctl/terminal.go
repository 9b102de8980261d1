package vipctl

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// terminal returns the size of the terminal that w is, if it is one.
func terminal(w io.Writer) (width, height int, ok bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}

// page returns an empty page for standard output as it is now.
func (a *app) page() *page {
	width, _, tty := terminal(a.Stdout)
	// COLUMNS is for output that is shown on a terminal by something else.
	if n, err := strconv.Atoi(a.variable("COLUMNS")); !tty && err == nil && n > 0 {
		width = n
	}
	wide := a.output == formatWide
	if wide {
		width = 0
	}
	auto := tty && a.variable("NO_COLOR") == "" && a.variable("TERM") != "dumb"
	return &page{
		now: a.now(), width: width, wide: wide,
		color: a.color == "always" || a.color == "auto" && auto,
		ascii: !a.utf8(),
	}
}

// utf8 reports whether the locale's characters are UTF-8: the first of these
// variables that is set counts (POSIX, Environment Variables).
func (a *app) utf8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := a.variable(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
