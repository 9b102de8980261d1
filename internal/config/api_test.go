package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAPIHasRolesByNumber(t *testing.T) {
	disk := files{}
	disk["etc/cert"], disk["etc/key"] = certificate(t)
	c, problems := Parse("etc/vipd.yaml", []byte(`
api:
  listen: [":9178", "unix:///run/a.sock", "unix:///run/b.sock", "lb-1.example:9178"]
  group: 12
  read_write: {users: [ops, 0, "7"], groups: [monitoring, 3], names: [controller.example, "spiffe://x/y"]}
  read_only: {groups: [ops]}
  tls: {cert_file: cert, key_file: key, client_ca_file: cert}
`), Options{Hostname: "host", ReadFile: disk.read, LookupUser: accounts("user"), LookupGroup: accounts("group")})
	if c == nil || len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	want := API{
		Listen: []string{":9178", "unix:///run/a.sock", "unix:///run/b.sock", "lb-1.example:9178"}, Group: "12",
		ReadWrite: Roles{Users: []string{"ops", "0", "7"}, Groups: []string{"monitoring", "3"}, Names: []string{"controller.example", "spiffe://x/y"},
			UIDs: []uint32{3, 0, 7}, GIDs: []uint32{10, 3}},
		ReadOnly: Roles{Groups: []string{"ops"}, GIDs: []uint32{3}},
		TLS:      &ServerTLS{"etc/cert", "etc/key", "etc/cert"},
	}
	if !reflect.DeepEqual(c.API, want) {
		t.Errorf("got %+v\nwant %+v", c.API, want)
	}
}

// Plain TCP is for loopback, and only for who asks for it.
func TestPlainTCPIsAskedFor(t *testing.T) {
	for text, ok := range map[string]bool{
		`listen: []`: true,
		`listen: ["127.0.0.1:9178"], insecure_loopback: true`:                true,
		`listen: ["127.1.2.3:0"], insecure_loopback: true`:                   true,
		`listen: ["[::1]:9178", "127.0.0.1:9178"], insecure_loopback: true`:  true,
		`listen: ["[::1]:9178"]`:                                             false,
		`listen: ["10.0.0.1:9178"], insecure_loopback: true`:                 false,
		`listen: [":9178"], insecure_loopback: true`:                         false,
		`listen: ["0.0.0.0:9178"], insecure_loopback: true`:                  false,
		`listen: ["localhost:9178"], insecure_loopback: true`:                false,
		`listen: ["[::ffff:10.0.0.1]:9178"], insecure_loopback: true`:        false,
		`listen: ["127.0.0.1:9178", "10.0.0.1:1"], insecure_loopback: true`:  false,
		`listen: ["127.0.0.1:9178", "127.0.0.1:9178"], insecure_loopback: 1`: false,
	} {
		c, problems := Parse("vipd.yaml", []byte("api: {"+text+"}"), Options{Hostname: "host"})
		if (c != nil) != ok || ok && len(problems) > 0 {
			t.Errorf("%s: accepted %t\n%s", text, c != nil, lines(problems))
		}
	}
}

func TestSocketPathsFitTheKernel(t *testing.T) {
	for n, ok := range map[int]bool{107: true, 108: false} {
		path := "/" + strings.Repeat("x", n-1)
		if c, problems := Parse("vipd.yaml", []byte("api: {listen: ['unix://"+path+"']}"), Options{Hostname: "host"}); (c != nil) != ok {
			t.Errorf("%d bytes: %s", n, lines(problems))
		}
	}
}

func TestAccountsOfThisHost(t *testing.T) {
	const file = "api: {group: GROUP, read_write: {users: [USER], groups: [GROUP]}}"
	c, problems := Parse("vipd.yaml", []byte(strings.NewReplacer("GROUP", "root", "USER", "root").Replace(file)), Options{Hostname: "host"})
	if c == nil || !slices.Equal(c.API.ReadWrite.UIDs, []uint32{0}) || !slices.Equal(c.API.ReadWrite.GIDs, []uint32{0}) {
		t.Errorf("root: %s", lines(problems))
	}
	_, problems = Parse("vipd.yaml", []byte(strings.NewReplacer("GROUP", "no-such-group", "USER", "no-such-user").Replace(file)), Options{Hostname: "host"})
	if got := lines(problems); len(problems) != 3 || strings.Count(got, "this host has no such group") != 2 || !strings.Contains(got, "no such user") {
		t.Errorf("nobody:\n%s", got)
	}
}

func TestHooksHaveHeadersOfFiles(t *testing.T) {
	disk := files{"etc/token": "Bearer hush\n"}
	c, problems := Parse("etc/vipd.yaml", []byte(`
hooks:
  - {url: "https://user@alerts.example:8443/x?token=y", headers: {X-B: "1", A: "2"}, header_files: {Authorization: token}, timeout: 1s}
  - {on: [vip, drain], exec: [/bin/notify, "", "a b"]}
`), Options{Hostname: "host", ReadFile: disk.read})
	if c == nil || len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	want := []Hook{
		{URL: "https://user@alerts.example:8443/x?token=y", Timeout: time.Second, Headers: []Header{{"A", "2"}, {"Authorization", "Bearer hush"}, {"X-B", "1"}}},
		{Kinds: []string{"vip", "drain"}, Exec: []string{"/bin/notify", "", "a b"}, Timeout: 5 * time.Second},
	}
	if !reflect.DeepEqual(c.Hooks, want) {
		t.Errorf("got %+v\nwant %+v", c.Hooks, want)
	}
}
