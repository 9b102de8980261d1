package config

import (
	"fmt"
	"strconv"
	"time"
)

type rawAPI struct {
	Listen           []string      `key:"listen" default:"unix:///run/vipd/vipd.sock"`
	Group            account       `key:"group" default:""`
	ReadWrite        rawRoles      `key:"read_write"`
	ReadOnly         rawRoles      `key:"read_only"`
	TLS              *rawServerTLS `key:"tls"`
	InsecureLoopback bool          `key:"insecure_loopback" default:"false"`
}

type rawRoles struct {
	Users  []account `key:"users"`
	Groups []account `key:"groups"`
	Names  []string  `key:"names"`
}

type rawServerTLS struct {
	CertFile     string `key:"cert_file" need:"a file with the server's certificate"`
	KeyFile      string `key:"key_file" need:"a file with its key"`
	ClientCAFile string `key:"client_ca_file" need:"a file with the authorities of clients: whoever has no certificate of theirs is not let in"`
}

type rawHook struct {
	On          []string          `key:"on" oneof:"vip backend override drain definition reload speaker neighbor bfd state"`
	URL         string            `key:"url" default:"" hidden:"true"`
	Exec        []string          `key:"exec" hidden:"true"`
	Timeout     time.Duration     `key:"timeout" default:"5s" range:"100ms..1m"`
	Headers     map[string]string `key:"headers" hidden:"true"`
	HeaderFiles map[string]string `key:"header_files"`
}

// An account is a user or group, by name or by number.
type account string

func (a *account) read(v any) string {
	switch v := v.(type) {
	case string:
		*a = account(v)
		return ""
	case int64:
		if v >= 0 && v < 1<<32-1 { // the kernel's word for none is -1
			*a = account(strconv.FormatInt(v, 10))
			return ""
		}
	}
	return fmt.Sprintf("is %s (write a name or a number)", shown(v))
}
