package vipctl

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A list shows the objects of one kind: once, or with -w as they change.
type list[T proto.Message] struct {
	kind    kind[T]
	columns []column
	rows    func(p *page, x T) [][]cell
	all     func(context.Context, vipdv1.VipServiceClient) ([]T, error)
	encode  func([]T) ([]byte, error)
	matches func(T) bool // for what Watch tells; nil: all do
}

// listVerb makes c the verb that shows a list, which make makes when the flags
// are known.
func listVerb[T proto.Message](a *app, c *cobra.Command, make func(args []string) *list[T]) *cobra.Command {
	watch := watchFlag(c)
	return a.verb(c, func(ctx context.Context, api vipdv1.VipServiceClient, args []string) error {
		l := make(args)
		_, _, tty := terminal(a.Stdout)
		switch {
		case *watch && tty && !a.encoded():
			return l.redraw(ctx, a, api)
		case *watch:
			return l.follow(ctx, a, api)
		}
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return l.once(ctx, a, api)
	})
}

func watchFlag(c *cobra.Command) *bool {
	return c.Flags().BoolP("watch", "w", false,
		"go on: draw again what changes, or add lines where the output is no terminal")
}

func (l *list[T]) once(ctx context.Context, a *app, api vipdv1.VipServiceClient) error {
	all, err := l.all(ctx, api)
	if err != nil {
		return err
	}
	if a.encoded() {
		compact, err := l.encode(all)
		if err != nil {
			return err
		}
		return a.showJSON(compact)
	}
	p := a.page()
	l.table(p, all)
	_, err = a.Stdout.Write(p.text.Bytes())
	return err
}

func (l *list[T]) table(p *page, all []T) {
	var rows [][]cell
	for _, x := range all {
		rows = append(rows, l.rows(p, x)...)
	}
	(&grid{columns: l.columns}).rows(p, rows)
}

func (l *list[T]) wanted(x T) bool { return l.matches == nil || l.matches(x) }

// redraw keeps a terminal's screen up to date.
func (l *list[T]) redraw(ctx context.Context, a *app, api vipdv1.VipServiceClient) error {
	m := &mirror[T]{kind: l.kind}
	s := &screen{
		stream: &stream{api: api, limit: a.timeout, request: &vipdv1.WatchRequest{}},
		take:   func(r *vipdv1.WatchResponse) { m.take(r) },
		idle:   true,
		least:  200 * time.Millisecond,
		draw: func(_ context.Context, trouble string, _ bool) error {
			var all []T
			for _, key := range slices.Sorted(maps.Keys(m.shown)) {
				if x := m.shown[key]; l.wanted(x) {
					all = append(all, x)
				}
			}
			p := a.page()
			l.table(p, all)
			return a.paintOver(p, trouble)
		},
	}
	return s.run(ctx, a)
}

// pages asks for all VIPs that q selects, on as many pages as there are.
func pages(ctx context.Context, api vipdv1.VipServiceClient, q *vipdv1.ListVipsRequest) (all []*vipdv1.Vip, err error) {
	for {
		r, err := api.ListVips(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, r.GetVips()...)
		if q.PageToken = r.GetNextPageToken(); q.PageToken == "" {
			return all, nil
		}
	}
}
