package vipctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A follower writes the objects of a list, then those that change.
type follower[T proto.Message] struct {
	list   *list[T]
	app    *app
	mirror mirror[T]
	grid   grid
	// told has the rows that were last written of each object of the list.
	told map[string]map[string]bool
}

func (l *list[T]) follow(ctx context.Context, a *app, api vipdv1.VipServiceClient) error {
	f := &follower[T]{
		list: l, app: a,
		mirror: mirror[T]{kind: l.kind},
		grid:   grid{columns: l.columns},
		told:   map[string]map[string]bool{},
	}
	s := &stream{api: api, limit: a.timeout, request: &vipdv1.WatchRequest{}, take: f.take, note: a.noteStream}
	return s.run(ctx)
}

func (f *follower[T]) take(r *vipdv1.WatchResponse) error {
	all := f.mirror.take(r)
	if len(all) == 0 && f.grid.widths != nil {
		return nil
	}
	slices.SortFunc(all, func(a, b difference[T]) int { return strings.Compare(a.key, b.key) })
	p := f.app.page()
	p.dated = true
	var rows [][]cell
	for _, d := range all {
		before, known := f.told[d.key]
		d.gone = d.gone || !f.list.wanted(d.now)
		if d.gone && !known {
			continue // it never was of this list
		}
		if f.app.encoded() {
			f.told[d.key] = nil
			if err := f.encode(d); err != nil {
				return err
			}
		} else {
			rows = append(rows, f.changed(p, d, before)...)
		}
		if d.gone {
			delete(f.told, d.key)
		}
	}
	if f.app.encoded() || r.GetSnapshot() != nil && !r.GetSnapshot().GetLast() {
		return nil
	}
	f.grid.rows(p, rows)
	_, err := f.app.Stdout.Write(p.text.Bytes())
	return err
}

func (f *follower[T]) encode(d difference[T]) error {
	if d.gone {
		return f.app.showLine(f.list.kind.removal(d.key))
	}
	return f.app.showLine(f.list.kind.change(d.now))
}

// changed returns those rows of an object that are not as they were: not all
// that changes in it is shown.
func (f *follower[T]) changed(p *page, d difference[T], before map[string]bool) (rows [][]cell) {
	if d.gone {
		row := make([]cell, len(f.list.columns))
		row[0] = text(d.key)
		row[len(row)-1] = in(faint, "gone from this list")
		return [][]cell{row}
	}
	now := map[string]bool{}
	for _, row := range f.list.rows(p, d.now) {
		text := fmt.Sprint(f.grid.shown(p, row))
		now[text] = true
		if !before[text] {
			rows = append(rows, row)
		}
	}
	f.told[d.key] = now
	return rows
}
