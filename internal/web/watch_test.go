package web

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A listener takes a stream, with the time of each line.
type listener struct {
	*httptest.ResponseRecorder
	lines                       chan string
	readDeadline, writeDeadline time.Time
	stuck                       chan struct{} // nil: takes all
}

func newListener() *listener {
	return &listener{ResponseRecorder: httptest.NewRecorder(), lines: make(chan string, 1000)}
}

func (l *listener) Write(p []byte) (int, error) {
	if l.stuck != nil { // as a connection does whose window is closed
		time.Sleep(time.Until(l.writeDeadline))
		return 0, context.DeadlineExceeded
	}
	l.lines <- string(p)
	return len(p), nil
}

func (l *listener) WriteString(s string) (int, error)  { return l.Write([]byte(s)) }
func (l *listener) SetReadDeadline(t time.Time) error  { l.readDeadline = t; return nil }
func (l *listener) SetWriteDeadline(t time.Time) error { l.writeDeadline = t; return nil }

// said are the lines up to now.
func (l *listener) said() (lines []string) {
	synctest.Wait()
	for {
		select {
		case line := <-l.lines:
			lines = append(lines, strings.TrimSpace(line))
		default:
			return lines
		}
	}
}

func (l *listener) wants(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := strings.Join(l.said(), "|"), strings.Join(lines, "|"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// listening is a stream of b in a bubble of synctest.
func listening(t *testing.T, h http.HandlerFunc, l *listener) (ended chan struct{}, leave context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		h(l, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/watch", nil))
	}()
	return ended, cancel
}

func TestAStreamTellsOfEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := crowd(t, 600) // more than one part of a snapshot
		l := newListener()
		ended, leave := listening(t, watch(b), l)
		l.wants(t, "retry: 2000", "event: change\ndata: 603") // that there is a stream
		time.Sleep(time.Second)
		l.wants(t)
		b.PutVIP(vip("web", "192.0.2.10/32", "advertised", "", 1, 1))
		l.wants(t, "event: change\ndata: 604")
		time.Sleep(time.Second)
		b.RemoveVIP("web")
		l.wants(t, "event: change\ndata: 605")
		leave()
		<-ended
		l.wants(t)
	})
}

// "≤ 4 a second": a page that is made for each of thousands of changes would
// cost more than the changes.
func TestChangesAreToldFourTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		l := newListener()
		ended, leave := listening(t, watch(b), l)
		n := 0
		for range 10_000 {
			time.Sleep(time.Millisecond)
			n++
			b.PutVIP(vip("web", "192.0.2.10/32", "advertised", strings.Repeat("x", n%7), 1, 1))
		}
		last := l.said()
		if len(last) < 38 || len(last) > 42 {
			t.Errorf("%d lines in 10 s", len(last))
		}
		time.Sleep(streamPace)
		if last = append(last, l.said()...); last[len(last)-1] != "event: change\ndata: 10000" {
			t.Errorf("at last %q", last[len(last)-1])
		}
		leave()
		<-ended
	})
}

// A proxy would take silence for death, and we would not see that a client is
// gone.
func TestAStreamIsNeverSilentForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener()
		ended, leave := listening(t, watch(crowd(t, 1)), l)
		l.said()
		time.Sleep(2*streamBeat + time.Second)
		l.wants(t, ": nothing changed", ": nothing changed")
		leave()
		<-ended
	})
}

func TestAClientThatIsStuckIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener()
		l.stuck = make(chan struct{})
		began := time.Now()
		ended, leave := listening(t, watch(newBoard()), l)
		defer leave()
		<-ended
		if took := time.Since(began); took != streamTimeout {
			t.Errorf("after %s", took)
		}
		if !l.readDeadline.IsZero() {
			t.Error("the server's limit for requests would cut the stream")
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch(newBoard())
		var all []chan struct{}
		ctx, cancel := context.WithCancel(t.Context())
		for range maxStreams {
			ended, leave := listening(t, h, newListener())
			context.AfterFunc(ctx, leave)
			all = append(all, ended)
		}
		synctest.Wait()
		late := newListener()
		ended, leave := listening(t, h, late)
		<-ended
		leave()
		if late.Code != http.StatusServiceUnavailable || late.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", late.Code, late.Header())
		}
		cancel()
		for _, ended := range all {
			<-ended
		}
		next := newListener()
		ended, leave = listening(t, h, next)
		next.wants(t, "retry: 2000", "event: change\ndata: 0")
		leave()
		<-ended
	})
}

// Over a real connection: the answer begins at once, changes arrive, and the
// stream does not hold up the end.
func TestStreamOfTheServer(t *testing.T) {
	b := showcase()
	address, stop := start(t, shown(b))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /api/v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, kind)
	}
	lines := bufio.NewScanner(resp.Body)
	wait := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("no %q: %v", want, lines.Err())
	}
	wait("data: 17")
	b.PutVIP(vip("late", "192.0.2.99/32", "advertised", "", 1, 1))
	wait("data: 18")
	began := time.Now()
	stop()
	if took := time.Since(began); took >= stopTimeout {
		t.Errorf("the end took %s", took)
	}
}
