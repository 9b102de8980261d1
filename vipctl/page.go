package vipctl

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// A tone is what a word means to the eye. Only a terminal shows it.
type tone string

// The tones, as parameters of the terminal's "select graphic rendition".
const (
	plain  tone = ""
	strong tone = "1"
	faint  tone = "2"
	bad    tone = "31"
	good   tone = "32"
	doubt  tone = "33"
)

// A page is text on its way to the user.
type page struct {
	text  bytes.Buffer
	now   time.Time
	width int  // of the terminal; 0: lines may be of any length
	color bool // else tones are not shown
	ascii bool // the user's locale may not have more
	wide  bool // all columns, and instants in place of ages
	dated bool // instants in place of ages: an age in a line that stays would become wrong
}

// clean makes s harmless: what came from a backend's answer or another's request
// must not steer the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return '?'
		}
		return r
	}, s)
}

// cleanLines is clean for a text whose lines are meant.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

// paint returns s, clean, in a tone.
func (p *page) paint(t tone, s string) string {
	s = clean(s)
	if !p.color || t == plain || s == "" {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}

// line adds a line. Its arguments are clean already, or numbers and words of
// this program.
func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.text, format, args...)
	p.text.WriteByte('\n')
}

// say adds a line of any text.
func (p *page) say(format string, args ...any) {
	p.line("%s", clean(fmt.Sprintf(format, args...)))
}

// hang adds text behind a lead that is painted already. Where lines have a
// width, it goes on below itself.
func (p *page) hang(lead string, t tone, text string) {
	indent := visible(lead)
	room := p.width - indent
	parts := []string{clean(text)}
	if p.width > 0 && room >= leastLast {
		parts = wrap(parts[0], room)
	}
	for i, part := range parts {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		p.line("%s%s", lead, p.paint(t, part))
	}
}

// visible is how many columns painted text takes.
func visible(s string) (n int) {
	escape := false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n++
		}
	}
	return n
}

// clip shortens painted text to some columns.
func clip(s string, width int) string {
	if width <= 0 || visible(s) <= width {
		return s
	}
	for end := range s {
		if visible(s[:end]) == width {
			return s[:end] + "\x1b[0m"
		}
	}
	return s
}

// choose returns the first where the locale has it, else the second.
func (p *page) choose(unicode, ascii string) string {
	if p.ascii {
		return ascii
	}
	return unicode
}

func (p *page) mark(ok bool) string {
	if ok {
		return p.paint(good, p.choose("✓", "ok"))
	}
	return p.paint(bad, p.choose("✗", "--"))
}

// since tells how long ago t was, or when where that is asked for.
func (p *page) since(t *timestamppb.Timestamp) string {
	switch {
	case t == nil:
		return "-"
	case p.wide || p.dated:
		return p.at(t)
	}
	return span(p.now.Sub(t.AsTime()))
}

const instant = "2006-01-02 15:04:05"

// at tells when t is, in the user's time zone.
func (p *page) at(t *timestamppb.Timestamp) string {
	return t.AsTime().In(p.now.Location()).Format(instant)
}

// clock is at without a date that is today's.
func (p *page) clock(t *timestamppb.Timestamp) string {
	at := p.at(t)
	if day, rest, _ := strings.Cut(at, " "); day == p.now.Format(time.DateOnly) && !p.wide {
		return rest
	}
	return at
}

// until tells when something ends, and how soon that is.
func (p *page) until(t *timestamppb.Timestamp) string {
	left := t.AsTime().Sub(p.now)
	if left <= 0 {
		return "until " + p.clock(t)
	}
	return fmt.Sprintf("until %s (%s left)", p.clock(t), span(left))
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	units := []struct {
		unit time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	d = max(d, 0).Truncate(time.Second)
	for i, u := range units[:3] {
		if d < u.unit {
			continue
		}
		text := fmt.Sprintf("%d%s", d/u.unit, u.name)
		if rest := d % u.unit / units[i+1].unit; rest > 0 {
			text += fmt.Sprintf("%d%s", rest, units[i+1].name)
		}
		return text
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
