package check

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/fiberlb/vipd/healthloop"
)

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	defer s.Close()
	address := s.Listener.Addr().String()
	to := func(path, location string, code int) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(code)
		})
	}
	mux.HandleFunc("/good", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	to("/relative", "good", 302)
	to("/absolute", "http://"+address+"/good#part", 308)
	to("/named", "http://shop.example/good", 301)
	to("/to-bad", "/bad?why", 307)
	to("/elsewhere", "http://192.0.2.1/good", 302)
	to("/upgrade", "https://"+address+"/good", 301)
	to("/network-path", "//192.0.2.1/good", 303)
	to("/opaque", "http:good", 302)
	to("/loop", "/loop", 302)
	to("/nowhere", "", 302)
	for i := range 6 {
		to("/hop"+strconv.Itoa(i+1), "/hop"+strconv.Itoa(i), 302)
	}
	to("/hop0", "/good", 302)

	for path, c := range map[string]struct {
		reason healthloop.Reason
		text   string
	}{
		"/relative": {}, "/absolute": {}, "/named": {}, "/hop4": {},
		"/to-bad": {healthloop.ReasonStatus, "GET http://ADDR/bad?why: status 500, expected 200-299"},
		"/elsewhere": {healthloop.ReasonStatus,
			`GET http://ADDR/elsewhere: status 302 redirects to another server: "http://192.0.2.1/good"`},
		"/upgrade": {healthloop.ReasonStatus,
			`GET http://ADDR/upgrade: status 301 redirects to another server: "https://ADDR/good"`},
		"/network-path": {healthloop.ReasonStatus,
			`GET http://ADDR/network-path: status 303 redirects to another server: "//192.0.2.1/good"`},
		"/opaque": {healthloop.ReasonStatus,
			`GET http://ADDR/opaque: status 302 redirects to another server: "http:good"`},
		"/loop":    {healthloop.ReasonStatus, "GET http://ADDR/loop: more than 5 redirects"},
		"/hop5":    {healthloop.ReasonStatus, "GET http://ADDR/good: more than 5 redirects"},
		"/nowhere": {healthloop.ReasonStatus, "GET http://ADDR/nowhere: status 302, expected 200-299"},
	} {
		spec := Spec{Address: address, Host: "shop.example", Path: path, FollowRedirects: true}
		t.Run(path, func(t *testing.T) {
			wantFailure(t, probe(t, "http", spec, patience), address, c.reason, c.text)
		})
	}
}

func TestSameBackendByAnyOfItsNames(t *testing.T) {
	f := form{scheme: "https", host: "Shop.example", address: "[::1]:443"}
	for location, want := range map[string]bool{
		"https://shop.example/": true, "https://shop.example:443/": true, "https://[::1]/": true,
		"https://shop.example:8443/": false, "http://shop.example/": false, "https://example/": false,
	} {
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.covers(u); got != want {
			t.Errorf("%s: %v, want %v", location, got, want)
		}
	}
}
