package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Healthcheck is ExaBGP's own: a process beside it that announces a prefix
// while a web server answers.
type Healthcheck struct {
	Prefix netip.Prefix
	Web    netip.AddrPort
	More   string // options of exabgp healthcheck, as "--interval 1 --fall 1"
}

// ExaBGP starts ExaBGP, which announces by health checks to those neighbors of
// the speaker that are of a prefix's family.
func (h *Host) ExaBGP(s Speaker, checks ...Healthcheck) *Process {
	h.lab.Helper()
	h.needs("exabgp", "curl")
	// It asks for its own name, and there is nobody to answer.
	h.replace("/etc/hosts", "127.0.0.1 localhost "+h.Name+"\n")
	path := h.write("exabgp.conf", s.exabgp(checks))
	return h.Start("exabgp", "env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.level=WARNING",
		find("exabgp"), path)
}

func (s Speaker) exabgp(checks []Healthcheck) string {
	var b, four, six strings.Builder
	for i, c := range checks {
		// Debian's ExaBGP is a module of Debian's Python.
		fmt.Fprintf(&b, `process p%d {
  run /usr/bin/python3 -m exabgp healthcheck --cmd "curl -sf -m 2 -o /dev/null http://%s/" --ip %s --no-ip-setup --withdraw-on-down --no-syslog %s;
  encoder text;
}
`, i, c.Web, c.Prefix, c.More)
		names := &four
		if c.Prefix.Addr().Is6() {
			names = &six
		}
		if names.Len() > 0 {
			names.WriteString(", ")
		}
		fmt.Fprintf(names, "p%d", i)
	}
	for _, n := range s.Neighbors {
		family, names := "ipv4", &four
		if n.Address.Is6() {
			family, names = "ipv6", &six
		}
		fmt.Fprintf(&b, `neighbor %s {
  router-id %s;
  local-address %s;
  local-as %d;
  peer-as %d;
  connect %d;
  family { %s unicast; }
  api { processes [ %s ]; }
}
`, n.Address, s.RouterID, n.Local, s.AS, n.AS, n.port(), family, names)
	}
	return b.String()
}
