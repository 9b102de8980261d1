package vipctl

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A column of a table; a wide one is shown by -o wide only.
type column struct {
	title string
	wide  bool
}

// A cell is one value and what it means to the eye.
type cell struct {
	text string
	tone tone
}

func in(t tone, text string) cell { return cell{text, t} }

func text(s string) cell { return cell{text: s} }

func number[T uint32 | uint64](n T) cell { return text(strconv.FormatUint(uint64(n), 10)) }

// columns makes columns of titles; those with a + are wide.
func columns(titles string) (all []column) {
	for title := range strings.FieldsSeq(titles) {
		name, wide := strings.CutPrefix(title, "+")
		all = append(all, column{name, wide})
	}
	return all
}

const (
	gap = 2
	// leastLast is what a last column that is cut or wrapped has at least:
	// below that the terminal had better wrap it itself.
	leastLast = 16
)

// A grid writes rows under each other, also those that come later: columns
// grow, but never shrink.
type grid struct {
	columns []column
	wrap    bool // the last column goes on below; else it is cut
	widths  []int
}

// shown returns the cells of the columns that p shows.
func (g *grid) shown(p *page, row []cell) []cell {
	var cells []cell
	for i, c := range g.columns {
		if c.wide && !p.wide {
			continue
		}
		cells = append(cells, row[i])
	}
	return cells
}

func (g *grid) header(p *page) {
	titles := make([]cell, len(g.columns))
	for i, c := range g.columns {
		titles[i] = in(strong, c.title)
	}
	g.fit(g.shown(p, titles))
	g.row(p, titles)
}

func (g *grid) fit(cells []cell) {
	if g.widths == nil {
		g.widths = make([]int, len(cells))
	}
	for i, c := range cells {
		g.widths[i] = max(g.widths[i], utf8.RuneCountInString(c.text))
	}
}

// rows adds rows, and a header above the first ones.
func (g *grid) rows(p *page, rows [][]cell) {
	first := g.widths == nil
	for _, r := range rows {
		g.fit(g.shown(p, r))
	}
	if first {
		g.header(p)
	}
	for _, r := range rows {
		g.row(p, r)
	}
}

func (g *grid) row(p *page, row []cell) {
	cells := g.shown(p, row)
	var b strings.Builder
	indent := 0
	for i, c := range cells[:len(cells)-1] {
		text := orDash(c.text)
		b.WriteString(p.paint(c.tone, text))
		pad := max(0, g.widths[i]-utf8.RuneCountInString(text)) + gap
		b.WriteString(strings.Repeat(" ", pad))
		indent += max(g.widths[i], utf8.RuneCountInString(text)) + gap
	}
	last := cells[len(cells)-1]
	for i, part := range g.last(p, orDash(clean(last.text)), indent) {
		if i > 0 {
			b.WriteString("\n" + strings.Repeat(" ", indent))
		}
		b.WriteString(p.paint(last.tone, part))
	}
	p.line("%s", b.String())
}

// last returns the lines of a last column's text.
func (g *grid) last(p *page, text string, indent int) []string {
	room := p.width - indent
	switch {
	case p.width == 0 || room < leastLast || utf8.RuneCountInString(text) <= room:
		return []string{text}
	case g.wrap:
		return wrap(text, room)
	}
	return []string{cut(text, room, p.choose("…", "~"))}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// cut shortens text to width, the mark included.
func cut(text string, width int, mark string) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + mark
}

// wrap breaks text between words; a word that is too long stays whole.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
