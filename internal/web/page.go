package web

import (
	"bytes"
	"cmp"
	"context"
	"html/template"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

const (
	// maxRenders is how many pages are made at once. However many look, probes
	// and BFD have the other processors.
	maxRenders = 2
	// freshTimeout is how long a page waits for the figures of last probes. It
	// is for when things go wrong, and must then come without them.
	freshTimeout = time.Second

	eventsShown   = 50
	peersShown    = 100 // neighbors, and BFD sessions
	troubledShown = 8
)

// pages makes the status page, whole or only what changes of it: the templates
// of both are the same.
type pages struct {
	sources   Sources
	version   string
	log       *zap.Logger
	templates *template.Template
	build     string
	renders   chan struct{} // one for each page that is being made
	now       func() time.Time
}

func newPages(o Options) *pages {
	p := &pages{
		sources: o.Sources, version: o.Version, log: o.Log, templates: templates(), build: build(),
		renders: make(chan struct{}, maxRenders), now: o.now,
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p
}

// serve answers with a template.
func (p *pages) serve(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		content, err := p.render(r.Context(), name, viewOf(r.URL.Query()))
		if err != nil {
			if r.Context().Err() == nil {
				p.log.Error("can't make the status page", zap.Error(err))
			}
			http.Error(w, "can't make the status page: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(content) // who asked has gone
	}
}

func (p *pages) render(ctx context.Context, name string, v view) ([]byte, error) {
	select {
	case p.renders <- struct{}{}:
		defer func() { <-p.renders }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var b bytes.Buffer
	err := p.templates.ExecuteTemplate(&b, name, p.page(ctx, v))
	return b.Bytes(), err
}

// A page is what the templates show.
type page struct {
	Build, Version string
	View           view
	Now            moment
	Node           *vipdv1.Node
	Summary        string
	Notices        []notice
	Tiles          []tile
	Troubled       []vipRow
	VIPs           vipList
	Neighbors      list[neighborRow]
	Sessions       list[sessionRow]
	Events         []eventRow
}

// States are what the list can be limited to.
func (p page) States() []string { return states() }

// Found says how many VIPs there are.
func (p page) Found() string {
	filtered := p.View.Search != "" || p.View.State != ""
	switch {
	case p.VIPs.Total == 0 && filtered:
		return "No VIP is like that."
	case p.VIPs.Total == 0:
		return "There is no VIP."
	case p.VIPs.Total == len(p.VIPs.Rows):
		return count(p.VIPs.Total, "VIP") + "."
	case p.View.After != "":
		return grouped(len(p.VIPs.Rows)) + " of " + count(p.VIPs.Total, "VIP") + ", from behind " + p.View.After + "."
	}
	return "The first " + grouped(len(p.VIPs.Rows)) + " of " + count(p.VIPs.Total, "VIP") + "."
}

// A list is what is shown of All things.
type list[T any] struct {
	Shown []T
	All   int
}

func (l list[T]) More() int { return l.All - len(l.Shown) }

func (p *pages) page(ctx context.Context, v view) page {
	b, now := p.sources.Board, p.now()
	node, counts := b.Node(), b.Counts()
	out := page{
		Build: p.build, Version: p.version, View: v, Now: moment{now.UTC().Format(time.RFC3339), now.UTC().Format(time.TimeOnly)},
		Node: node, Summary: summary(node, counts), Notices: notices(now, node), Tiles: tiles(now, node, counts, v),
		VIPs:      p.vipList(ctx, now, v),
		Neighbors: neighborRows(now, b.Neighbors()), Sessions: sessionRows(now, b.Sessions()),
		Events: p.eventRows(now, "", eventsShown),
	}
	// A list that is short shows them itself.
	if counts.GetVips() > troubledShown*2 {
		for _, one := range b.Troubled(troubledShown) {
			out.Troubled = append(out.Troubled, rowOf(now, one, view{Search: one.GetName()}))
		}
	}
	return out
}

// firstOf returns what is shown of things: those first that are of interest.
func firstOf[T any, R any](things []T, boring func(T) bool, row func(T) R) list[R] {
	rank := func(t T) int {
		if boring(t) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(things, func(a, b T) int { return cmp.Compare(rank(a), rank(b)) })
	out := list[R]{All: len(things)}
	for _, t := range things[:min(len(things), peersShown)] {
		out.Shown = append(out.Shown, row(t))
	}
	return out
}
