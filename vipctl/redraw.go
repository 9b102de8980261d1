package vipctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A screen where nothing changes is drawn so often: ages grow.
const mostBetween = time.Second

// A screen is drawn again when something changed.
type screen struct {
	stream *stream
	take   func(*vipdv1.WatchResponse) // in the goroutine that draws
	// draw shows what is now. trouble is empty while vipd is connected; changed
	// is false when only time has passed.
	draw  func(ctx context.Context, trouble string, changed bool) error
	idle  bool          // draw also when only time has passed
	least time.Duration // between two drawings, however much changes
}

// news is what the stream's goroutine tells the one that draws.
type news struct {
	response *vipdv1.WatchResponse
	trouble  *string
}

// run draws until ctx ends. Two goroutines: one reads, one draws.
func (s *screen) run(ctx context.Context, a *app) error {
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan news)
	tell := func(n news) error {
		select {
		case read <- n:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.stream.take = func(r *vipdv1.WatchResponse) error { return tell(news{response: r}) }
	s.stream.note = func(why error, restarted bool) {
		text := ""
		if why != nil {
			text = fmt.Sprintf("not connected since %s: %s", a.now().Format(time.TimeOnly), firstLine(a.lost(why)))
		}
		_ = tell(news{trouble: &text}) // fails when ctx ends, which the stream sees itself
	}
	g.Go(func() error { return s.stream.run(ctx) })
	g.Go(func() error { return s.drawing(ctx, read) })
	return g.Wait()
}

func (s *screen) drawing(ctx context.Context, read <-chan news) error {
	timer := time.NewTimer(mostBetween)
	defer timer.Stop()
	trouble, changed, drawn := "", false, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-read:
			if n.trouble != nil {
				trouble = *n.trouble
			} else {
				s.take(n.response)
			}
			if !changed {
				changed = true
				timer.Reset(time.Until(drawn.Add(s.least)))
			}
			continue
		case <-timer.C:
		}
		if changed || s.idle {
			if err := s.draw(ctx, trouble, changed); err != nil && ctx.Err() == nil {
				return err
			}
		}
		drawn, changed = time.Now(), false
		timer.Reset(mostBetween)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// paintOver shows a page in place of what the terminal showed.
func (a *app) paintOver(p *page, trouble string) error {
	text := p.text.String()
	if trouble != "" {
		text = p.paint(bad, trouble) + "\n" + text
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	width, height, _ := terminal(a.Stdout)
	if height > 2 && len(lines) > height-1 {
		left := len(lines) - (height - 2)
		lines = append(lines[:height-2], p.paint(faint, fmt.Sprintf("and %d more lines", left)))
	}
	// Home, each line with what was behind it cleared, then all below: nothing
	// flickers as it would on an empty screen.
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, l := range lines {
		b.WriteString(clip(l, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, err := a.Stdout.Write([]byte(b.String()))
	return err
}
