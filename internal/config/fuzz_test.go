package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Whatever is refused says why and where; whatever is accepted keeps what the
// other packages rely on.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.*", "testdata/same.*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			slow := strings.HasSuffix(name, "aliases_laugh.yaml") // up to the bound: hundreds of milliseconds
			if data, err := os.ReadFile(name); err == nil && filepath.Ext(name) != ".txt" && len(data) < 4000 && !slow {
				f.Add(data, "", "")
			}
		}
	}
	f.Add([]byte("hooks: [{exec: [/a], on: [vip]}, {url: 'http://a'}]\napi: {listen: ['127.0.0.1:1'], insecure_loopback: true, read_write: {users: [ops]}}"), "VIPD_API_GROUP=ops", "api.listen=")
	f.Add([]byte(oneVIP), "VIPD_BGP_LOCAL_AS=1", "bgp.med=1")
	disk := files{"secret": "x", "ca.pem": "x"}
	f.Fuzz(func(t *testing.T, data []byte, env, set string) {
		opts := Options{Hostname: "host", ReadFile: disk.read, LookupUser: accounts("user"), LookupGroup: accounts("group")}
		if env != "" {
			opts.Env = []string{env}
		}
		if set != "" {
			opts.Set = []string{set}
		}
		for _, name := range []string{"f.yaml", "f.json", "f.toml"} {
			c, problems := Parse(name, data, opts)
			failed := false
			for _, p := range problems {
				failed = failed || !p.Warning
				if p.Text == "" || p.Pos.Source == "" || p.Pos.Line > 0 && p.Pos.Column < 1 {
					t.Errorf("%s: %#v", name, p)
				}
			}
			if failed != (c == nil) {
				t.Fatalf("%s: accepted %t with %v", name, c != nil, problems)
			}
			if c != nil {
				holds(t, c)
			}
		}
	})
}

func holds(t *testing.T, c *Config) {
	t.Helper()
	must := func(ok bool, what string, about any) {
		t.Helper()
		if !ok {
			t.Errorf("%s: %+v", what, about)
		}
	}
	must(c.Node != "", "no node", c)
	must(!c.BGP.Enabled || !c.BGP.Manage || c.BGP.LocalAS > 0 && c.BGP.RouterID.Is4(), "managed without identity", c.BGP)
	must(c.BGP.Manage || len(c.BGP.Neighbors) == 0, "neighbors without manage", c.BGP)
	must(c.BGP.ListenPort == -1 || c.BGP.ListenPort > 0, "listen port", c.BGP)
	neighbors := map[netip.Addr]bool{}
	for _, n := range c.BGP.Neighbors {
		must(n.Address.IsValid() && n.RemoteAS > 0 && n.Port > 0 && !neighbors[n.Address], "neighbor", n)
		must(n.HoldTime >= 3*time.Second && n.HoldTime%time.Second == 0 && n.GracefulRestart%time.Second == 0, "times", n)
		neighbors[n.Address] = true
	}
	sessions := map[BFDKey]bool{}
	for _, s := range c.BFD.Sessions {
		must(s.Peer.IsValid() && !sessions[s.BFDKey] && (!s.Local.IsValid() || s.Local.Is4() == s.Peer.Is4()), "session", s)
		must(s.Profile.Name != "" && s.Profile.TX >= 10*time.Millisecond && s.Profile.RX >= 10*time.Millisecond && s.Profile.Multiplier > 0, "profile", s)
		must(s.Profile.Auth == nil || len(s.Profile.Auth.Keys) > 0, "no key", s)
		sessions[s.BFDKey] = true
	}
	for _, n := range c.BGP.Neighbors {
		must(n.BFD == nil || sessions[n.BFD.BFDKey], "neighbor without its session", n)
	}
	for _, v := range c.VIPs {
		for _, b := range v.Backends {
			must(b.BFD == BFDKey{} || sessions[b.BFD], "backend without its session", b)
		}
	}
	for _, s := range c.API.Listen {
		socket, isUnix := strings.CutPrefix(s, "unix://")
		host, _, isTCP := splitHostPort(plainAddress(s))
		addr, _ := netip.ParseAddr(host)
		must(isUnix && filepath.IsAbs(socket) && len(socket) <= 107 || isTCP, "listen", c.API)
		must(isUnix || c.API.TLS != nil || c.API.InsecureLoopback && addr.IsLoopback(), "plain", c.API)
	}
	must(len(c.API.ReadWrite.Users) == len(c.API.ReadWrite.UIDs) && len(c.API.ReadOnly.Groups) == len(c.API.ReadOnly.GIDs), "roles", c.API)
	for _, h := range c.Hooks {
		must((h.URL == "") != (len(h.Exec) == 0) && h.Timeout > 0 && (h.URL != "" || len(h.Headers) == 0), "hook", h)
	}
	names, prefixes := map[string]bool{}, []netip.Prefix{}
	for _, v := range c.VIPs {
		must(v.Name != "" && !names[v.Name], "name", v)
		must(v.Prefix.IsValid() && v.Prefix == v.Prefix.Masked() && v.Prefix.Bits() > 0 && !v.Prefix.Addr().Is4In6(), "prefix", v)
		must((v.MinHealthy.Count > 0) != (v.MinHealthy.Percent > 0), "threshold", v)
		names[v.Name] = true
		for _, p := range prefixes {
			must(!p.Overlaps(v.Prefix), "overlap", v)
		}
		prefixes = append(prefixes, v.Prefix)
		holdsForVIP(t, v, must)
	}
}

func holdsForVIP(t *testing.T, v VIP, must func(bool, string, any)) {
	t.Helper()
	weighted, names := 0, map[string]bool{}
	for _, b := range v.Backends {
		_, port, ok := splitHostPort(b.Address)
		must(ok && port > 0 && b.Name != "" && !names[b.Name] && b.Weight >= 0, "backend", b)
		must(b.Check.Interval > 0 && b.Check.Timeout > 0 && b.Check.Rise > 0 && b.Check.Fall > 0, "timing", b)
		must(regexp.MustCompile(`^(tcp|https?|bfd)$`).MatchString(b.Check.Kind) && (b.Check.TLS != nil) == (b.Check.Kind == "https"), "kind", b)
		must(b.Check.Kind == "tcp" || b.Check.Kind == "bfd" || b.Check.Method != "" && b.Check.Path != "" && len(b.Check.ExpectStatus) > 0, "request", b)
		must(b.Check.Kind != "bfd" || b.BFD.Peer.IsValid(), "bfd without a session", b)
		names[b.Name] = true
		weighted += min(b.Weight, 1)
	}
	must(weighted >= max(v.MinHealthy.Count, 1), "can't be reached", v)
	for i, d := range v.Degraded {
		must((d.Below.Count > 0) != (d.Below.Percent > 0), "level", v)
		must(i == 0 || v.Degraded[i-1].Below.Count < d.Below.Count || v.Degraded[i-1].Below.Percent < d.Below.Percent, "order", v)
	}
	must(!v.Announce.NextHop4.IsValid() || v.Announce.NextHop4.Is4(), "next hop", v)
	must(!v.Announce.NextHop6.IsValid() || v.Announce.NextHop6.Is6(), "next hop", v)
}
