package config

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

func TestNoTwoPathsShareAVariable(t *testing.T) {
	owner := map[string]string{}
	for _, s := range settings(reflect.TypeFor[document]()) {
		if other, twice := owner[s.variable()]; twice {
			t.Errorf("%s sets %s and %s", s.variable(), other, s.path)
		}
		owner[s.variable()] = s.path
	}
	for variable, path := range map[string]string{
		"VIPD_BGP_GOBGP_ADDRESS": "bgp.gobgp_address", "VIPD_BGP_TLS_CA_FILE": "bgp.tls.ca_file",
		"VIPD_BGP_COMMUNITIES": "bgp.communities", "VIPD_HTTP_LISTEN": "http.listen",
		"VIPD_STATE_DIR": "state_dir", "VIPD_API_READ_ONLY_NAMES": "api.read_only.names", "VIPD_API_TLS_CERT_FILE": "api.tls.cert_file", "VIPD_BFD_SCHEDULING_REALTIME_PRIORITY": "bfd.scheduling.realtime_priority",
	} {
		if owner[variable] != path {
			t.Errorf("%s sets %q, not %s", variable, owner[variable], path)
		}
	}
	for _, variable := range []string{"VIPD_VIPS", "VIPD_CHECKS", "VIPD_HOOKS", "VIPD_API", "VIPD_API_TLS", "VIPD_BGP_NEIGHBORS", "VIPD_BFD_PROFILES", "VIPD_BFD_SESSIONS", "VIPD_BGP_TLS"} {
		if path, there := owner[variable]; there {
			t.Errorf("%s sets %s", variable, path)
		}
	}
}

func TestLaterLayersWin(t *testing.T) {
	const file = "{node: file, bgp: {gobgp_address: '127.0.0.2:1', med: 1}}"
	env := []string{"BGP_GOBGP_ADDRESS=127.0.0.3:1", "BGP_LOCAL_AS=65003", "BGP_ROUTER_ID=10.0.0.3", "HOME=/", "VIPD_REQUIRE=1"}
	ours := append(env, "VIPD_BGP_GOBGP_ADDRESS=127.0.0.4:1", "VIPD_NODE=environment", "VIPD_BGP_COMMUNITIES=65001:1, no-export")
	for _, tt := range []struct {
		name          string
		opts          Options
		node, address string
		as            uint32
		communities   []uint32
	}{
		{"file", Options{}, "file", "127.0.0.2:1", 0, nil},
		{"the pod's variables", Options{Env: env}, "file", "127.0.0.3:1", 65003, nil},
		{"our variables", Options{Env: ours}, "environment", "127.0.0.4:1", 65003, []uint32{65001<<16&0xFFFFFFFF | 1, 0xFFFFFF01}},
		{"flags", Options{Env: ours, Set: []string{"node=flag", "bgp.local_as=65005", "bgp.communities=", "node=last=one"}},
			"last=one", "127.0.0.4:1", 65005, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, file, tt.opts)
			if c.Node != tt.node || c.BGP.Address != tt.address || c.BGP.LocalAS != tt.as {
				t.Errorf("node %q, address %q, AS %d", c.Node, c.BGP.Address, c.BGP.LocalAS)
			}
			if !reflect.DeepEqual(c.BGP.Announce.Communities, tt.communities) || *c.BGP.Announce.MED != 1 {
				t.Errorf("announce %+v", c.BGP.Announce)
			}
		})
	}
}

func TestVariablesHaveTheTypesOfTheSchema(t *testing.T) {
	c := parse(t, "{}", Options{Env: []string{
		"VIPD_BGP_MANAGE=true", "VIPD_BGP_LOCAL_AS=65001", "VIPD_BGP_ROUTER_ID=10.0.0.1", "VIPD_BGP_LISTEN_PORT=-1",
		"VIPD_BGP_LISTEN_ADDRESSES=10.0.0.1,::1", "VIPD_BGP_TLS_SERVER_NAME=12", "VIPD_DRAIN_GRACE_PERIOD=1s",
		"VIPD_BGP_LARGE_COMMUNITIES=1:2:3", "VIPD_HTTP_LISTEN=", "VIPD_BFD_LISTEN=10.0.0.1", "VIPD_BFD_SCHEDULING_CPUS=2,3",
		"VIPD_API_LISTEN=unix:///run/a.sock, 127.0.0.1:9178", "VIPD_API_INSECURE_LOOPBACK=true", "VIPD_API_READ_WRITE_USERS=0,ops", "VIPD_API_GROUP=7",
		"VIPD_DRAIN_CONNECTIONS=sockets",
	}, LookupUser: accounts("user")})
	b := c.BGP
	if !b.Manage || b.LocalAS != 65001 || b.RouterID != netip.MustParseAddr("10.0.0.1") || b.ListenPort != -1 ||
		len(b.ListenAddresses) != 2 || b.TLS == nil || b.TLS.ServerName != "12" || c.HTTP.Listen != "" ||
		len(b.Announce.LargeCommunities) != 1 || len(c.BFD.Listen) != 1 || len(c.BFD.Scheduling.CPUs) != 2 {
		t.Errorf("got %+v", c)
	}
	if a := c.API; len(a.Listen) != 2 || !a.InsecureLoopback || !slices.Equal(a.ReadWrite.UIDs, []uint32{0, 3}) || a.Group != "7" || c.Drain.Connections != "sockets" {
		t.Errorf("got %+v", c)
	}
}

func TestAPICanBeSwitchedOff(t *testing.T) {
	for _, opts := range []Options{{Env: []string{"VIPD_API_LISTEN="}}, {Set: []string{"api.listen="}}} {
		if c := parse(t, "{}", opts); len(c.API.Listen) != 0 {
			t.Errorf("%+v: %v", opts, c.API.Listen)
		}
	}
}

func TestLayersTellTheirProblems(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env, set   []string
		want       string
	}{
		{"wrong type", "{}", []string{"BGP_LOCAL_AS=AS1", "VIPD_BGP_MANAGE=1"}, []string{"log.level=all"}, "" +
			"--set log.level: log.level: is \"all\" (write debug, info, warn or error)\n" +
			"environment: BGP_LOCAL_AS: bgp.local_as: is \"AS1\" (write a whole number in 1..4294967295)\n" +
			"environment: VIPD_BGP_MANAGE: bgp.manage: is \"1\" (write true or false)\n"},
		{"an overridden value does not matter", "bgp: {local_as: x}", []string{"BGP_LOCAL_AS=y", "VIPD_BGP_LOCAL_AS=1"}, nil, ""},
		{"an item of a list", "{}", []string{"VIPD_BGP_COMMUNITIES=1:1,1"}, nil,
			"environment: VIPD_BGP_COMMUNITIES: bgp.communities[1]: is 1 (write \"asn:value\", each in 0..65535, or no-export, " +
				"no-advertise, no-export-subconfed, graceful-shutdown, no-llgr or blackhole)\n"},
		{"a unit", "{}", []string{"VIPD_DRAIN_GRACE_PERIOD=5"}, nil,
			"environment: VIPD_DRAIN_GRACE_PERIOD: drain.grace_period: is 5, without a unit (write 5ms or 5s)\n"},
		{"unknown variables", "{}", []string{"VIPD_BGP_GOBGP_ADRESS=x", "VIPD_API=/", "VIPD_=", "vipd_x=1"}, nil, "" +
			"environment: VIPD_: unknown variable\n" +
			"environment: VIPD_API: unknown variable\n" +
			"environment: VIPD_BGP_GOBGP_ADRESS: unknown variable (did you mean \"VIPD_BGP_GOBGP_ADDRESS\"?)\n"},
		{"what Kubernetes sets for a service is not ours", "{}", []string{"VIPD_PORT=tcp://10.0.0.1:9179", "VIPD_SERVICE_HOST=10.0.0.1",
			"VIPD_SERVICE_PORT=9179", "VIPD_SERVICE_PORT_HTTP=9179", "VIPD_PORT_9179_TCP=tcp://10.0.0.1:9179", "VIPD_PORT_9179_TCP_PROTO=tcp",
			"VIPD_WEB_PORT_9179_TCP_PORT=9179", "VIPD_PORT_9179_TCP_ADDR=10.0.0.1"}, nil, ""},
		{"flags", "{}", nil, []string{"node", "nod=x", "vips[0].name=x", "checks.web.kind=tcp", "bgp.neighbors=", "vips", "hooks[0].url=x"}, "" +
			"--set bgp.neighbors: bgp.neighbors: can't be set here (vips, checks, hooks, bgp.neighbors, bfd.profiles and bfd.sessions belong into the file)\n" +
			"--set checks.web.kind: checks.web.kind: can't be set here (vips, checks, hooks, bgp.neighbors, bfd.profiles and bfd.sessions belong into the file)\n" +
			"--set hooks[0].url: hooks[0].url: can't be set here (vips, checks, hooks, bgp.neighbors, bfd.profiles and bfd.sessions belong into the file)\n" +
			"--set nod: nod: unknown key (did you mean \"node\"?)\n" +
			"--set node: node: no value (write path=value)\n" +
			"--set vips: vips: no value (write path=value)\n" +
			"--set vips[0].name: vips[0].name: can't be set here (vips, checks, hooks, bgp.neighbors, bfd.profiles and bfd.sessions belong into the file)\n"},
		{"a variable hides no mistake around it", "bgp: [1]", []string{"VIPD_BGP_LOCAL_AS=1"}, nil,
			"vipd.yaml:1:6: bgp: is a list (write a section of keys)\n"},
		{"a section without content", "bgp:\n", []string{"VIPD_BGP_LOCAL_AS=1"}, nil, ""},
		{"a conflict names both", "bgp: {speaker: embedded, router_id: 10.0.0.1, neighbors: [{address: 10.0.0.2, remote_as: 7}]}",
			[]string{"VIPD_BGP_LOCAL_AS=7", "VIPD_BGP_AS_PATH_PREPEND=1"}, nil,
			"environment: VIPD_BGP_AS_PATH_PREPEND: bgp.as_path_prepend: is 1, and an internal neighbor refuses routes with its own AS " +
				"in the path (write 0): the neighbor is at vipd.yaml:1:90\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, problems := Parse("vipd.yaml", []byte(tt.file), Options{Hostname: "h", Env: tt.env, Set: tt.set})
			if got := lines(problems); got != tt.want || (c == nil) != (got != "") {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
