package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// files is a disk for tests: what is not in it is not there.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func lines(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// seen is c as others see it: what Make needs besides has places in it, and a
// func, which equals nothing.
func seen(c *Config) *Config {
	if c == nil {
		return nil
	}
	open := *c
	open.rest = nil
	return &open
}

// accounts stand for a host's users and groups.
func accounts(kind string) func(name string) (uint32, error) {
	return func(name string) (uint32, error) {
		switch {
		case name == "ops" || name == "monitoring":
			return uint32(len(name)), nil
		case kind == "group":
			return 0, user.UnknownGroupError(name)
		case name == "remote":
			return 0, errors.New("directory: no answer")
		}
		return 0, user.UnknownUserError(name)
	}
}

// certificate makes one with its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}

// parse makes a configuration of YAML text and wants no problem.
func parse(t *testing.T, text string, opts Options) *Config {
	t.Helper()
	opts.Hostname = "host"
	c, problems := Parse("vipd.yaml", []byte(text), opts)
	if c == nil || len(problems) > 0 {
		t.Fatalf("problems:\n%s", lines(problems))
	}
	return c
}

// Each file in testdata/bad has what is said about it in a file beside it.
func TestBadFilesTellAllTheirProblems(t *testing.T) {
	update := flag.Lookup("update") != nil && flag.Lookup("update").Value.String() == "true"
	names, err := filepath.Glob("testdata/bad/*.*")
	if err != nil {
		t.Fatal(err)
	}
	secrets := files{"long": strings.Repeat("hush", 21), "two": "hush\nhush", "none": "\n", "right": "hush", "sha1": "hush" + strings.Repeat("x", 16)}
	secrets["cert"], secrets["key"] = certificate(t)
	_, secrets["other key"] = certificate(t)
	for _, name := range names {
		if filepath.Ext(name) == ".txt" {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, problems := Parse(filepath.Base(name), data, Options{Hostname: "host", ReadFile: secrets.read, LookupUser: accounts("user"), LookupGroup: accounts("group")})
			got := lines(problems)
			if warned := strings.Contains(filepath.Base(name), "warning"); (c != nil) != warned {
				t.Errorf("accepted: %t", c != nil)
			}
			if strings.Contains(got, "hush") {
				t.Error("a message holds a secret")
			}
			if update {
				if err := os.WriteFile(name+".txt", []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want, _ := os.ReadFile(name + ".txt"); got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func shipped(t *testing.T) ([]byte, files) {
	t.Helper()
	data, err := os.ReadFile("../../docs/vipd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	disk := files{}
	for _, name := range []string{"tls/ca.pem", "tls/vipd.pem", "tls/vipd-key.pem", "tls/backends-ca.pem", "tls/probe.pem", "tls/probe-key.pem"} {
		disk[name] = "pem"
	}
	disk["tls/api.pem"], disk["tls/api-key.pem"] = certificate(t)
	disk["tls/operators-ca.pem"], _ = certificate(t)
	disk["alerts.token"] = "Bearer secret\n"
	disk["tor.password"], disk["bfd.key"], disk["bfd-next.key"] = "secret\n", "secret\n", "secret too\n"
	return data, disk
}

func TestReferenceFileHasNoProblem(t *testing.T) {
	data, disk := shipped(t)
	c, problems := Parse("vipd.yaml", data, Options{ReadFile: disk.read, LookupUser: accounts("user"), LookupGroup: accounts("group")})
	if c == nil || len(problems) > 0 {
		t.Fatalf("problems:\n%s", lines(problems))
	}
	if got := c.BGP.Neighbors[0].Password; got != "secret" {
		t.Errorf("password %q", got)
	}
}

// schemaPaths lists all keys, with [] for items and * for chosen names.
func schemaPaths(section reflect.Type, path string) []string {
	var list []string
	for _, f := range fields(section) {
		if f.reserved() {
			continue
		}
		typ, here := f.typ, join(path, f.key)
		list = append(list, here)
		switch typ.Kind() {
		case reflect.Pointer:
			typ = typ.Elem()
		case reflect.Slice:
			typ, here = typ.Elem(), here+"[]"
		case reflect.Map:
			typ, here = typ.Elem(), here+".*"
		}
		if isSection(typ) {
			list = append(list, schemaPaths(typ, here)...)
		}
	}
	return list
}

func TestReferenceFileHasEveryKey(t *testing.T) {
	data, _ := shipped(t)
	r := &report{places: map[string]place{}}
	if _, ok := r.readText("vipd.yaml", data); !ok {
		t.Fatal(lines(r.problems))
	}
	index, name := regexp.MustCompile(`\[\d+\]`), regexp.MustCompile(`^(checks|bfd\.profiles)\.[^.]+`)
	there := map[string]bool{}
	for path := range r.places {
		there[name.ReplaceAllString(index.ReplaceAllString(path, "[]"), "$1.*")] = true
	}
	for _, path := range schemaPaths(reflect.TypeFor[document](), "") {
		if !there[path] {
			t.Errorf("%s is not in docs/vipd.yaml", path)
		}
	}
}

func TestManualHasEveryKeyWithDefaultAndRange(t *testing.T) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(section reflect.Type, path string)
	walk = func(section reflect.Type, path string) {
		for _, f := range fields(section) {
			if f.reserved() {
				continue
			}
			typ, here := f.typ, join(path, f.key)
			for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map && isSection(typ.Elem()) {
				typ = typ.Elem()
			}
			if isSection(typ) {
				if typ != reflect.TypeFor[rawTLS]() { // has a section of its own
					walk(typ, here)
				}
				continue
			}
			row := regexp.MustCompile(`(?m)^\| .*` + regexp.QuoteMeta("`"+here+"`") + `.*$`).FindString(string(data))
			if row == "" {
				t.Errorf("no row for `%s`", here)
			}
			for _, part := range []string{f.tag.Get("default"), f.tag.Get("range")} {
				if !strings.Contains(row, part) {
					t.Errorf("the row of %s lacks %q", here, part)
				}
			}
		}
	}
	walk(reflect.TypeFor[document](), "")
}

// Ranges and defaults are text in tags: a wrong one shows here only.
func TestSchemaTagsCanBeRead(t *testing.T) {
	var walk func(section reflect.Type)
	walk = func(section reflect.Type) {
		for _, f := range fields(section) {
			typ := f.typ
			for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
				typ = typ.Elem()
			}
			if isSection(typ) {
				walk(typ)
				continue
			}
			low, high, ranged := strings.Cut(f.tag.Get("range"), "..")
			switch _, reads := reflect.New(typ).Interface().(reader); {
			case typ == reflect.TypeFor[time.Duration]():
				a, err := time.ParseDuration(low)
				b, err2 := time.ParseDuration(high)
				if err != nil || err2 != nil || a > b {
					t.Errorf("%s: range %q", f.key, f.tag.Get("range"))
				}
			case !reads && (reflect.New(typ).Elem().CanInt() || reflect.New(typ).Elem().CanUint()):
				var a, b int64
				if _, err := fmt.Sscan(low, &a); err != nil || !ranged {
					t.Errorf("%s: range %q", f.key, f.tag.Get("range"))
				}
				if _, err := fmt.Sscan(high, &b); err != nil || a > b || a < 0 && reflect.New(typ).Elem().CanUint() {
					t.Errorf("%s: range %q", f.key, f.tag.Get("range"))
				}
				if v := reflect.New(typ).Elem(); v.CanUint() && v.OverflowUint(uint64(b)) {
					t.Errorf("%s: %d does not fit", f.key, b)
				}
			}
		}
	}
	walk(reflect.TypeFor[document]())
}

func TestNoFileMeansDefaults(t *testing.T) {
	c, problems, err := Load(Options{Hostname: "lb-7"})
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v\n%s", err, lines(problems))
	}
	want := &Config{
		Node: "lb-7",
		BFD:  BFD{Listen: []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}},
		BGP:  BGP{Enabled: true, Speaker: SpeakerGoBGP, Address: "127.0.0.1:50051", API: APIAuto, ListenPort: 179},
		VIPs: []VIP{}, Drain: Drain{GracePeriod: 5 * time.Second, Connections: "none", ConnectionsLimit: 5 * time.Minute},
		API:  API{Listen: []string{"unix:///run/vipd/vipd.sock"}},
		HTTP: HTTP{Listen: "127.0.0.1:9179"}, Log: Log{Level: "info", Format: "json"},
	}
	if !reflect.DeepEqual(seen(c), want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
}

func TestFilesAreRelativeToTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"password": "word\r\n", "ca.pem": "pem", "vipd.yml": `
bgp:
  speaker: embedded
  local_as: 65001
  router_id: 10.0.0.1
  neighbors: [{address: 10.0.0.2, remote_as: 65000, password_file: password}]
checks: {web: {kind: https, tls: {ca_file: ca.pem}}}
vips: [{name: a, prefix: 192.0.2.1, check: web, backends: [{address: "10.0.0.1:443"}]}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, problems, err := Load(Options{Path: filepath.Join(dir, "vipd.yml"), Hostname: "host"})
	if err != nil || c == nil {
		t.Fatalf("%v\n%s", err, lines(problems))
	}
	if !c.BGP.Manage || c.BGP.Neighbors[0].Password != "word" || c.BGP.Neighbors[0].HoldTime != 90*time.Second {
		t.Errorf("got %+v", c.BGP)
	}
	if got := c.VIPs[0].Backends[0].Check.TLS.CAFile; got != filepath.Join(dir, "ca.pem") {
		t.Errorf("ca_file %s", got)
	}
}

func TestExamplesOfTheManualAreTheSame(t *testing.T) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(yaml|json|toml)\n(.*?)^```").FindAllStringSubmatch(string(data), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	want := seen(parse(t, blocks[0][2], Options{}))
	for _, b := range blocks[1:] {
		got, problems := Parse("vipd."+b[1], []byte(b[2]), Options{Hostname: "host"})
		if !reflect.DeepEqual(seen(got), want) {
			t.Errorf("%s: %s got %+v", b[1], lines(problems), got)
		}
	}
}

func TestUnreadableFileIsAnError(t *testing.T) {
	_, problems, err := Load(Options{Path: filepath.Join(t.TempDir(), "vipd.yaml")})
	if !errors.Is(err, fs.ErrNotExist) || problems != nil {
		t.Errorf("error %v, problems %v", err, problems)
	}
}

func TestThreeFormatsGiveTheSame(t *testing.T) {
	var first *Config
	for _, name := range []string{"same.yaml", "same.json", "same.toml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		c, problems := Parse(name, data, Options{Hostname: "host", ReadFile: files{"bfd.key": "secret"}.read})
		if c == nil || len(problems) > 0 {
			t.Fatalf("problems:\n%s", lines(problems))
		}
		if len(c.VIPs) != 2 || len(c.BGP.Neighbors) != 2 || len(c.BFD.Sessions) != 1 {
			t.Errorf("%s: %d VIPs, %d neighbors, %d sessions", name, len(c.VIPs), len(c.BGP.Neighbors), len(c.BFD.Sessions))
		}
		if first == nil {
			first = c
		} else if !reflect.DeepEqual(seen(c), seen(first)) {
			t.Errorf("%s differs: %+v\nfrom %+v", name, c, first)
		}
	}
}

// The same mistake stands at the same thing in each format.
func TestThreeFormatsTellPlacesOfValues(t *testing.T) {
	for name, text := range map[string]string{
		"a.yaml": "bgp:\n  local_as: x\n",
		"a.yml":  "{bgp: {ä: 1, local_as: x}}",
		"a.json": "{\n\t\"bgp\": {\t\"local_as\":\n\t \"x\"}}",
		"a.toml": "[bgp]\nlocal_as =   'x'\n",
		"b.toml": "bgp.local_as='x'",
		"c.toml": "bgp = { local_as = 'x' }",
	} {
		_, problems := Parse(name, []byte(text), Options{Hostname: "host"})
		i := slices.IndexFunc(problems, func(p Problem) bool { return p.Path == "bgp.local_as" })
		if i < 0 {
			t.Errorf("%s: %s", name, lines(problems))
			continue
		}
		row := strings.Split(text, "\n")[problems[i].Pos.Line-1]
		if got := string([]rune(row)[problems[i].Pos.Column-1:]); !strings.HasPrefix(strings.Trim(got, `"'`), "x") {
			t.Errorf("%s: %s is at %q", name, problems[i], got)
		}
	}
}
