package web

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestPagesHave100VIPs(t *testing.T) {
	h := handlerAt(shown(crowd(t, 250)))
	var seen []string
	path, pages := "/?state=advertised", 0
	for ; path != ""; pages++ {
		doc := parsed(t, h, path)
		names := rows(doc)
		if len(names) > 100 {
			t.Fatalf("%d VIPs on one page", len(names))
		}
		seen = append(seen, names...)
		path = link(doc, "Next page")
	}
	var want []string
	for i := range 250 {
		if i%500 != 7 {
			want = append(want, fmt.Sprintf("vip-%05d", i))
		}
	}
	if pages != 3 || !slices.Equal(seen, want) {
		t.Errorf("%d pages with %d VIPs, want 3 with %d", pages, len(seen), len(want))
	}
}

func TestAViewSelectsVIPs(t *testing.T) {
	h := handlerAt(shown(showcase()))
	for _, tt := range []struct {
		name, query, found string
		want               []string
	}{
		{"all", "", "7 VIPs.", []string{"api", "dns", "mail", "new", "shop", "web", "web-6"}},
		{"by name", "?q=WEB", "2 VIPs.", []string{"web", "web-6"}},
		{"by prefix", "?q=192.0.2.11", "1 VIP.", []string{"mail"}},
		{"by owner", "?q=controller", "1 VIP.", []string{"shop"}},
		{"by reason", "?q=kernel", "1 VIP.", []string{"dns"}},
		{"by state", "?state=undecided", "1 VIP.", []string{"new"}},
		{"by both", "?q=web&state=withdrawn", "No VIP is like that.", nil},
		{"a state that is none selects all", "?state=up&q=web", "2 VIPs.", []string{"web", "web-6"}},
		{"behind a name", "?after=new", "3 of 7 VIPs, from behind new.", []string{"shop", "web", "web-6"}},
		{"text that is none", "?q=%ff%fe", "7 VIPs.", []string{"api", "dns", "mail", "new", "shop", "web", "web-6"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := parsed(t, h, "/"+tt.query)
			if got := rows(doc); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if text := read(doc); !strings.Contains(text, "\n"+tt.found+"\n") {
				t.Errorf("no %q in:\n%s", tt.found, text)
			}
		})
	}
}

// A VIP's link shows its details and keeps all else; there it hides them.
func TestDetailsOpenAndClose(t *testing.T) {
	h := handlerAt(shown(showcase()))
	doc := parsed(t, h, "/?q=we&open=web-6")
	to := link(doc, "web")
	if want := "/?open=web&open=web-6&q=we#vip-web"; to != want {
		t.Fatalf("got %s, want %s", to, want)
	}
	to, _, _ = strings.Cut(to, "#")
	doc = parsed(t, h, to)
	if n := strings.Count(read(doc), "Backends of web"); n != 2 {
		t.Errorf("%d are open, want 2", n)
	}
	if to = link(doc, "web"); to != "/?open=web-6&q=we#vip-web" {
		t.Errorf("it would not close: %s", to)
	}
}

// An address is the view it was made of.
func FuzzView(f *testing.F) {
	f.Add("q=web&state=withdrawn&after=web&open=a&open=b")
	f.Add("q=%ff&open=&open=%00&state=x;y")
	f.Add("q=" + url.QueryEscape(hostile))
	f.Fuzz(func(t *testing.T, raw string) {
		q, _ := url.ParseQuery(raw) // what can be read of it, as net/http does
		v := viewOf(q)
		u, err := url.Parse(v.address())
		if err != nil {
			t.Fatal(err)
		}
		if again := viewOf(u.Query()); again.address() != v.address() || again.Search != v.Search || !slices.Equal(again.Open, v.Open) {
			t.Errorf("%q became %q", v, again)
		}
		for _, name := range v.Open {
			if strings.ContainsAny(anchor(name), " \t\n\f\r") {
				t.Errorf("%q is no id", anchor(name))
			}
		}
	})
}
