package config

import (
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// A document is all that an operator may write. Its tags are the schema, and
// the only place of names, defaults and ranges:
//
//	key      the setting's name
//	default  its value when nobody gives it, as text
//	range    least and greatest value, both allowed
//	oneof    the words allowed
//	hidden   marks what may hold a secret, so that no message shows it
//	note     what to add to the message on a value out of range
//	need     marks what must be given, and says what that is
//	for      the kinds of check that have this key
//	switch   a section that true and false may stand for: all defaults, or off
type document struct {
	Node     string              `key:"node" default:""`
	StateDir string              `key:"state_dir" default:""`
	BGP      rawBGP              `key:"bgp"`
	BFD      rawBFD              `key:"bfd"`
	Drain    rawDrain            `key:"drain"`
	Checks   map[string]rawCheck `key:"checks"`
	VIPs     []rawVIP            `key:"vips"`
	API      rawAPI              `key:"api"`
	Hooks    []rawHook           `key:"hooks"`
	HTTP     rawHTTP             `key:"http"`
	Log      rawLog              `key:"log"`
}

// notYet is a setting whose name is taken, but that does nothing so far.
type notYet struct{}

type rawBGP struct {
	Enabled         bool         `key:"enabled" default:"true"`
	Speaker         string       `key:"speaker" default:"gobgp" oneof:"gobgp embedded"`
	Address         string       `key:"gobgp_address" default:"127.0.0.1:50051"`
	API             string       `key:"gobgp_api" default:"auto" oneof:"auto v3 v4"`
	TLS             *rawTLS      `key:"tls"`
	LocalAS         *uint32      `key:"local_as" range:"1..4294967295"`
	RouterID        netip.Addr   `key:"router_id" default:""`
	ListenPort      int          `key:"listen_port" default:"179" range:"-1..65535"`
	ListenAddresses []netip.Addr `key:"listen_addresses"`
	Manage          bool         `key:"manage" default:"false"`
	NextHop         netip.Addr   `key:"next_hop" default:""`
	NextHopIPv6     netip.Addr   `key:"next_hop_ipv6" default:""`
	rawAttributes
	Neighbors []rawNeighbor `key:"neighbors"`
}

// rawAttributes are the path attributes that may be set on every route, on a
// VIP's and on a degraded VIP's.
type rawAttributes struct {
	Communities      []community      `key:"communities"`
	LargeCommunities []largeCommunity `key:"large_communities"`
	MED              *uint32          `key:"med" range:"0..4294967295"`
	LocalPref        *uint32          `key:"local_pref" range:"0..4294967295"`
	ASPathPrepend    *uint8           `key:"as_path_prepend" range:"0..10"`
}

type rawTLS struct {
	CAFile     string `key:"ca_file" default:""`
	CertFile   string `key:"cert_file" default:""`
	KeyFile    string `key:"key_file" default:""`
	ServerName string `key:"server_name" default:""`
	SkipVerify bool   `key:"skip_verify" default:"false"`
}

type rawNeighbor struct {
	Address         netip.Addr    `key:"address" need:"the router's IP address"`
	RemoteAS        uint32        `key:"remote_as" need:"the router's AS number" range:"1..4294967295"`
	Description     string        `key:"description" default:""`
	Port            uint16        `key:"port" default:"179" range:"1..65535"`
	LocalAddress    netip.Addr    `key:"local_address" default:""`
	PasswordFile    string        `key:"password_file" default:""`
	HoldTime        time.Duration `key:"hold_time" default:"90s" range:"3s..65535s" note:"; GoBGP can't go without"`
	MultihopTTL     uint8         `key:"multihop_ttl" default:"0" range:"0..255"`
	AddPathsSendMax uint8         `key:"add_paths_send_max" default:"0" range:"0..255"`
	Passive         bool          `key:"passive" default:"false"`
	GracefulRestart time.Duration `key:"graceful_restart" default:"0s" range:"0s..4095s"`
	rawNeighborBFD
	Export rawExport `key:"export"`
}

type rawExport struct {
	Allow            []netip.Prefix   `key:"allow"`
	Deny             []netip.Prefix   `key:"deny"`
	Communities      []community      `key:"communities"`
	LargeCommunities []largeCommunity `key:"large_communities"`
	MED              *uint32          `key:"med" range:"0..4294967295"`
	ASPathPrepend    uint8            `key:"as_path_prepend" default:"0" range:"0..10"`
}

type rawDrain struct {
	PreferOthers     time.Duration `key:"prefer_others" default:"0s" range:"0s..1h"`
	GracePeriod      time.Duration `key:"grace_period" default:"5s" range:"0s..1h"`
	Connections      string        `key:"connections" default:"none" oneof:"none sockets conntrack"`
	ConnectionsLimit time.Duration `key:"connections_limit" default:"5m" range:"1s..24h"`
}

type rawCheck struct {
	Kind             string            `key:"kind" need:"tcp, http, https or bfd"`
	Interval         time.Duration     `key:"interval" default:"1s" range:"10ms..1h"`
	Timeout          time.Duration     `key:"timeout" default:"500ms" range:"1ms..1h" for:"tcp http https"`
	Rise             int               `key:"rise" default:"2" range:"1..100"`
	Fall             int               `key:"fall" default:"3" range:"1..100"`
	Watch            bool              `key:"watch" default:"false" for:"tcp http https"`
	Port             uint16            `key:"port" default:"0" range:"0..65535" for:"tcp http https"`
	BFD              string            `key:"bfd" default:"" for:"tcp http https"`
	Profile          string            `key:"profile" default:"" for:"bfd"`
	Local            netip.Addr        `key:"local" default:"" for:"bfd"`
	Interface        string            `key:"interface" default:"" for:"bfd"`
	Multihop         bool              `key:"multihop" default:"false" for:"bfd"`
	Send             string            `key:"send" default:"" for:"tcp"`
	Expect           string            `key:"expect" default:"" for:"tcp"`
	Method           string            `key:"method" default:"GET" for:"http https"`
	Host             string            `key:"host" default:"" for:"http https"`
	Path             string            `key:"path" default:"/" for:"http https"`
	Headers          map[string]string `key:"headers" for:"http https" hidden:"true"`
	ExpectStatus     []statusRange     `key:"expect_status" default:"200-299" for:"http https"`
	ExpectBody       string            `key:"expect_body" default:"" for:"http https"`
	ExpectBodyRegexp string            `key:"expect_body_regexp" default:"" for:"http https"`
	FollowRedirects  bool              `key:"follow_redirects" default:"false" for:"http https"`
	TLS              *rawTLS           `key:"tls" for:"https"`
}

type rawVIP struct {
	Name          string            `key:"name" need:"a word that no other VIP has"`
	Prefix        netip.Prefix      `key:"prefix" need:"an address or prefix, as 192.0.2.10/32"`
	MinHealthy    threshold         `key:"min_healthy" default:"1"`
	Check         string            `key:"check" default:""`
	HoldDown      time.Duration     `key:"hold_down" default:"0s" range:"0s..24h"`
	Announce      rawAnnounce       `key:"announce"`
	Degraded      []rawDegraded     `key:"degraded"`
	LinkBandwidth *rawLinkBandwidth `key:"link_bandwidth" switch:"true"`
	Bind          notYet            `key:"bind"`
	Backends      []rawBackend      `key:"backends" need:"a list of one backend or more"`
	Discover      notYet            `key:"discover"`
}

type rawAnnounce struct {
	rawAttributes
	NextHop netip.Addr `key:"next_hop" default:""`
}

type rawDegraded struct {
	Below threshold `key:"below" need:"a number of backends or a share, as \"50%\""`
	rawAnnounce
}

type rawLinkBandwidth struct {
	PerWeight bitrate       `key:"per_weight" default:"1G"`
	Settle    time.Duration `key:"settle" default:"10s" range:"0s..1h"`
}

type rawBackend struct {
	Name    string `key:"name" default:""`
	Address string `key:"address" need:"host:port"`
	Weight  int    `key:"weight" default:"1" range:"0..65535"`
	Check   string `key:"check" default:""`
}

type rawHTTP struct {
	Listen string `key:"listen" default:"127.0.0.1:9179"`
}

type rawLog struct {
	Level  string `key:"level" default:"info" oneof:"debug info warn error"`
	Format string `key:"format" default:"json" oneof:"json console"`
}

// A field is one key of a section, as its tags say.
type field struct {
	key   string
	index []int
	typ   reflect.Type
	tag   reflect.StructTag
}

// fields lists a section's keys in the order of the schema, those of embedded
// structs among them.
func fields(section reflect.Type) []field {
	var list []field
	for _, f := range reflect.VisibleFields(section) {
		if key := f.Tag.Get("key"); key != "" {
			list = append(list, field{key, f.Index, f.Type, f.Tag})
		}
	}
	return list
}

func (f field) reserved() bool { return f.typ == reflect.TypeFor[notYet]() }

// A setting is a key that has one place in any configuration: not within a
// list or under names that the operator chooses.
type setting struct {
	path string
	keys []string // of which path is made
	typ  reflect.Type
}

// variable is the name of the environment variable that sets it.
func (s setting) variable() string {
	return "VIPD_" + strings.ToUpper(strings.Join(s.keys, "_"))
}

// settings lists the scalars and lists of scalars of a section and of those
// within it.
func settings(section reflect.Type, keys ...string) []setting {
	var list []setting
	for _, f := range fields(section) {
		if f.reserved() {
			continue
		}
		typ := f.typ
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		here := append(append([]string(nil), keys...), f.key)
		switch {
		case isSection(typ):
			list = append(list, settings(typ, here...)...)
		case typ.Kind() == reflect.Map, typ.Kind() == reflect.Slice && isSection(typ.Elem()):
		default:
			list = append(list, setting{strings.Join(here, "."), here, typ})
		}
	}
	return list
}

// isSection tells structs of the schema from those that are values.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && len(fields(t)) > 0
}
