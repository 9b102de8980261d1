package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func decoded(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

// A received request, with its body.
type received struct {
	*http.Request
	body string
}

// receive serves on loopback, and answers with answer.
func receive(t *testing.T, answer http.HandlerFunc) (url string, requests chan received) {
	requests = make(chan received, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer(w, r)
		requests <- received{r, string(body)}
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func next[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing within 10 s")
	}
	return v
}

func TestEventIsPosted(t *testing.T) {
	url, requests := receive(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	b := newBoard()
	play(t, b, Hook{URL: url + "/path?token=1", Timeout: 10 * time.Second, Headers: []Header{
		{"Authorization", "Bearer x"}, {"host", "alerts.example"}, {"user-agent", "mine"},
	}})
	note(b, "vip", "web")
	r := next(t, requests)
	if r.Method != http.MethodPost || r.RequestURI != "/path?token=1" || r.Host != "alerts.example" {
		t.Errorf("%s %s, host %s", r.Method, r.RequestURI, r.Host)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "mine", "Authorization": "Bearer x"} {
		if have := r.Header.Values(name); !reflect.DeepEqual(have, []string{want}) {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	have := decoded(t, r.body)
	if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(have["at"])); err != nil || time.Since(at) > time.Minute {
		t.Errorf("at %v: %v", have["at"], err)
	}
	delete(have, "at")
	want := map[string]any{
		"node": "lb-1", "sequence": "1", "kind": "vip", "subject": "web", "from": "withdrawn", "to": "advertised", "reason": "2 of 3 backends healthy", "by": "vipd",
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

// posted is what comes of one attempt.
func posted(t *testing.T, h Hook) (said string, again bool, err error) {
	t.Helper()
	w := newWebhook(h)
	defer w.close()
	return w.post(t.Context(), []byte("{}"))
}

func TestOneAttempt(t *testing.T) {
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	for _, tt := range []struct {
		name      string
		answer    http.HandlerFunc
		err, said string
		again     bool
	}{
		{"200", answer(200, "thanks"), "", "", false},
		{"299", answer(299, ""), "", "", false},
		{"a redirect is not followed", answer(302, "there"), "status 302, wanted 2xx", "there", false},
		{"nor one that keeps the method", answer(307, ""), "status 307, wanted 2xx", "", false},
		{"what is wrong stays so", answer(400, "no field \xfftext"), "status 400, wanted 2xx", "no field text", false},
		{"too many", answer(429, ""), "status 429, wanted 2xx", "", true},
		{"408", answer(408, ""), "status 408, wanted 2xx", "", true},
		{"500", answer(500, strings.Repeat("x", 1000)), "status 500, wanted 2xx", strings.Repeat("x", 200), true},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "5 of")
		}, "unexpected EOF", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := receive(t, tt.answer)
			said, again, err := posted(t, Hook{URL: url, Timeout: 10 * time.Second})
			if have := fmt.Sprint(err); said != tt.said || again != tt.again || have != tt.err && !(tt.err == "" && err == nil) {
				t.Errorf("said %q, again %v, error %v", said, again, err)
			}
			if next(t, requests); len(requests) > 0 {
				t.Error("another request came")
			}
		})
	}
}

func TestServerThatSaysNothing(t *testing.T) {
	hang := make(chan struct{})
	url, _ := receive(t, func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	if _, again, err := posted(t, Hook{URL: url, Timeout: 50 * time.Millisecond}); !again || err == nil || err.Error() != "no answer within 50ms" {
		t.Errorf("again %v, error %v", again, err)
	}
}

// Many a URL has a token in it, and errors go to logs and to the API.
func TestNoErrorShowsTheURL(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://" + l.Addr().String() + "/secret?x=secret", "http://user:secret@[::1%25/", "secret://secret"} {
		if _, _, err := posted(t, Hook{URL: url, Timeout: 10 * time.Second}); err == nil || strings.Contains(err.Error(), "secret?") || strings.Contains(err.Error(), "/secret") || strings.Contains(err.Error(), ":secret") {
			t.Errorf("error %v", err)
		}
	}
}

func TestUnknownCertificateIsRefused(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was told") }))
	s.Config.ErrorLog = nil
	defer s.Close()
	if _, again, err := posted(t, Hook{URL: s.URL, Timeout: 10 * time.Second}); err == nil || !again || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("again %v, error %v", again, err)
	}
}

// A transport that answers with these status codes, one after the other; 0: not
// at all.
type transport struct {
	codes []int
	at    []time.Duration // when it was asked
	begin time.Time
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	code := tr.codes[len(tr.at)]
	tr.at = append(tr.at, time.Since(tr.begin))
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "{}" {
		return nil, fmt.Errorf("body %q, %w", body, err)
	}
	if code == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: code, Body: http.NoBody, Request: r}, nil
}

func TestWhatMayBeBetterIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		codes []int
		err   string
		at    []time.Duration
	}{
		{[]int{200}, "", []time.Duration{0}},
		{[]int{404}, "status 404, wanted 2xx", []time.Duration{0}},
		{[]int{500, 200}, "", []time.Duration{0, time.Second}},
		{[]int{500, 0, 204}, "", []time.Duration{0, time.Second, 8 * time.Second}},
		{[]int{503, 503, 503}, "status 503, wanted 2xx (3 attempts)", []time.Duration{0, time.Second, 3 * time.Second}},
		{[]int{0, 0, 0}, "no answer within 5s (3 attempts)", []time.Duration{0, 6 * time.Second, 13 * time.Second}},
		{[]int{500, 404}, "status 404, wanted 2xx", []time.Duration{0, time.Second}},
	} {
		t.Run(fmt.Sprint(tt.codes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWebhook(Hook{URL: "http://alerts.example/", Timeout: 5 * time.Second})
				tr := &transport{codes: tt.codes, begin: time.Now()}
				w.client.Transport = tr
				_, err := w.deliver(t.Context(), message{&vipdv1.Event{}, "lb-1", []byte("{}")})
				if have := fmt.Sprint(err); have != tt.err && !(tt.err == "" && err == nil) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if !reflect.DeepEqual(tr.at, tt.at) {
					t.Errorf("asked at %v, want %v", tr.at, tt.at)
				}
			})
		})
	}
}

func TestPauseEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(Hook{URL: "http://alerts.example/", Timeout: 5 * time.Second})
		w.client.Transport = &transport{codes: []int{500}, begin: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		begin := time.Now()
		if _, err := w.deliver(ctx, message{&vipdv1.Event{}, "lb-1", []byte("{}")}); err == nil || errors.Is(err, context.Canceled) || time.Since(begin) != time.Millisecond {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
	})
}

// A burst of events needs one connection.
func TestConnectionIsUsedAgain(t *testing.T) {
	url, requests := receive(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "thanks") })
	b := newBoard()
	play(t, b, Hook{URL: url, Timeout: 10 * time.Second})
	from := map[string]bool{}
	for range 20 {
		note(b, "vip", "web")
	}
	for range 20 {
		from[next(t, requests).RemoteAddr] = true
	}
	if len(from) != 1 {
		t.Errorf("%d connections", len(from))
	}
}

func TestRunEndsInTheMidstOfARequest(t *testing.T) {
	hang, begun := make(chan struct{}), make(chan struct{}, 1)
	url, _ := receive(t, func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-hang })
	defer close(hang)
	b := newBoard()
	s := play(t, b, Hook{URL: url, Timeout: time.Minute})
	note(b, "vip", "web")
	next(t, begun)
	begin := time.Now()
	s.stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	s.wantStat(t, Stat{Hook: s.queues[0].name})
}
