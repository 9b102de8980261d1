package config

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

const ground = `
bgp:
  speaker: embedded
  local_as: 65001
  router_id: 10.0.0.1
  communities: ["65001:1"]
  next_hop_ipv6: 2001:db8::1
  neighbors:
    - {address: 10.0.0.254, remote_as: 65000, bfd: fast}
    - {address: 10.0.0.253, remote_as: 65001}
bfd:
  profiles: {fast: {tx: 100ms}, slow: {}, echo: {echo: true}}
  sessions: [{peer: 10.1.0.9, profile: fast, multihop: true}]
checks:
  web: {kind: http, path: /healthz, timeout: 300ms}
  alive: {kind: bfd, profile: fast, multihop: true}
  slow: {kind: bfd, profile: slow, multihop: true}
  both: {kind: tcp, bfd: alive}
vips:
  - {name: file, prefix: 192.0.2.1, check: web, backends: [{address: "10.1.0.1:80"}]}
  - {name: wide, prefix: 198.51.100.0/25, check: both, backends: [{address: "10.1.0.1:80"}]}
  - {name: six, prefix: "2001:db8:1::1", check: web, backends: [{address: "10.1.0.1:80"}]}
`

// specs reads what a client sends: JSON, as encoding/json reads it.
func specs(t *testing.T, texts ...string) []Spec {
	t.Helper()
	list := make([]Spec, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &list[i]); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return list
}

const oneSpec = `{"name": "a", "prefix": "192.0.2.10", "check": "web", "backends": [{"address": "10.1.0.2:80"}]}`

// The same words give the same VIP, whether a file or a client says them.
func TestMadeVIPIsWhatTheFileWouldHave(t *testing.T) {
	const rest = `"name": "made", "prefix": "192.0.2.10", "min_healthy": "50%", "check": "own", "hold_down": "1s",
		"announce": {"med": 5, "communities": ["65001:2"]},
		"degraded": [{"below": "75%", "med": 9, "local_pref": 50}],
		"link_bandwidth": {"per_weight": 1000000000, "settle": "3s"},
		"backends": [{"address": "10.1.0.1:80", "weight": 3}, {"address": "10.1.0.9:80", "name": "b", "check": "beside"}]`
	const own = `{"kind": "http", "interval": "2s", "rise": 4, "expect_status": [204, "300-301"], "headers": {"B": "2", "A": "1"}}`
	const beside = `{"kind": "tcp", "bfd": "alive", "port": 8080}`
	list, problems := parse(t, ground, Options{}).Make(specs(t, `{`+rest+`, "checks": {"own": `+own+`, "beside": `+beside+`}}`))
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	file := strings.NewReplacer("checks:\n", "checks:\n  own: "+own+"\n  beside: "+beside+"\n",
		"vips:\n", "vips:\n  - {"+strings.ReplaceAll(rest, "\t", "")+"}\n").Replace(ground)
	if want := parse(t, file, Options{}).VIPs[0]; !reflect.DeepEqual(list, []VIP{want}) {
		t.Errorf("made\n%+v\nof a file\n%+v", list[0], want)
	}
	if list[0].MinHealthy.Percent != 50 || list[0].Backends[0].Check.Rise != 4 || list[0].Backends[1].BFD.Peer.String() != "10.1.0.9" {
		t.Errorf("made %+v", list[0])
	}
}

func TestMakeRefusesWhatAFileCouldNotHave(t *testing.T) {
	c := parse(t, ground, Options{})
	for _, tt := range []struct {
		name, spec string
		want       string
	}{
		{"nothing at all", `{}`, `
vips[0].backends: is missing (a list of one backend or more)
vips[0].name: is missing (a word that no other VIP has)
vips[0].prefix: is missing (an address or prefix, as 192.0.2.10/32)`},
		{"a misspelt key", `{"name": "a", "prefx": "192.0.2.10", "prefix": "192.0.2.10", "check": "web", "backends": [{"address": "10.1.0.2:80", "wait": 1}]}`, `
vips[0].backends[0].wait: unknown key (one of name, address, weight, check)
vips[0].prefx: unknown key (did you mean "prefix"?)`},
		{"numbers that are none", `{"name": 5, "prefix": "192.0.2.10", "min_healthy": 1.5, "hold_down": 30, "check": "web", "backends": [{"address": "10.1.0.2:80", "weight": 1e300}]}`, `
vips[0].backends[0].weight: is 1e+300 (write a whole number in 0..65535)
vips[0].hold_down: is 30, without a unit (write 30ms or 30s)
vips[0].min_healthy: is 1.5 (write a number of backends from 1, or a share of their weight in "1%".."100%")
vips[0].name: is 5 (write text, in quotes)`},
		{"an empty list and a null", `{"name": "a", "prefix": null, "check": "web", "degraded": null, "backends": []}`, `
vips[0].backends: is empty (write one backend or more)
vips[0].prefix: has no value (an address or prefix, as 192.0.2.10/32)`},
		{"checks that nobody knows", `{"name": "a", "prefix": "192.0.2.10", "check": "wb", "checks": {"mine": {"kind": "tcp", "bfd": "web"}}, "backends": [{"address": "10.1.0.2:80"}, {"address": "10.1.0.3:80", "check": "mien"}]}`, `
vips[0].backends[1].check: no check is called "mien" (did you mean "mine"?)
vips[0].check: no check is called "wb" (did you mean "web"?)
vips[0].checks.mine.bfd: is "web", a check of kind http (write the name of one of kind bfd)`},
		{"mistakes in a check of its own", `{"name": "a", "prefix": "192.0.2.10", "check": "x", "checks": {"x": {"kind": "udp"}, "y": {"kind": "tcp", "path": "/"}, "z": {"intervall": "1s"}, "": {"kind": "tcp"}}, "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].checks."": a check without a name
vips[0].checks.x.kind: kind "udp" is not supported by this version (write tcp, http, https or bfd)
vips[0].checks.y.path: is a key of http or https checks, but this one is of kind tcp (remove it)
vips[0].checks.z.intervall: unknown key (did you mean "interval"?)
vips[0].checks.z.kind: is missing (tcp, http, https or bfd)`},
		{"a name and a prefix of the file's", `{"name": "file", "prefix": "192.0.2.1", "check": "web", "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].name: "file" is already the name of a VIP at vipd.yaml:20:12
vips[0].prefix: 192.0.2.1/32 is already the prefix of VIP "file" at vipd.yaml:20:26`},
		{"inside a prefix of the file's", `{"name": "a", "prefix": "198.51.100.127", "check": "web", "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].prefix: 198.51.100.127/32 is inside 198.51.100.0/25 of VIP "wide" at vipd.yaml:21:26`},
		{"around a prefix of the file's", `{"name": "a", "prefix": "192.0.2.0/24", "check": "web", "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].prefix: 192.0.2.0/24 has 192.0.2.1/32 of VIP "file" inside it at vipd.yaml:20:26`},
		{"beside prefixes of the file's", `{"name": "a", "prefix": "198.51.100.128/25", "check": "web", "backends": [{"address": "10.1.0.2:80"}]}`, ``},
		{"an internal neighbor refuses it", `{"name": "a", "prefix": "192.0.2.10", "check": "web", "announce": {"as_path_prepend": 1}, "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].announce.as_path_prepend: is 1, and an internal neighbor refuses routes with its own AS in the path (write 0): the neighbor is at vipd.yaml:10:40`},
		{"odd, but possible: nobody would read a warning", `{"name": "a", "prefix": "192.0.2.10", "check": "x", "checks": {"x": {"kind": "tcp", "timeout": "2s"}}, "backends": [{"address": "10.1.0.2:80"}]}`, ``},
		{"a session that the file has", `{"name": "a", "prefix": "192.0.2.10", "check": "both", "checks": {"x": {"kind": "bfd", "profile": "fast"}}, "backends": [{"address": "10.1.0.9:80"}, {"address": "10.0.0.254:80", "check": "x"}]}`, ``},
		{"sessions that the file lacks", `{"name": "a", "prefix": "192.0.2.10", "check": "both", "checks": {"x": {"kind": "bfd", "profile": "fast"}}, "backends": [{"address": "10.1.0.8:80"}, {"address": "10.1.0.9:80", "check": "x"}, {"address": "web.example:80"}]}`, `
vips[0].backends[0].address: needs a BFD session with 10.1.0.8, which the configuration file lacks (list it in bfd.sessions there, or take a check without BFD)
vips[0].backends[1].address: needs a BFD session with 10.1.0.9, which the configuration file lacks (list it in bfd.sessions there, or take a check without BFD)
vips[0].backends[2].address: is a name, but check "both" looks at a BFD session, which is with an address (write the backend's IP address)`},
		{"a session by another profile", `{"name": "a", "prefix": "192.0.2.10", "check": "slow", "backends": [{"address": "10.1.0.9:80"}]}`, `
vips[0].backends[0].address: wants the session with 10.1.0.9 by profile "slow" (one session has one profile), which is by "fast" at vipd.yaml:13:14`},
		{"a file that is not there", `{"name": "a", "prefix": "192.0.2.10", "check": "x", "checks": {"x": {"kind": "https", "tls": {"ca_file": "/none/ca.pem"}}}, "backends": [{"address": "10.1.0.2:80"}]}`, `
vips[0].checks.x.tls.ca_file: can't be read: open /none/ca.pem: no such file or directory`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, problems := c.Make(specs(t, tt.spec))
			got := strings.TrimSuffix("\n"+lines(problems), "\n")
			if got != tt.want {
				t.Errorf("got:%s\nwant:%s", got, tt.want)
			}
			if refused := got != ""; len(list) != 1 || (list[0].Name == "") != refused {
				t.Errorf("made %+v", list)
			}
		})
	}
}

// All or nothing is for who asks: each spec stands or falls by itself.
func TestGoodSpecsAreMadeBesideBadOnes(t *testing.T) {
	texts := make([]string, 12)
	for i := range texts {
		texts[i] = strings.NewReplacer(`"a"`, fmt.Sprintf(`"a%d"`, i), "192.0.2.10", fmt.Sprintf("192.0.2.%d", 10+i)).Replace(oneSpec)
	}
	texts[2] = strings.Replace(texts[2], `"a2"`, `"a1"`, 1)
	texts[10] = strings.Replace(texts[10], "192.0.2.20", "192.0.2.14/31", 1)
	texts[11] = strings.Replace(texts[11], "web", "wub", 1)
	list, problems := parse(t, ground, Options{}).Make(specs(t, texts...))
	want := `vips[2].name: "a1" is already the name of a VIP at vips[1].name
vips[4].prefix: 192.0.2.14/32 is inside 192.0.2.14/31 of VIP "a10" at vips[10].prefix
vips[5].prefix: 192.0.2.15/32 is inside 192.0.2.14/31 of VIP "a10" at vips[10].prefix
vips[11].check: no check is called "wub" (did you mean "web"?)
`
	if got := lines(problems); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for i, v := range list {
		bad := i == 2 || i == 4 || i == 5 || i == 11
		if bad != (v.Name == "") || bad != reflect.DeepEqual(v, VIP{}) {
			t.Errorf("%d: %+v", i, v)
		}
	}
}

func TestOwnChecksComeBeforeTheFiles(t *testing.T) {
	spec := strings.Replace(oneSpec, `"name"`, `"checks": {"web": {"kind": "tcp"}}, "name"`, 1)
	list, problems := parse(t, ground, Options{}).Make(specs(t, spec, strings.NewReplacer(`"a"`, `"b"`, ".10", ".11").Replace(oneSpec)))
	if len(problems) > 0 || list[0].Backends[0].Check.Kind != "tcp" || list[1].Backends[0].Check.Kind != "http" {
		t.Errorf("%s%+v", lines(problems), list)
	}
}

// Nothing is remembered: many goroutines may ask, and the same again.
func TestMakeChangesNothing(t *testing.T) {
	c, before := parse(t, ground, Options{}), parse(t, ground, Options{})
	good := specs(t, oneSpec, `{"name": "b", "prefix": "192.0.2.11", "check": "both", "backends": [{"address": "10.1.0.8:80"}]}`)
	again := specs(t, oneSpec, `{"name": "b", "prefix": "192.0.2.11", "check": "both", "backends": [{"address": "10.1.0.8:80"}]}`)
	want, _ := c.Make(good)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if list, problems := c.Make(good); !reflect.DeepEqual(list, want) || len(problems) != 1 {
				t.Errorf("%s%+v", lines(problems), list)
			}
			if _, problems := c.MakeSession("10.1.0.7", "", "", false, "slow"); len(problems) > 0 {
				t.Error(lines(problems))
			}
		})
	}
	all.Wait()
	if !reflect.DeepEqual(good, again) {
		t.Errorf("specs are now %v", good)
	}
	c.rest.opts, before.rest.opts = Options{}, Options{}
	if !reflect.DeepEqual(c, before) {
		t.Errorf("the configuration is now %+v", c)
	}
}

func TestSpecsHaveTheirOwnNumbers(t *testing.T) {
	c := parse(t, ground, Options{})
	for _, n := range []any{2, int64(2), uint64(2), 2.0, json.Number("2"), json.Number("2.0")} {
		s := specs(t, oneSpec)
		s[0]["backends"].([]any)[0].(map[string]any)["weight"] = n
		if list, problems := c.Make(s); len(problems) > 0 || list[0].Backends[0].Weight != 2 {
			t.Errorf("%T: %s", n, lines(problems))
		}
	}
	for _, n := range []any{math.NaN(), math.Inf(-1), 1 << 62, 0.5, -1.0, json.Number("1e400"), "2", []any{}, nil, struct{}{}} {
		s := specs(t, oneSpec)
		s[0]["backends"].([]any)[0].(map[string]any)["weight"] = n
		if list, problems := c.Make(s); len(problems) != 1 || list[0].Name != "" || problems[0].Path != "vips[0].backends[0].weight" {
			t.Errorf("%v: %s", n, lines(problems))
		}
	}
}

// The API's message has min_healthy as text, be it a number or a share.
func TestThresholdsOfSpecsAreText(t *testing.T) {
	c := parse(t, ground, Options{})
	for text, want := range map[string]Threshold{"1": {Count: 1}, "100%": {Percent: 100}, "0": {}, "2": {}, "": {}, "1.0": {}, "many": {}} {
		s := specs(t, oneSpec)
		s[0]["min_healthy"] = text
		if list, problems := c.Make(s); list[0].MinHealthy != want || (len(problems) > 0) != (want == Threshold{}) {
			t.Errorf("%q: %+v, %s", text, list[0].MinHealthy, lines(problems))
		}
	}
}

func TestSpecsAreBounded(t *testing.T) {
	var deep any = 1.0
	for range 1000 {
		deep = map[string]any{"x": deep}
	}
	c := parse(t, ground, Options{})
	for name, s := range map[string]Spec{
		"deep": {"name": "a", "announce": deep},
		"long": {"name": "a", "announce": map[string]any{strings.Repeat("x", 5000): 1.0}},
	} {
		list, problems := c.Make([]Spec{s, specs(t, oneSpec)[0]})
		if len(problems) != 1 || problems[0].Path != "vips[0]" || list[0].Name != "" || list[1].Name != "a" {
			t.Errorf("%s: %s", name, lines(problems))
		}
	}
}

func TestVIPsAreMadeBesideNoFile(t *testing.T) {
	for _, c := range []*Config{parse(t, "{}", Options{}), {}} {
		spec := strings.Replace(oneSpec, `"name"`, `"checks": {"web": {"kind": "tcp"}}, "name"`, 1)
		if list, problems := c.Make(specs(t, spec)); len(problems) > 0 || list[0].Backends[0].Check.Kind != "tcp" {
			t.Error(lines(problems))
		}
		if list, problems := c.Make(nil); len(list)+len(problems) > 0 {
			t.Errorf("of nothing: %v, %v", list, problems)
		}
	}
}

func TestMadeSessionFitsThoseOfTheFile(t *testing.T) {
	c := parse(t, ground, Options{})
	for _, tt := range []struct {
		name               string
		peer, local, iface string
		multihop           bool
		profile            string
		want               string
	}{
		{"new", "10.1.0.7", "10.0.0.1", "eth0", false, "slow", ""},
		{"there already", "10.1.0.9", "", "", true, "fast", ""},
		{"link-local", "fe80::1%eth0", "", "", false, "fast", ""},
		{"nothing", "", "", "", false, "", "peer: is missing (the other side's IP address)\nprofile: is missing (the name of one in bfd.profiles)\n"},
		{"no addresses", "tor", "me", "eth 0", false, "fats", "" +
			"interface: is \"eth 0\" (write the name of an interface, as eth0)\n" +
			"local: is \"me\" (write an IP address)\n" +
			"peer: is \"tor\" (write an IP address)\n" +
			"profile: no profile in bfd.profiles is called \"fats\" (did you mean \"fast\"?)\n"},
		{"another profile", "10.1.0.9", "", "", true, "slow", "" +
			"peer: wants the session with 10.1.0.9 by profile \"slow\" (one session has one profile), which is by \"fast\" at vipd.yaml:13:14\n"},
		{"not to be told from another", "10.1.0.9", "10.0.0.1", "", true, "slow", "" +
			"peer: the session with 10.1.0.9 can't be told from another with it (give both a local address, or neither), which is at vipd.yaml:13:14\n"},
		{"with echo and without", "10.1.0.9", "", "", false, "echo", "" +
			"peer: the session with 10.1.0.9 is there both with echo and without (one is enough, RFC 9747 §4), which is at vipd.yaml:13:14\n"},
		{"of two families", "10.1.0.7", "2001:db8::1", "", false, "slow",
			"peer: the session is from 2001:db8::1 to 10.1.0.7, of another family (write addresses of one)\n"},
		{"on any link", "fe80::1", "", "", false, "slow",
			"peer: the session is for fe80::1, which every link may have (write fe80::1%interface)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := c.MakeSession(tt.peer, tt.local, tt.iface, tt.multihop, tt.profile)
			if got := lines(problems); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if made := s.Peer.IsValid() && s.Profile.Name == tt.profile && s.Profile.TX > 0; made != (tt.want == "") {
				t.Errorf("made %+v", s)
			}
		})
	}
	s, _ := c.MakeSession("fe80::1", "", "eth1", false, "slow")
	want := BFDSession{BFDKey{Peer: netip.MustParseAddr("fe80::1%eth1"), Interface: "eth1"},
		BFDProfile{Name: "slow", TX: 300 * time.Millisecond, RX: 300 * time.Millisecond, Multiplier: 3, MinTTL: 254}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("made %+v, want %+v", s, want)
	}
}

func FuzzMake(f *testing.F) {
	f.Add(oneSpec, `{"name": "b", "prefix": "192.0.2.0/24", "checks": {"web": {"kind": "https", "tls": {"ca_file": "ca.pem"}}}}`, "10.0.0.9")
	f.Add(`{"name": "a", "prefix": "2001:db8::/64", "check": "alive", "min_healthy": "1%", "link_bandwidth": true, "backends": [{"address": "10.1.0.9:1", "weight": 2}]}`,
		`{"name": "a", "prefix": "192.0.2.1", "degraded": [{"below": 2}], "checks": {"": null}, "backends": 5}`, "fe80::1%x")
	f.Add(`{"name": "a", "prefix": "192.0.2.9", "min_healthy": 2, "hold_down": "1s", "check": "w", "checks": {"w": {"kind": "http", "expect_status": [200, "300-301"], "headers": {"A": "1"}, "bfd": "alive"}},
		"announce": {"med": 1, "next_hop": "10.0.0.1", "communities": ["1:1"]}, "degraded": [{"below": 3, "as_path_prepend": 0}], "link_bandwidth": {"per_weight": "1G", "settle": "1s"},
		"backends": [{"address": "10.1.0.9:1", "name": "x"}, {"address": "10.1.0.1:1", "weight": 0}, {"address": "[2001:db8::1]:1", "check": "web"}]}`, oneSpec, "10.1.0.9")
	c, problems := Parse("vipd.yaml", []byte(ground), Options{Hostname: "host", ReadFile: files{"ca.pem": "x"}.read})
	if c == nil {
		f.Fatal(lines(problems))
	}
	f.Fuzz(func(t *testing.T, one, two, peer string) {
		list := make([]Spec, 0, 2)
		for _, text := range []string{one, two} {
			var s Spec
			if json.Unmarshal([]byte(text), &s) == nil {
				list = append(list, s)
			}
		}
		vips, problems := c.Make(list)
		refused := map[int]bool{}
		for _, p := range problems {
			if p.Text == "" || !strings.HasPrefix(p.Path, "vips[") || p != (Problem{Path: p.Path, Text: p.Text}) {
				t.Errorf("%#v", p)
			}
			refused[specOf(p)] = true
		}
		all := *c
		for i, v := range vips {
			if refused[i] != (v.Name == "") {
				t.Fatalf("%d: %+v with %v", i, v, problems)
			}
			if v.Name != "" {
				all.VIPs = append(all.VIPs[:len(all.VIPs):len(all.VIPs)], v)
			}
		}
		holds(t, &all)
		if s, problems := c.MakeSession(peer, "", one, false, two); (len(problems) > 0) == s.Peer.IsValid() {
			t.Errorf("%+v with %v", s, problems)
		}
	})
}
