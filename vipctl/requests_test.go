package vipctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// What the command line says is what the API is asked.
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    proto.Message
		json    string
	}{
		{"withdraw web --for 10m --reason 'bad deploy'", &vipdv1.SetOverrideRequest{}, `{"vip":"web","word":"withdraw","reason":"bad deploy","ttl":"600s","wait":true}`},
		{"advertise 192.0.2.11 --no-wait", &vipdv1.SetOverrideRequest{}, `{"vip":"192.0.2.11","word":"advertise"}`},
		{"auto web --reason done", &vipdv1.SetOverrideRequest{}, `{"vip":"web","word":"auto","reason":"done","wait":true}`},
		{"drain --for 1h --reason kernel", &vipdv1.DrainRequest{}, `{"reason":"kernel","ttl":"3600s","wait":true}`},
		{"drain --no-wait", &vipdv1.DrainRequest{}, `{}`},
		{"drain --wait=false", &vipdv1.DrainRequest{}, `{}`},
		{"vip add shop 192.0.2.20 --check web --hold-down 1s --owner me --no-wait --backend [::1]:80,weight=0", &vipdv1.UpsertVipRequest{},
			`{"vip":{"name":"shop","prefix":"192.0.2.20","check":"web","holdDown":"1s","backends":[{"address":"[::1]:80","weight":0}]},"owner":"me","expectedVersion":"0"}`},
		{"vip add --file testdata/shop.yaml", &vipdv1.UpsertVipRequest{},
			`{"vip":{"name":"shop","prefix":"192.0.2.20/32","minHealthy":"1","check":"quick","holdDown":"90s","announce":{"communities":["65001:10"],"med":100},` +
				`"degraded":[{"below":"50%","med":200}],"linkBandwidth":false,"backends":[{"name":"a","address":"10.1.0.41:80","weight":1},{"address":"10.1.0.42:80"}],` +
				`"checks":{"quick":{"expect_status":["200-299"],"interval":"500ms","kind":"http","path":"/healthz"}}},"expectedVersion":"0","wait":true}`},
		{"vip set api --min-healthy 1 --owner fiberlb", &vipdv1.UpsertVipRequest{},
			`{"vip":{"name":"api","prefix":"192.0.2.12/32","minHealthy":"1","check":"web","holdDown":"0.300s","backends":[{"name":"a","address":"10.1.0.31:443","weight":1}]},` +
				`"owner":"fiberlb","expectedVersion":"3","wait":true}`},
		{"vip set 192.0.2.12 --prefix 192.0.2.13 --backend 10.1.0.32:443", &vipdv1.UpsertVipRequest{},
			`{"vip":{"name":"api","prefix":"192.0.2.13","minHealthy":"50%","check":"web","holdDown":"0.300s","backends":[{"address":"10.1.0.32:443"}]},` +
				`"expectedVersion":"3","wait":true}`},
		{"vip rm api --owner fiberlb", &vipdv1.DeleteVipRequest{}, `{"vip":"api","owner":"fiberlb","wait":true}`},
		{"vip replace -f testdata/vips.yaml --owner me --expect-generation 3", &vipdv1.ReplaceVipsRequest{},
			`{"owner":"me","vips":[{"name":"shop","prefix":"192.0.2.20","check":"web","backends":[{"address":"10.1.0.41:80"}]},` +
				`{"name":"blog","prefix":"2001:db8::20","check":"web","backends":[{"address":"[2001:db8:1::20]:80"}]}],"expectedGeneration":"3"}`},
		{"bfd add 10.0.0.9 --local 10.0.0.1 --interface eth0 --profile fast --owner me", &vipdv1.AddBfdSessionRequest{},
			`{"peer":"10.0.0.9","local":"10.0.0.1","interface":"eth0","profile":"fast","owner":"me"}`},
		{"bfd rm 10.0.0.9", &vipdv1.RemoveBfdSessionRequest{}, `{"id":"10.0.0.9"}`},
		{"backends web --state advertised", &vipdv1.ListVipsRequest{}, `{"search":"web","state":"advertised","fresh":true}`},
		{"events --kind bfd -n 7", &vipdv1.ListEventsRequest{}, `{"kind":"bfd","limit":7}`},
		{"check testdata/good.yaml", &vipdv1.CheckConfigRequest{},
			`{"fileName":"testdata/good.yaml","content":"dmlwczoKICAtIHtuYW1lOiB3ZWIsIHByZWZpeDogMTkyLjAuMi4xMC8zMiwgYmFja2VuZHM6IFt7YWRkcmVzczogIjEwLjEuMC4xMTo4MDgwIn1dfQo="}`},
	} {
		t.Run(tt.command, func(t *testing.T) {
			r := newRig(t, small())
			if got := r.vipctl(shellWords(tt.command)...); got.code != exitDone {
				t.Fatal(got)
			}
			if err := protojson.Unmarshal([]byte(tt.json), tt.want); err != nil {
				t.Fatal(err)
			}
			r.fake.mu.Lock()
			defer r.fake.mu.Unlock()
			var seen []string
			for _, m := range r.fake.asked {
				if proto.Equal(m, tt.want) {
					return
				}
				seen = append(seen, string(m.ProtoReflect().Descriptor().Name())+" "+protojson.Format(m))
			}
			t.Errorf("it is not asked; there is\n%s", strings.Join(seen, "\n"))
		})
	}
}

// A list has all pages, whatever their size.
func TestListsHaveAllPages(t *testing.T) {
	f := small()
	f.vips = many(25)
	r := newRig(t, f)
	whole := r.vipctl("vips", "-o", "json")
	f.set(func() { f.pageSize = 10 })
	paged := r.vipctl("vips", "-o", "json")
	if whole.code != exitDone || whole != paged {
		t.Errorf("in pages it is another list:\n%s%s", paged.stdout, paged.stderr)
	}
	var list struct{ VIPs []json.RawMessage }
	if err := json.Unmarshal([]byte(paged.stdout), &list); err != nil || len(list.VIPs) != 25 {
		t.Errorf("%d of 25 VIPs, %v", len(list.VIPs), err)
	}
}

// What vip show prints of a definition can be given to vip set again.
func TestDefinitionsGoRound(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		specs, err := parseSpecs("shop.yaml", mustRead(t, "testdata/shop.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		want := specs[0]
		a := &app{output: formatJSON}
		if format == "yaml" {
			a.output = formatYAML
		}
		out := newSink()
		a.Stdout = out
		if err := a.show(want, nil); err != nil {
			t.Fatal(err)
		}
		again, err := parseSpecs("-", []byte(out.String()))
		if err != nil || len(again) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		// Empty and missing are one in the API's JSON.
		if !proto.Equal(want, again[0]) {
			t.Errorf("want %v\nhave %v", want, again[0])
		}
	}
}

func TestNearNames(t *testing.T) {
	all := []*vipdv1.Vip{{Name: "web", Prefix: "192.0.2.10/32"}, {Name: "web-internal", Prefix: "192.0.2.11/32"}, {Name: "dns", Prefix: "192.0.2.200/32"},
		{Name: "database", Prefix: "2001:db8::1/128"}}
	for _, tt := range []struct{ word, want string }{
		{"wbe", "web"},
		{"WEB", "web, web-internal"},
		{"webs", "web"},
		{"web-", "web, web-internal"},
		{"datbaase", "database"},
		{"datebasse", "database"},
		{"dbs", "dns"},
		{"192.0.2.20", "web (192.0.2.10/32), dns (192.0.2.200/32)"},
		{"192.0.2.11/31", "web-internal (192.0.2.11/32)"},
		{"2001:db8::2", "database (2001:db8::1/128)"},
		{"nothing", ""},
		{"", "web, web-internal, dns"},
	} {
		if got := strings.Join(nearest(tt.word, all), ", "); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.word, got, tt.want)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m1s",
		time.Hour: "1h", time.Hour + 59*time.Second: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 76 * time.Hour: "3d4h", 24*time.Hour + time.Minute: "1d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// Painted text is as wide as what is seen of it, and is cut without a tone that
// goes on behind it.
func TestClip(t *testing.T) {
	p := &page{color: true}
	painted := p.paint(bad, "žluť") + " kůň"
	for width, want := range map[int]string{
		0: painted, 8: painted, 9: painted, 5: "\x1b[31mžluť\x1b[0m \x1b[0m", 2: "\x1b[31mžl\x1b[0m",
	} {
		if got := clip(painted, width); got != want {
			t.Errorf("at %d: %q, want %q", width, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 5, ""}, {"one", 5, "one"}, {"one two", 7, "one two"}, {"one two", 6, "one|two"},
		{"muchtoolong is it", 5, "muchtoolong|is it"}, {"žluťoučký kůň", 9, "žluťoučký|kůň"},
	} {
		if got := strings.Join(wrap(tt.text, tt.width), "|"); got != tt.want {
			t.Errorf("%q at %d: %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}
