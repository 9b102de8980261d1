package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// handlerAt serves sources as of noon.
func handlerAt(s Sources) http.Handler {
	o := options(s)
	o.now = func() time.Time { return noon }
	return New(o).handler
}

func parsed(t testing.TB, h http.Handler, path string) *html.Node {
	t.Helper()
	code, body := get(t, h, path)
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, code, body)
	}
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// read is what there is to read on a page, a line for each row.
func read(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode && d.Parent.Data != "style":
			b.WriteString(strings.Join(strings.Fields(d.Data), " ") + " ")
		case d.Type == html.ElementNode && slices.Contains([]string{"p", "tr", "li", "h1", "h2", "h3", "caption", "title", "table", "form", "nav"}, d.Data):
			b.WriteString("\n")
		}
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// rows are the names of the VIPs that are listed.
func rows(n *html.Node) (names []string) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && attribute(d, "class") == "toggle" {
			names = append(names, d.FirstChild.Data)
		}
	}
	return names
}

// link is the address of the link with this text.
func link(n *html.Node, text string) string {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == "a" && d.FirstChild != nil && d.FirstChild.Data == text {
			return strings.TrimPrefix(attribute(d, "href"), ".")
		}
	}
	return ""
}

// Without JavaScript the page tells all there is to tell.
func TestWhatThePageSays(t *testing.T) {
	const file = "testdata/page.txt"
	h := handlerAt(shown(showcase()))
	got := read(parsed(t, h, "/?open=mail&open=web"))
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// What the script puts in is what a page that is loaded now would have.
func TestTheFragmentIsThePage(t *testing.T) {
	h := handlerAt(shown(showcase()))
	const query = "?open=mail&q=a"
	live := func(doc *html.Node) map[string]string {
		out := map[string]string{}
		for d := range doc.Descendants() {
			if d.Type == html.ElementNode && slices.ContainsFunc(d.Attr, func(a html.Attribute) bool { return a.Key == "data-live" }) {
				var b strings.Builder
				if err := html.Render(&b, d); err != nil {
					t.Fatal(err)
				}
				out[attribute(d, "id")] = b.String()
			}
		}
		return out
	}
	page, fragment := live(parsed(t, h, "/"+query)), live(parsed(t, h, "/fragment"+query))
	if len(page) != 5 || len(fragment) != 5 {
		t.Fatalf("%d and %d live parts, want 5", len(page), len(fragment))
	}
	for id, want := range page {
		if fragment[id] != want {
			t.Errorf("%s: got %s, want %s", id, fragment[id], want)
		}
	}
}

func TestAnEmptyNodeHasAPage(t *testing.T) {
	s := shown(newBoard())
	got := read(parsed(t, handlerAt(s), "/"))
	for _, want := range []string{"No VIPs.", "There is no VIP.", "BGP speaker\noff", "None yet."} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestWhereNoBoardIsThereIsNoPage(t *testing.T) {
	for _, path := range []string{"/", "/fragment", "/api/v1/status", "/api/v1/vips", "/api/v1/watch"} {
		if code, body := get(t, New(options(fixedSources())).handler, path); code != 503 || !strings.HasPrefix(body, "unavailable: ") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestAnswersMayBeShownAndNothingElse(t *testing.T) {
	h := handlerAt(shown(showcase()))
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
			"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	}
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/fragment": "text/html; charset=utf-8", "/assets/style.css": "text/css; charset=utf-8",
		"/assets/page.js": "text/javascript; charset=utf-8", "/assets/icon.svg": "image/svg+xml", "/api/v1/status": "application/json",
		"/api/v1/vips": "application/json", "/metrics": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
		"/nothing": "text/plain; charset=utf-8", "/assets/page.html": "text/plain; charset=utf-8",
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		for name, value := range want {
			if got := rec.Header().Get(name); got != value {
				t.Errorf("%s: %s: got %q, want %q", path, name, got, value)
			}
		}
		if got := rec.Header().Get("Content-Type"); got != kind {
			t.Errorf("%s: got %q, want %q", path, got, kind)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	h := handlerAt(shown(showcase()))
	for _, path := range []string{"/", "/fragment", "/assets/page.js", "/api/v1/status", "/api/v1/vips", "/api/v1/watch", "/metrics", "/healthz", "/readyz"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
			if rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
	}
}

// Browsers keep the files, and ask whether theirs is the present one.
func TestFilesAreSentOnce(t *testing.T) {
	h := handlerAt(shown(showcase()))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/assets/page.js", nil))
	again := httptest.NewRequest(http.MethodGet, "/assets/page.js", nil)
	again.Header.Set("If-None-Match", rec.Header().Get("Etag"))
	second := httptest.NewRecorder()
	h.ServeHTTP(second, again)
	if rec.Code != 200 || rec.Header().Get("Cache-Control") != "no-cache" || second.Code != http.StatusNotModified || second.Body.Len() > 0 {
		t.Errorf("first %d %v, then %d with %d bytes", rec.Code, rec.Header(), second.Code, second.Body.Len())
	}
}

func TestFiguresOfProbesAreAskedForOpenVIPsOnly(t *testing.T) {
	b := crowd(t, 300)
	s := shown(b)
	var asked []string
	s.Fresh = func(_ context.Context, names []string) ([]*vipdv1.Vip, error) {
		asked = append(asked, names...)
		return nil, nil
	}
	q := url.Values{"open": {"vip-00250", "vip-00001"}} // one is not on the page
	for i := 20; i < 60; i++ {
		q.Add("open", fmt.Sprintf("vip-%05d", i))
	}
	parsed(t, handlerAt(s), "/?"+q.Encode())
	if len(asked) != maxOpen || asked[0] != "vip-00001" {
		t.Errorf("asked for %d: %v", len(asked), asked)
	}
}

// When the health loop stands, the page must come all the same.
func TestThePageDoesWithoutFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shown(showcase())
		s.Fresh = func(ctx context.Context, _ []string) ([]*vipdv1.Vip, error) {
			<-ctx.Done()
			return nil, errors.New("the health loop does not answer")
		}
		text := read(parsed(t, handlerAt(s), "/?open=web"))
		for _, want := range []string{"Without the figures of the last probes: the health loop does not answer", "Backends of web", "backend-3"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
	})
}

// However many look, no more than maxRenders processors are busy with it, and
// who does not wait any more costs nothing.
func TestFewPagesAreMadeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shown(showcase())
		var inside atomic.Int32
		release := make(chan struct{})
		s.Fresh = func(context.Context, []string) ([]*vipdv1.Vip, error) {
			inside.Add(1)
			<-release
			return nil, nil
		}
		h := handlerAt(s)
		ctx, cancel := context.WithCancel(t.Context())
		codes := make(chan int, 10)
		for range 10 {
			go func() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/?open=web", nil))
				codes <- rec.Code
			}()
		}
		synctest.Wait()
		if n := inside.Load(); n != maxRenders {
			t.Errorf("%d are made at once", n)
		}
		cancel()
		synctest.Wait()
		if n := len(codes); n != 10-maxRenders {
			t.Errorf("%d have left, want %d", n, 10-maxRenders)
		}
		close(release)
		synctest.Wait()
	})
}

// BenchmarkPage is a page of 10,000 VIPs with 4 backends each.
func BenchmarkPage(b *testing.B) {
	h := handlerAt(shown(crowd(b, 10_000)))
	for _, tt := range []struct{ name, path string }{
		{"first", "/fragment"}, {"search", "/fragment?q=of+4"}, {"rare", "/fragment?q=vip-09999"}, {"open", "/fragment?open=vip-00001&open=vip-00002"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if code, body := get(b, h, tt.path); code != http.StatusOK {
					b.Fatal(body)
				}
			}
		})
	}
}
