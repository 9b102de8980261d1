package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fiberlb/vipd/internal/board"
)

const (
	pageSize  = 100
	maxOpen   = 20  // VIPs whose details are shown at once
	maxSearch = 200 // bytes
)

// A view is what a visitor asks to see. All of it is in the address, so that a
// view can be reloaded, sent to a colleague, and had without JavaScript.
type view struct {
	Search, State string
	After         string   // the name that the page begins behind
	Open          []string // VIPs whose details are shown, sorted
}

func viewOf(q url.Values) view {
	v := view{Search: clean(q.Get("q")), State: q.Get("state"), After: clean(q.Get("after"))}
	if !slices.Contains(states(), v.State) {
		v.State = ""
	}
	for _, name := range q["open"] {
		v.Open = append(v.Open, clean(name))
	}
	slices.Sort(v.Open)
	v.Open = slices.Compact(v.Open)
	v.Open = v.Open[:min(len(v.Open), maxOpen)]
	return v
}

func states() []string { return []string{advertised, withdrawn, undecided} }

// clean makes text of what may be anything.
func clean(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxSearch)], "")
}

func (v view) query() board.Query {
	return board.Query{Search: v.Search, State: v.State, After: v.After, Limit: pageSize}
}

// address is where the page shows this view, from the page.
func (v view) address() string {
	q := url.Values{}
	for key, value := range map[string]string{"q": v.Search, "state": v.State, "after": v.After} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for _, name := range v.Open {
		q.Add("open", name)
	}
	return "./?" + q.Encode() // sorted by key
}

// FirstPage, Page and Only are addresses of the same VIPs from the start, of
// those behind a name, and of those in a state.
func (v view) FirstPage() string { return v.Page("") }

func (v view) Page(after string) string {
	v.After, v.Open = after, nil
	return v.address()
}

func (v view) Only(state string) string { return view{State: state}.address() }

func (v view) opens(name string) bool { return slices.Contains(v.Open, name) }

// toggle is the address where name's details are shown if they are not here,
// and are not if they are.
func (v view) toggle(name string) string {
	if v.opens(name) {
		v.Open = slices.DeleteFunc(slices.Clone(v.Open), func(s string) bool { return s == name })
	} else {
		v.Open = append(slices.Clone(v.Open), name)
		slices.Sort(v.Open)
	}
	return v.address() + "#" + anchor(name)
}

// anchor is the id of a VIP's row: one that has no space in it.
func anchor(name string) string { return "vip-" + url.PathEscape(name) }
