package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEndpoints(t *testing.T) {
	s := fixedSources()
	ill := s
	ill.Alive = func() error { return errors.New("health loop: no round for 7s") }
	ill.Ready = func() error { return errors.New("draining: kernel update") }
	for _, tt := range []struct {
		name    string
		sources Sources
		path    string
		code    int
		body    string
	}{
		{"alive", s, "/healthz", 200, "ok\n"},
		{"ready", s, "/readyz", 200, "ok\n"},
		{"not alive says why", ill, "/healthz", 503, "health loop: no round for 7s\n"},
		{"not ready says why", ill, "/readyz", 503, "draining: kernel update\n"},
		{"anything else is not found", s, "/metric", 404, "404 page not found\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, body := get(t, New(options(tt.sources)).handler, tt.path); code != tt.code || body != tt.body {
				t.Errorf("got %d %q, want %d %q", code, body, tt.code, tt.body)
			}
		})
	}
}

func TestATakenPortNamesTheConfigKey(t *testing.T) {
	ln := listen(t)
	defer ln.Close()
	o := options(fixedSources())
	o.Listen = ln.Addr().String()
	want := "http.listen: listen tcp " + o.Listen + ": bind: address already in use"
	if err := New(o).Listen(); err == nil || err.Error() != want {
		t.Errorf("Listen: got %v, want %s", err, want)
	}
	if err := New(o).Run(t.Context()); err == nil || err.Error() != want {
		t.Errorf("Run: got %v, want %s", err, want)
	}
}

func TestRunTellsWhenTheListenerBreaks(t *testing.T) {
	ln := listen(t)
	ln.Close()
	if err := New(options(fixedSources())).serve(t.Context(), ln); err == nil {
		t.Error("no error")
	}
}

// Clients that send half a request, and clients that read nothing of a large
// answer, cost others nothing, and do not hold up the end.
func TestSlowClientsBlockNobody(t *testing.T) {
	s := fixedSources()
	status := manyVIPs(s.Timings, 3000, 4)
	s.Status = func(context.Context) (Status, error) { return status, nil }
	address, stop := start(t, s)
	for i := range 20 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		end := ""
		if i < 3 {
			end = "\r\n" // a whole request, whose answer is larger than the sockets' buffers
		}
		fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n%s", end)
	}
	for _, path := range []string{"/healthz", "/metrics"} {
		if code, body := fetch(t, address, path); code != http.StatusOK || body == "" {
			t.Errorf("%s: %d", path, code)
		}
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > stopTimeout+5*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// A supervisor's question must not wait for a loop that stands still.
func TestHealthAnswersWhileASnapshotHangs(t *testing.T) {
	s := fixedSources()
	asked, release := make(chan bool), make(chan struct{})
	s.Status = func(ctx context.Context) (Status, error) {
		_, limited := ctx.Deadline()
		asked <- limited
		<-release
		return Status{}, errors.New("not in time")
	}
	address, stop := start(t, s)
	defer stop()
	scraped := make(chan int)
	go func() {
		code, _ := fetch(t, address, "/metrics")
		scraped <- code
	}()
	if limited := <-asked; !limited {
		t.Error("a scrape would wait for ever")
	}
	if code, _ := fetch(t, address, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	close(release)
	if code := <-scraped; code != http.StatusOK {
		t.Errorf("/metrics: %d, want what there is without the snapshot", code)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// start serves until stop, which reports an error of Run.
func start(t *testing.T, s Sources) (address string, stop func()) {
	t.Helper()
	o := options(s)
	o.now = func() time.Time { return noon }
	server := New(o)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	return server.listener.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func fetch(t *testing.T, address, path string) (code int, body string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, b.String()
}
