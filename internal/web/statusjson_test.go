package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// What a monitoring script reads stays as it is.
func TestStatusIsJSON(t *testing.T) {
	const file = "testdata/status.json"
	code, body := get(t, handlerAt(shown(showcase())), "/api/v1/status")
	if *update {
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code != 200 || body != string(want) {
		t.Errorf("got %d\n%s\nwant\n%s", code, body, want)
	}
}

// A client may read it with the types of the API.
func TestStatusIsMadeOfTheAPIsMessages(t *testing.T) {
	s := shown(showcase())
	_, body := get(t, handlerAt(s), "/api/v1/status")
	var status struct {
		Node        json.RawMessage
		Counts      json.RawMessage
		VIPs        []json.RawMessage
		Neighbors   []json.RawMessage
		BFDSessions []json.RawMessage `json:"bfd_sessions"`
		Events      []json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.VIPs) != 7 || len(status.Neighbors) != 2 || len(status.BFDSessions) != 2 || len(status.Events) != 5 {
		t.Errorf("%d VIPs, %d neighbors, %d sessions, %d events", len(status.VIPs), len(status.Neighbors), len(status.BFDSessions), len(status.Events))
	}
	var n vipdv1.Node
	var v vipdv1.Vip
	var b vipdv1.BfdSession
	if err := errors.Join(protojson.Unmarshal(status.Node, &n), protojson.Unmarshal(status.VIPs[2], &v), protojson.Unmarshal(status.BFDSessions[1], &b)); err != nil {
		t.Fatal(err)
	}
	if n.GetSpeaker().GetAsn() != 65001 || v.GetName() != "mail" || len(b.GetTransitions()) != 1 {
		t.Errorf("got %v, %v and %v", &n, &v, &b)
	}
}

// Lists are empty, not null: a script counts them.
func TestStatusOfNothing(t *testing.T) {
	s := shown(newBoard())
	s.Sessions = nil
	want := `{"node":{"name":"","version":"","problems":[]},
"counts":{"vips":0,"advertised":0,"withdrawn":0,"undecided":0,"overridden":0,"unconfirmed":0,"neighbors":0,"neighbors_established":0,` +
		`"bfd_sessions":0,"bfd_sessions_up":0,"backends":0,"backends_healthy":0},
"vips":[],
"neighbors":[],
"bfd_sessions":[],
"events":[]}
`
	if code, body := get(t, handlerAt(s), "/api/v1/status"); code != 200 || body != want {
		t.Errorf("got %d %s", code, body)
	}
	s.Sessions = func(context.Context) ([]*vipdv1.BfdSession, error) {
		return nil, errors.New("the BFD engine does not answer")
	}
	if code, body := get(t, handlerAt(s), "/api/v1/status"); code != 503 || body != "the BFD engine does not answer\n" {
		t.Errorf("got %d %s", code, body)
	}
}

// An error text may come from a backend, and be no text.
func TestAnObjectThatIsNoTextHidesNoOther(t *testing.T) {
	b := newBoard()
	b.PutVIP(&vipdv1.Vip{Name: "bad", Reason: "\xff"})
	b.PutVIP(&vipdv1.Vip{Name: "good"})
	_, body := get(t, handlerAt(shown(b)), "/api/v1/status")
	if !json.Valid([]byte(body)) || !strings.Contains(body, `"name":"good"`) || !strings.Contains(body, `{"error":"`) {
		t.Errorf("got %s", body)
	}
}

func TestVIPsByPage(t *testing.T) {
	h := handlerAt(shown(crowd(t, 1600)))
	for _, tt := range []struct {
		query        string
		code, n      int
		first, token string
	}{
		{"", 200, 100, "vip-00000", "vip-00099"},
		{"?page_size=1000&page_token=vip-00099", 200, 1000, "vip-00100", "vip-01099"},
		{"?page_token=vip-01589", 200, 10, "vip-01590", ""},
		{"?state=withdrawn", 200, 4, "vip-00007", ""},
		{"?search=VIP-0150&page_size=5", 200, 5, "vip-01500", "vip-01504"},
		{"?owner=nobody", 200, 0, "", ""},
	} {
		code, body := get(t, h, "/api/v1/vips"+tt.query)
		var page vipdv1.ListVipsResponse
		if err := protojson.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%s: %v: %s", tt.query, err, body)
		}
		first := ""
		if len(page.Vips) > 0 {
			first = page.Vips[0].Name
		}
		if code != tt.code || len(page.Vips) != tt.n || first != tt.first || page.NextPageToken != tt.token {
			t.Errorf("%s: got %d, %d VIPs from %q, token %q", tt.query, code, len(page.Vips), first, page.NextPageToken)
		}
	}
	for query, want := range map[string]string{
		"?page_size=0":    `page_size: "0" is none (1 to 1000)`,
		"?page_size=1001": `page_size: "1001" is none (1 to 1000)`,
		"?page_size=x":    `page_size: "x" is none (1 to 1000)`,
		"?stat=withdrawn": `"stat" is no parameter (search, state, owner, page_size, page_token)`,
	} {
		if code, body := get(t, h, "/api/v1/vips"+query); code != 400 || body != want+"\n" {
			t.Errorf("%s: got %d %s", query, code, body)
		}
	}
}

// A discard takes an answer and notes the longest piece of it.
type discard struct {
	header  http.Header
	longest int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.longest = max(d.longest, len(p))
	return len(p), nil
}

// The status of 10,000 VIPs is many megabytes, which are never there at once.
func TestStatusIsWrittenAsItIsMade(t *testing.T) {
	h := handlerAt(shown(crowd(t, 2000)))
	d := &discard{header: http.Header{}}
	r, _ := http.NewRequest(http.MethodGet, "/api/v1/status", nil)
	h.ServeHTTP(d, r)
	if d.longest == 0 || d.longest > 64<<10 {
		t.Errorf("a piece of %d bytes", d.longest)
	}
}

// BenchmarkStatus is the JSON of 10,000 VIPs with 4 backends each.
func BenchmarkStatus(b *testing.B) {
	h := handlerAt(shown(crowd(b, 10_000)))
	r, _ := http.NewRequest(http.MethodGet, "/api/v1/status", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&discard{header: http.Header{}}, r)
	}
}
